//! `doctor`: whether the candidates that claims go by are right.

use clap::Args;
use jiff::Timestamp;
use serial_gate::store::{Change, Difference, LOG_BYTES};

use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{count, shown_or_dash};
use super::{Error, Outcome};

/// Compare the candidates that claims go by with the policy's clause, and put them right
#[derive(Args)]
#[command(
    after_help = "A claim looks at one candidate a repo, which triggers keep up to date whoever writes to the\ndatabase. A waiting `claim` compares some of them every ten seconds; this compares all. Exits with 1\nif anything had to be repaired. It also tells when the log beside the database (-wal) is larger than\nit should be, which a long reader causes.\n\nExample:\n  serial-gate doctor"
)]
pub struct Doctor {}

impl Doctor {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue()?;
        // Before the comparison, whose own writes may shrink it.
        let log_bytes = queue.store().log_bytes();
        let found = queue.diagnose(Timestamp::now())?;
        let outcome = if found.is_sound() {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        if output.json {
            output.json_line(&serde_json::json!({
                "sound": found.is_sound(),
                "flat": found.obstacle.is_none(),
                "obstacle": found.obstacle.map(|obstacle| obstacle.to_string()),
                "restored": found.restored,
                "repos": found.repos,
                "differences": found.differences,
                "differences_ever": found.ever,
                "wal_bytes": log_bytes,
            }))?;
            return Ok(outcome);
        }
        if log_bytes > u64::from(LOG_BYTES) {
            output.line(format!(
                "{} the log beside the database (-wal) has {} MiB, more than its usual {}: a program has been reading for long, so end its transaction",
                toned(Tone::Held, "note:"),
                log_bytes >> 20,
                LOG_BYTES >> 20
            ))?;
        }
        for change in &found.restored {
            if let Change::Trigger(name) = change {
                output.line(format!(
                    "{} the trigger `{name}` was not as it has to be",
                    toned(Tone::Held, "restored:")
                ))?;
            }
        }
        if !found.differences.is_empty() {
            let rows = found.differences.iter().map(row).collect();
            output.table(&["repo", "agent", "candidate", "by the clause"], rows)?;
        }
        if let Some(obstacle) = &found.obstacle {
            output.line(format!(
                "there are no candidates: each claim looks at every held job before the first that may be claimed\n  {obstacle}"
            ))?;
            return Ok(outcome);
        }
        let repos = count(found.repos, "repo");
        if found.differences.is_empty() {
            output.line(format!("{repos} compared, all candidates are right"))?;
        } else {
            output.line(format!(
                "{repos} compared, {} put right: something wrote to the database without its triggers",
                found.differences.len()
            ))?;
        }
        if found.ever > 0 {
            output.line(format!(
                "differences since the clause is in use: {}",
                found.ever
            ))?;
        }
        Ok(outcome)
    }
}

fn row(difference: &Difference) -> Vec<String> {
    let job = |job: Option<i64>| job.map_or_else(|| "none".into(), |job| format!("job {job}"));
    vec![
        shown_or_dash(difference.repo.as_deref()),
        shown_or_dash(difference.agent.as_deref()),
        job(difference.candidate),
        job(difference.first),
    ]
}
