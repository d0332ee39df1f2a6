//! `policy show`: shows one generation.

use clap::Args;
use serial_gate::store::{Error as StoreError, Generation, GenerationState, Store};

use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::shown;
use crate::cli::verb::Verb;

/// Show a generation: its policy, settings, limits and history
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy show 2")]
pub struct Show {
    /// The generation's number [default: the active one]
    #[arg(value_name = "N")]
    generation: Option<i64>,
}

impl Verb for Show {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut store = shared.store()?;
        let generation = generation(&mut store, self.generation)?;
        let events = store.generation_events(Some(generation.id))?;
        let component = store.component(&generation.digest)?;
        let size = component.as_ref().map(Vec::len);
        let signed = generation.signature.is_some();
        let mut report = shared.report();
        report.json(&serde_json::json!({
            "generation": generation.id,
            "name": generation.name,
            "version": generation.version,
            "state": generation.state,
            "digest": generation.digest,
            "bytes": size,
            "signed": signed,
            "settings": json(&generation.settings),
            "limits": json(&generation.limits),
            "events": events,
        }));
        report.line(toned(
            Tone::Heading,
            format!(
                "generation {}: {} {}",
                generation.id,
                shown(&generation.name),
                shown(&generation.version)
            ),
        ));
        let size = size.map_or_else(
            || "not kept".into(),
            |size| format!("{size} bytes{}", if signed { ", signed" } else { "" }),
        );
        for (name, value) in [
            ("state", generation.state.name()),
            ("component", &size),
            ("digest", &generation.digest),
            ("settings", &generation.settings),
            ("limits", &generation.limits),
        ] {
            report.line(format!("  {name:<10} {}", shown(value)));
        }
        for event in events {
            report.line(format!(
                "  {:<10} {} UTC by {}: {}",
                event.state.name(),
                event.at,
                shown(&event.who),
                shown(&event.why)
            ));
        }
        Ok(report)
    }
}

/// A generation by its number, or the active one.
pub fn generation(store: &mut Store, id: Option<i64>) -> Result<Generation, Error> {
    match id {
        Some(id) => Ok(store.generation(id)?),
        None => {
            let active = store.generation_in(GenerationState::Active)?;
            Ok(active.ok_or(StoreError::NoActiveGeneration)?)
        }
    }
}

/// A stored JSON text as a document, or as text if it is not JSON.
pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
