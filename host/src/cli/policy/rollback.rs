//! `policy rollback`: goes back to an earlier generation.

use clap::Args;
use serial_gate::queue::Queue;
use serial_gate::rollout;

use super::proposal::Reason;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::shown;
use crate::cli::verb::Verb;

/// Go back to the previous generation, or to any that was active once
#[derive(Args)]
#[command(after_help = "\
Its policy, settings and limits become active again as they were.

Examples:
  serial-gate policy rollback --reason 'no task starts'
  serial-gate policy rollback 3 --reason 'the last good one'")]
pub struct Rollback {
    /// The generation's number [default: the previous one]
    #[arg(value_name = "N")]
    generation: Option<i64>,
    #[command(flatten)]
    reason: Reason,
}

impl Verb for Rollback {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue_as_stored()?;
        let actor = self.reason.actor();
        let generation = rollout::roll_back(&mut queue, self.generation, None, actor)?;
        report_active(&mut queue, generation, shared)
    }
}

/// Reports that a generation is active now.
pub fn report_active(queue: &mut Queue, generation: i64, shared: &Shared) -> Result<Report, Error> {
    let notes = queue.names_without_rows()?;
    let row = queue.store().generation(generation)?;
    let mut report = shared.report();
    let mut document = serde_json::json!({ "generation": generation });
    if let (Some(fields), false) = (document.as_object_mut(), notes.is_empty()) {
        fields.insert("notes".into(), notes.as_slice().into());
    }
    report.json(&document);
    let (name, version) = (shown(&row.name), shown(&row.version));
    let line = format!("generation {generation} (`{name}` {version}) is active");
    report.line(toned(Tone::Free, line));
    for note in notes {
        report.note(&note);
    }
    Ok(report)
}
