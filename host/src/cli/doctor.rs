//! `doctor`: whether the candidates that claims go by are right, whether the database lets the gate
//! do its work, and the times in it.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serial_gate::alerts::LONGEST_WAIT;
use serial_gate::store::{
    self, Ahead, Change, Difference, LOG_BYTES, Proof, TimeAhead, TimesAhead,
};

use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{count, shown, shown_or_dash};
use super::{Error, Outcome};
use super::{adoption, agreement};

/// Compare the candidates that claims use with the policy's clause, put them right, and tell of
/// impossible times
#[derive(Args)]
#[command(
    after_help = "A claim looks at one candidate a repo, which triggers keep up to date for every program that\nwrites to the database. A waiting `claim` compares some of them every ten seconds; this compares all. Exits with 1\nif anything had to be repaired.\n\nIt tries a claim, its end and a freeze with a row, undoes them, and exits with 1 if the database\nforbids one of them. It counts statuses, agents and stages, and says where the rule does not\nfit them.\n\nIt compares what the policy's `decide` and its clause say of each queued job, and exits with 1\nif they differ or did since the generation is active.\n\nIt also lists the times that no right clock can have written, and what becomes of each, and exits\nwith 1 for those that stay wrong: the time at which a queued job was added. And it tells when the\nlog beside the database (-wal) is larger than it should be, which a long reader causes.\n\nExample:\n  serial-gate doctor"
)]
pub struct Doctor {}

impl Doctor {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let now = Timestamp::now();
        let mut queue = shared.queue()?;
        // Before the comparison, whose own writes may shrink it.
        let log_bytes = queue.store().log_bytes();
        let found = queue.diagnose(now)?;
        let times = queue.store().times_ahead(now, shared.lease, LONGEST_WAIT)?;
        let trial = queue.trial(now);
        let proof = match queue.store().prove(&trial) {
            // What can be read is told all the same.
            Err(store::Error::Locked { .. }) => Proof {
                unknown: Some("another program holds the database locked".into()),
                ..Proof::default()
            },
            proved => proved?,
        };
        let adopted = queue.adoption(now)?;
        let agreement = agreement::of(&mut queue, now)?;
        let is_sound = found.is_sound()
            && proof.is_fit()
            && agreement.is_sound()
            && !times.found.iter().any(TimeAhead::stays_wrong);
        let outcome = if is_sound {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        if output.json {
            output.json_line(&serde_json::json!({
                "sound": is_sound,
                "flat": found.cost.is_none(),
                "obstacle": found.cost.map(|obstacle| obstacle.to_string()),
                "restored": found.restored,
                "repos": found.repos,
                "differences": found.differences,
                "differences_ever": found.ever,
                "times_ahead": times.found,
                "more_times_ahead": times.more,
                "wal_bytes": log_bytes,
                "forbidden": proof.forbidden,
                "untried": proof.unknown,
                "adoption": adopted,
                "config": shared.config.as_ref().map(|file| file.path.to_string_lossy()),
                "agreement": agreement.to_json(),
            }))?;
            return Ok(outcome);
        }
        if let Some(file) = &shared.config {
            let path = shown(&file.path.to_string_lossy());
            output.line(format!("configuration file: {path}, {}", file.chosen.why()))?;
        }
        if let Some(line) = adoption::census(&adopted.census) {
            output.line(line)?;
        }
        adoption::proof(output, &proof)?;
        adoption::advice(output, &adopted, shared, &adoption::SET)?;
        agreement.print(shared, output)?;
        list(&times, shared, output)?;
        if log_bytes > u64::from(LOG_BYTES) {
            output.line(format!(
                "{} the log beside the database (-wal) has {} MiB, more than its usual {}: a program has been reading for long, so end its transaction",
                toned(Tone::Held, "note:"),
                log_bytes >> 20,
                LOG_BYTES >> 20
            ))?;
        }
        for change in &found.restored {
            if let Change::Row(name) = change {
                output.line(format!(
                    "{} the row of `{name}` was lost or was no number: it has the next one, so that every kept clause is fetched anew",
                    toned(Tone::Held, "restored:")
                ))?;
            }
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
        if let Some(obstacle) = &found.cost {
            output.line(format!("claims are not flat: {}", obstacle.in_words()))?;
        }
        let repos = count(found.repos, "repo");
        if found.repos == 0 {
            output.line("no job waits, so there are no candidates to compare")?;
        } else if found.differences.is_empty() {
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

/// The times that cannot be, if there are any.
fn list(times: &TimesAhead, shared: &Shared, output: &mut Output) -> Result<(), Error> {
    if times.found.is_empty() {
        return Ok(());
    }
    output.line(toned(
        Tone::Held,
        "times that no right clock can have written:",
    ))?;
    let rows = times.found.iter().map(|time| time_row(time, shared));
    output.table(&["what", "time (UTC)", "what happens"], rows.collect())?;
    if times.more {
        output.line("there are more: ten of each kind are shown")?;
    }
    Ok(())
}

fn time_row(ahead: &TimeAhead, shared: &Shared) -> Vec<String> {
    let (of, then) = match &ahead.of {
        Ahead::Lease { job, seconds } => {
            let own = || i64::try_from(shared.lease.as_secs()).unwrap_or(i64::MAX);
            let length = SignedDuration::from_secs(seconds.unwrap_or_else(own));
            let then = format!(
                "back in the queue {length:#} after the next claim, unless its worker is heard of"
            );
            (format!("lease of job {job}"), then)
        }
        Ahead::Claim { job, lease_until } => {
            let then = match lease_until {
                Some(until) => format!(
                    "back in the queue at {}, unless its worker is heard of",
                    shown(until)
                ),
                None => format!("it has no lease: `job requeue {job}` puts it back"),
            };
            (format!("running job {job}"), then)
        }
        Ahead::Channel { channel } => (
            format!("channel {}", shown(channel)),
            "it is not waited for: alerts go on".into(),
        ),
        Ahead::Delivery { alert, channel } => (
            format!("alert {alert} to {}", shown(channel)),
            "it is not waited for: `serve` or `alerts deliver` sends it".into(),
        ),
        Ahead::Job { job, .. } => (
            format!("queued job {job}"),
            "it waits since it was first seen at the head of its repo: set its `created_at` to the present".into(),
        ),
        Ahead::Freeze { freeze, repo } => (
            match freeze {
                Some(number) => format!("freeze {number} of {}", shown_or_dash(repo.as_deref())),
                None => format!("freeze of {}", shown_or_dash(repo.as_deref())),
            },
            "it holds all the same, until it is cleared".into(),
        ),
    };
    vec![of, shown(&ahead.time), then]
}
