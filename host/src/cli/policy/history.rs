//! `policy history`: lists every change of every generation.

use std::collections::BTreeSet;

use clap::Args;
use serial_gate::store::GenerationState;

use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::text::shown;
use crate::cli::verb::Verb;

/// List every change of the policy: what, when, who and why, the newest first
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy history")]
pub struct History {}

impl Verb for History {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut store = shared.store()?;
        let events = store.generation_events(None)?;
        let mut report = shared.report();
        for event in &events {
            report.json(event);
        }
        let generations = store.generations()?;
        let policy = |id| {
            let generation = generations.iter().find(|generation| generation.id == id);
            generation.map_or_else(String::new, |generation| {
                shown(&format!("{} {}", generation.name, generation.version))
            })
        };
        // A later event of a generation, which comes first here, implies that it was a candidate.
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
        report.table(
            &["at (utc)", "generation", "policy", "became", "who", "why"],
            rows,
        );
        Ok(report)
    }
}
