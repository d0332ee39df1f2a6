//! A serial gate's policy: a task waits while an earlier task of its repo is in review, and while
//! its repo is frozen.
//!
//! The rule is written twice: `hold` decides about one job, `claim_clause` is the same rule as a
//! condition for the database. The two must let the same jobs through in every state;
//! `serial-gate policy check` tests this. The manual is `wit/serial-gate.wit`.

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
        let mut decisions = Vec::new();
        for row in 0..state.jobs.id.len() {
            if is(&state, state.jobs.status[row], "queued") {
                decisions.push(Decision {
                    job: state.jobs.id[row],
                    verdict: hold(&settings, &state, row).map_or(Verdict::Claim, Verdict::Hold),
                });
            }
        }
        Ok(decisions)
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

/// Why the queued job of a row may not be claimed now, if there is a reason.
fn hold(settings: &Settings, state: &Snapshot, row: usize) -> Option<Hold> {
    let Snapshot {
        jobs,
        tasks,
        freezes,
        ..
    } = state;
    // A missing agent is NULL. In the clause, `NOT (NULL)` is not true, so the job is held, too.
    let gated = jobs.agent[row] == NULL || is(state, jobs.agent[row], "analyst");
    // NULL equals nothing: a job without a repo is never held.
    let repo = jobs.repo[row];
    if !settings.enabled || !gated || repo == NULL {
        return None;
    }
    // A value that is not a task's id still has a place in the order: see `task-id-kind`.
    let is_earlier = |task: i64| match jobs.task_id_kind[row] {
        0 => false,
        1 | 2 => task < jobs.task_id[row],
        _ => true,
    };
    let in_review = |task: &usize| {
        is_earlier(tasks.id[*task])
            && tasks.repo[*task] == repo
            && is(state, tasks.stage[*task], "review")
    };
    let active = |freeze: &usize| {
        settings.freeze_enabled
            && freezes.repo[*freeze] == repo
            && freezes.cleared_at[*freeze] == NULL
    };
    // Rows are in the order of ids: wait for the first task, and name the newest freeze.
    let earlier_task = (0..tasks.id.len())
        .find(in_review)
        .map(|task| tasks.id[task]);
    let freeze = (0..freezes.id.len())
        .rfind(active)
        .map(|freeze| freezes.id[freeze]);
    (earlier_task.is_some() || freeze.is_some()).then_some(Hold {
        earlier_task,
        freeze,
        rule: None,
    })
}

/// A missing value in a column.
const NULL: Symbol = 0;

/// Whether a column's value is this text. The snapshot has each text once, under a number.
fn is(state: &Snapshot, symbol: Symbol, text: &str) -> bool {
    let Symbols { text: texts, ends } = &state.symbols;
    let at = symbol as usize;
    at > 0 && &texts[ends[at - 1] as usize..ends[at] as usize] == text
}

#[cfg(target_family = "wasm")]
export!(Policy);

#[cfg(test)]
mod tests;
