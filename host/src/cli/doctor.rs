//! `doctor`: verifies the claim index, and whether the database lets the gate do its work.
//!
//! Owns the order of the findings, and the lines about the index. Leaves the policy's two answers
//! to `agreement`, what the database contains to `adoption`, and impossible times to `times_ahead`.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use serial_gate::alerts::LONGEST_WAIT;
use serial_gate::store::{self, Backlog, Change, Difference, LOG_BYTES, Proof, TimeAhead};

use super::log::Level;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{count, shown, shown_or_dash};
use super::verb::Verb;
use super::{Error, Outcome};
use super::{adoption, agreement, projects, times_ahead};

/// Verify and repair the claim index, and report what else is wrong with the database
#[derive(Args)]
#[command(after_help = "\
A claim looks only at heads: the first job of each agent in a repo that may be
claimed. Triggers keep them up to date, whichever program writes to the database. A
waiting `claim` verifies some of them every ten seconds; `doctor` verifies all. Exits
with 1 if it had to repair any.

It tries to claim and finish a job and to freeze a repo, undoes this, and exits with 1
if the database forbids it. It counts statuses, agents and stages, and reports those
that the rule does not fit.

It says whether claims use the active policy, and exits with 1 if they do not. It names
the pipeline, and says where the rules do not fit it.

It says which `[[project]]` has a repo that no task has, a secret that cannot be used or
that others can read, or a remote that cannot be reached.

It compares the policy's `decide` with its clause for each queued job, and exits
with 1 if they differ, or have differed since the generation became active.

It lists times that no correct clock can have written, and what happens to each. It
exits with 1 for those that stay wrong: the time at which a queued job was added.
It also reports what a long-running reader causes: a log next to the database (-wal)
that is larger than it should be, or on PostgreSQL an old snapshot.

Example:
  serial-gate doctor")]
pub struct Doctor {}

impl Verb for Doctor {
    fn log(&self) -> Level {
        Level::Off
    }

    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let now = Timestamp::now();
        let mut queue = shared.queue()?;
        // Before the comparison, whose own writes may shrink it.
        let backlog = queue.store().backlog()?;
        let found = queue.diagnose(now)?;
        let times = queue.store().times_ahead(now, shared.lease, LONGEST_WAIT)?;
        let trial = queue.trial(now);
        let proof = match queue.store().prove(&trial) {
            // The rest can be read and reported.
            Err(error) if matches!(error.problem(), Some(store::Problem::Locked)) => Proof {
                unknown: Some("another program holds the database locked".into()),
                ..Proof::default()
            },
            proved => proved?,
        };
        let adopted = queue.adoption(now)?;
        let risks = queue.store().risks()?;
        let late_tasks = queue.store().late_tasks()?;
        let agreement = agreement::compare(&mut queue, now)?;
        let pipeline = queue.store().pipeline()?;
        let pipeline_notes = match &pipeline {
            Some(pipeline) => queue.pipeline_notes(now, pipeline)?,
            None => Vec::new(),
        };
        let project_notes = projects::notes(&mut queue, shared)?;
        let not_in_force = queue.not_in_force().map(|why| why.to_string());
        let is_sound = found.is_sound()
            && not_in_force.is_none()
            && proof.is_fit()
            && agreement.is_sound()
            && !times.found.iter().any(TimeAhead::stays_wrong);
        let mut report = shared.report();
        report.json(&json!({
            "sound": is_sound,
            "not_in_force": not_in_force,
            "flat": found.cost.is_none(),
            "obstacle": found.cost.as_ref().map(ToString::to_string),
            "restored": found.restored,
            "repos": found.repos,
            "differences": found.differences,
            "differences_ever": found.ever,
            "times_ahead": times.found,
            "more_times_ahead": times.more,
            "wal_bytes": match backlog {
                Backlog::Log(bytes) => Some(bytes),
                Backlog::Snapshot(_) => None,
            },
            "oldest_snapshot_transactions": match backlog {
                Backlog::Log(_) => None,
                Backlog::Snapshot(age) => Some(age),
            },
            "late_tasks": late_tasks,
            "forbidden": proof.forbidden,
            "untried": proof.unknown,
            "risks": risks,
            "adoption": adopted,
            "pipeline": pipeline,
            "pipeline_notes": pipeline_notes,
            "project_notes": project_notes,
            "config": shared.config.as_ref().map(|file| file.path.to_string_lossy()),
            "agreement": agreement.to_json(),
        }));
        if !is_sound {
            report.outcome = Outcome::Failed;
        }
        if let Some(file) = &shared.config {
            let path = shown(&file.path.to_string_lossy());
            report.line(format!("configuration file: {path}, {}", file.chosen.why()));
        }
        if let Some(why) = &not_in_force {
            report.line(toned(Tone::Held, why));
        }
        if let Some(pipeline) = &pipeline {
            report.line(format!("pipeline: {}", shown(&pipeline.in_words())));
        }
        for note in pipeline_notes.iter().chain(&project_notes) {
            report.note(note);
        }
        if let Some(line) = adoption::census(&adopted.census) {
            report.line(line);
        }
        adoption::proof(&mut report, &proof, shared);
        adoption::advice(&mut report, &adopted, shared, &adoption::SET);
        agreement.report(shared, &mut report);
        times_ahead::list(&times, shared, &mut report);
        for risk in &risks {
            report.note(&risk.to_string());
        }
        if backlog.is_long() {
            report.note(&too_long(backlog));
        }
        if let Some(late) = late_tasks.filter(|late| *late > 0) {
            report.note(&format!(
                "{} appeared after a later one of the same repo had been started: the program that \
                 adds them takes their ids long before it commits them",
                count(usize::try_from(late).unwrap_or_default(), "task")
            ));
        }
        for change in &found.restored {
            let what = match change {
                Change::Row(name) => format!("the row of `{name}` {LOST_ROW}"),
                Change::Trigger(name) => format!("the trigger `{name}` was missing or altered"),
                _ => continue,
            };
            report.line(format!("{} {what}", toned(Tone::Held, "restored:")));
        }
        if !found.differences.is_empty() {
            let rows = found.differences.iter().map(difference);
            report.table(&["repo", "agent", "head", "by the clause"], rows);
        }
        if let Some(obstacle) = &found.obstacle {
            report.line(format!(
                "there are no heads, and claims are not flat: {}",
                obstacle.in_words()
            ));
            return Ok(report);
        }
        if let Some(obstacle) = &found.cost {
            report.line(format!("claims are not flat: {}", obstacle.in_words()));
        }
        let repos = count(found.repos, "repo");
        report.line(match (found.repos, found.differences.len()) {
            (0, _) => "the claim index is empty, so there is nothing to compare".into(),
            (_, 0) => format!("{repos} compared, all heads are right"),
            (_, repaired) => format!(
                "{repos} compared, {repaired} repaired: something wrote to the database without \
                 its triggers"
            ),
        });
        if found.ever > 0 {
            report.line(format!(
                "differences since the clause came into use: {}",
                found.ever
            ));
        }
        Ok(report)
    }
}

fn too_long(backlog: Backlog) -> String {
    match backlog {
        Backlog::Log(bytes) => format!(
            "the log next to the database (-wal) has {} MiB, more than its usual {}: a program has \
             been reading for long, so end its transaction",
            bytes >> 20,
            LOG_BYTES >> 20
        ),
        Backlog::Snapshot(age) => format!(
            "the server has begun {age} transactions since its oldest snapshot, which slows claims: \
             a program has been reading for long, so end its transaction (`pg_stat_activity` shows \
             it)"
        ),
    }
}

/// The text of `init` and `doctor` about a lost row.
pub const LOST_ROW: &str = "was lost or was not a number: it has the next one, so that every \
                            cached clause is fetched again";

fn difference(difference: &Difference) -> Vec<String> {
    let job = |job: Option<i64>| job.map_or_else(|| "none".into(), |job| format!("job {job}"));
    vec![
        shown_or_dash(difference.repo.as_deref()),
        shown_or_dash(difference.agent.as_deref()),
        job(difference.candidate),
        job(difference.first),
    ]
}
