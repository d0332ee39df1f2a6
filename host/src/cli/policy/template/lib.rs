//! A serial gate's policy: a task waits while an earlier task of its repo is in review, and while
//! its repo is frozen.
//!
//! The rule stands here twice: `hold` decides about one job, `claim_clause` says the same as a
//! condition for the database. The two must let the same jobs through in every state, and
//! `serial-gate policy check` tries it. The manual is `wit/serial-gate.wit`.

wit_bindgen::generate!({ path: "wit", world: "policy" });

use exports::serial_gate::policy::serial_gate::*;

const IN_REVIEW: &str = "EXISTS (SELECT 1 FROM tasks t
    WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage = 'review')";
const FROZEN: &str = "EXISTS (SELECT 1 FROM repo_freeze f
    WHERE f.repo = jobs.repo AND f.cleared_at IS NULL)";

struct Policy;

impl Guest for Policy {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "a task waits while an earlier task of its repo is in review".to_owned(),
        }
    }

    fn decide(
        settings: Settings,
        _now: Timestamp,
        state: Snapshot,
    ) -> Result<Vec<Decision>, PolicyError> {
        let is_queued = |job: &&Job| is(&state, job.status, "queued");
        let decision = |job: &Job| Decision {
            job: job.id,
            verdict: hold(&settings, &state, job).map_or(Verdict::Claim, Verdict::Hold),
        };
        Ok(state.jobs.iter().filter(is_queued).map(decision).collect())
    }

    fn claim_clause(
        settings: Settings,
        _now: Timestamp,
        _: Dialect,
    ) -> Result<Clause, PolicyError> {
        let reasons = match settings.freeze_enabled {
            true => format!("({IN_REVIEW} OR {FROZEN})"),
            false => IN_REVIEW.to_owned(),
        };
        let text = match settings.enabled {
            true => format!("AND NOT (jobs.agent = 'analyst' AND {reasons})"),
            false => String::new(),
        };
        let mut notes = Vec::new();
        if settings.rules.is_some() || !settings.repos.trim().is_empty() {
            notes.push("this policy reads neither `repos` nor `rules`".to_owned());
        }
        Ok(Clause {
            text,
            notes,
            valid_until: None,
        })
    }
}

/// Why a queued job may not be claimed now, if there is a reason.
fn hold(settings: &Settings, state: &Snapshot, job: &Job) -> Option<Hold> {
    // A missing agent is NULL. In the clause, `NOT (NULL)` is not true, so the job is held, too.
    let gated = job.agent.is_none() || is(state, job.agent, "analyst");
    if !settings.enabled || !gated {
        return None;
    }
    // NULL equals nothing: a job without a repo is never held.
    let repo = Some(job.repo?);
    let is_earlier = |task: &&Task| match job.task_id {
        Some(TaskRef::Id(own) | TaskRef::BeforeId(own)) => task.id < own,
        Some(TaskRef::AfterEveryId) => true,
        None => false,
    };
    let is_in_review = |task: &&Task| task.repo == repo && is(state, task.stage, "review");
    let is_active = |freeze: &&Freeze| freeze.repo == repo && freeze.cleared_at.is_none();

    let mut earlier = state.tasks.iter().filter(is_earlier);
    let mut newest_first = state.freezes.iter().rev();
    let earlier_task = earlier.find(is_in_review).map(|task| task.id);
    let freeze = newest_first.find(is_active).map(|freeze| freeze.id);
    let freeze = freeze.filter(|_| settings.freeze_enabled);
    (earlier_task.is_some() || freeze.is_some()).then_some(Hold {
        earlier_task,
        freeze,
        rule: None,
    })
}

/// Whether a column holds this text. The snapshot has each text once, under a number.
fn is(state: &Snapshot, column: Option<Symbol>, text: &str) -> bool {
    column.is_some_and(|symbol| state.symbols[symbol as usize] == text)
}

#[cfg(target_family = "wasm")]
export!(Policy);

#[cfg(test)]
mod tests;
