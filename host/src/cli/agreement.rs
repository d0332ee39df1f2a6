//! The part of `doctor` about the policy's two answers, `decide` and the clause.
//!
//! Owns the lines and the JSON keys. Leaves the comparison to the queue. Callers rely on this: a
//! policy that fails does not stop the rest of the report.

use jiff::Timestamp;
use serial_gate::error::with_causes;
use serial_gate::gate;
use serial_gate::observe::Agreement;
use serial_gate::queue::{self, Queue};
use serial_gate::store::Contradictions;

use super::Error;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{command, count, shown};

/// The comparison, or why there was none.
pub struct Comparison(Result<Agreement, String>);

/// Compares all queued jobs.
pub fn compare(queue: &mut Queue, now: Timestamp) -> Result<Comparison, Error> {
    match queue.agreement(now) {
        Ok(agreement) => Ok(Comparison(Ok(agreement))),
        Err(error @ queue::Error::Gate(gate::Error::Store(_))) => Err(error.into()),
        Err(error) => Ok(Comparison(Err(with_causes(&error)))),
    }
}

impl Comparison {
    /// Whether nothing was found, now or since the generation became active.
    pub fn is_sound(&self) -> bool {
        self.0
            .as_ref()
            .is_ok_and(|agreement| agreement.found.is_none() && agreement.ever.is_none())
    }

    /// As a document, for machines.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.0 {
            Ok(agreement) => serde_json::json!({
                "compared": agreement.compared,
                "contradictions": agreement.found.jobs,
                "ever": agreement.ever,
                "rolled_back_to": agreement.rolled_back_to,
            }),
            Err(error) => serde_json::json!({ "error": error }),
        }
    }

    /// Adds the lines for people; no lines if all is well.
    pub fn report(&self, shared: &Shared, report: &mut Report) {
        let agreement = match &self.0 {
            Ok(agreement) => agreement,
            Err(error) => {
                return report.note(&format!(
                    "`decide` was not compared with the clause: {error}"
                ));
            }
        };
        for found in &agreement.found.jobs {
            report.line(format!("{} {found}", toned(Tone::Held, "contradiction:")));
        }
        let listed = agreement.found.jobs.len();
        let more = agreement.found.count.saturating_sub(listed);
        if more > 0 {
            report.line(format!("  and {} more", count(more, "job")));
        }
        if let Some(Contradictions {
            times,
            last_at,
            last,
        }) = &agreement.ever
        {
            let times = usize::try_from(*times).unwrap_or_default();
            report.line(format!(
                "in use, the policy contradicted itself about {}, last at {} UTC: {}",
                count(times, "job"),
                shown(last_at),
                shown(last)
            ));
        }
        if let Some(good) = agreement.rolled_back_to {
            report.line(format!(
                "it failed too often, and generation {good} is active again"
            ));
        } else if !self.is_sound()
            && let Some(rollback) = command(shared, &["policy", "rollback", "--reason", "TEXT"])
        {
            report.line(format!("  {rollback}"));
        }
    }
}
