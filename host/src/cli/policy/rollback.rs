//! `policy rollback`: back to an earlier generation.

use clap::Args;
use serial_gate::rollout;

use super::proposal::Reason;
use crate::cli::adoption::note;
use crate::cli::options::Shared;
use crate::cli::output::{Output, Tone, toned};
use crate::cli::text::shown;
use crate::cli::{Error, Outcome};

/// Go back to the generation before, or to any that was active once
#[derive(Args)]
#[command(
    after_help = "Its policy, settings and limits are active again as they were.\n\nExamples:\n  serial-gate policy rollback --reason 'nothing starts any more'\n  serial-gate policy rollback 3 --reason 'the last good one'"
)]
pub struct Rollback {
    /// The generation's number [default: the one that was active before]
    #[arg(value_name = "N")]
    generation: Option<i64>,
    #[command(flatten)]
    reason: Reason,
}

impl Rollback {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue_as_stored()?;
        let to = self.generation;
        let generation = self
            .reason
            .act(|act| rollout::roll_back(&mut queue, to, None, act))?;
        say_active(&mut queue, generation, output)
    }
}

/// Says that a generation is active now.
pub fn say_active(
    queue: &mut serial_gate::queue::Queue,
    generation: i64,
    output: &mut Output,
) -> Result<Outcome, Error> {
    let notes = queue.names_without_rows()?;
    if output.json {
        let mut document = serde_json::json!({ "generation": generation });
        if let (Some(fields), false) = (document.as_object_mut(), notes.is_empty()) {
            fields.insert("notes".into(), notes.into());
        }
        output.json_line(&document)?;
        return Ok(Outcome::Done);
    }
    let row = queue.store().generation(generation)?;
    output.line(toned(
        Tone::Free,
        format!(
            "generation {generation} (`{}` {}) is active",
            shown(&row.name),
            shown(&row.version)
        ),
    ))?;
    for text in notes {
        note(output, &text)?;
    }
    Ok(Outcome::Done)
}
