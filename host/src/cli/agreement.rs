//! What `doctor` tells of the policy's two answers, `decide` and the clause.
//!
//! Owns the words and the keys. Leaves the comparison to the queue. Callers rely on this: a policy
//! that fails is no reason not to tell the rest.

use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::gate;
use serial_gate::observe::Agreement;
use serial_gate::queue::{self, Queue};
use serial_gate::store::Contradictions;

use super::Error;
use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{command, count, shown};

/// What came of the comparison, or why there was none.
pub struct Told(Result<Agreement, String>);

/// Compares all queued jobs.
pub fn of(queue: &mut Queue, now: Timestamp) -> Result<Told, Error> {
    match queue.agreement(now) {
        Ok(agreement) => Ok(Told(Ok(agreement))),
        Err(error @ queue::Error::Gate(gate::Error::Store(_))) => Err(error.into()),
        Err(error) => Ok(Told(Err(with_causes(&error)))),
    }
}

impl Told {
    /// Whether nothing was found, now or since the generation is active.
    pub fn is_sound(&self) -> bool {
        self.0
            .as_ref()
            .is_ok_and(|told| told.found.is_none() && told.ever.is_none())
    }

    /// As a document, for machines.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.0 {
            Ok(told) => serde_json::json!({
                "compared": told.compared,
                "contradictions": told.found.jobs,
                "ever": told.ever,
                "rolled_back_to": told.rolled_back_to,
            }),
            Err(error) => serde_json::json!({ "error": error }),
        }
    }

    /// The lines for people; none if all is well.
    pub fn print(&self, shared: &Shared, output: &mut Output) -> Result<(), Error> {
        let told = match &self.0 {
            Ok(told) => told,
            Err(error) => {
                let note = toned(Tone::Held, "note:");
                let error = shown(error);
                output.line(format!(
                    "{note} `decide` was not compared with the clause: {error}"
                ))?;
                return Ok(());
            }
        };
        for found in &told.found.jobs {
            output.line(format!("{} {found}", toned(Tone::Held, "contradiction:")))?;
        }
        let more = told.found.count.saturating_sub(told.found.jobs.len());
        if more > 0 {
            output.line(format!("  and {} more", count(more, "job")))?;
        }
        if let Some(Contradictions {
            times,
            last_at,
            last,
        }) = &told.ever
        {
            let times = usize::try_from(*times).unwrap_or_default();
            output.line(format!(
                "the policy contradicted itself in use about {}, the last time at {} UTC: {}",
                count(times, "job"),
                shown(last_at),
                shown(last)
            ))?;
        }
        if let Some(good) = told.rolled_back_to {
            output.line(format!(
                "it failed too often, and generation {good} is active again"
            ))?;
        } else if !self.is_sound()
            && let Some(rollback) = command(shared, &["policy", "rollback", "--reason", "TEXT"])
        {
            output.line(format!("  {rollback}"))?;
        }
        Ok(())
    }
}
