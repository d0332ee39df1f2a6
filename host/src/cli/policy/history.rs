//! `policy history`: what became of every generation.

use std::collections::BTreeSet;

use clap::Args;
use serial_gate::store::GenerationState;

use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::text::shown;
use crate::cli::{Error, Outcome};

/// List every change of the policy: what, when, who and why, the newest first
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy history")]
pub struct History {}

impl History {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut store = shared.store()?;
        let events = store.generation_events(None)?;
        if output.json {
            for event in events {
                output.json_line(&event)?;
            }
            return Ok(Outcome::Done);
        }
        let generations = store.generations()?;
        let policy = |id| {
            let generation = generations.iter().find(|generation| generation.id == id);
            generation.map_or_else(String::new, |generation| {
                shown(&format!("{} {}", generation.name, generation.version))
            })
        };
        // What became of a candidate says that it was one. The newest comes first.
        let mut seen = BTreeSet::new();
        let news = events.iter().filter(|event| {
            seen.insert(event.generation) || event.state != GenerationState::Candidate
        });
        let rows = news.map(|event| {
            vec![
                event.at.clone(),
                event.generation.to_string(),
                policy(event.generation),
                event.state.name().into(),
                shown(&event.who),
                shown(&event.why),
            ]
        });
        output.table(
            &["at (utc)", "generation", "policy", "became", "who", "why"],
            rows.collect(),
        )?;
        Ok(Outcome::Done)
    }
}
