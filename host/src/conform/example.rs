//! A state in which a policy's answers differ, made small and put into words.
//!
//! Owns the search for fewer rows and the sentence about the job. It tries a bounded number of
//! states: a small example helps the reader and is not part of the check.

use serde_json::Value;

use super::Error;
use super::agreement::{Compared, Trial};
use super::times::Moment;
use crate::model::{Decision, Hold, Verdict};

/// How many smaller states are tried.
const TRIES: usize = 250;

/// How many rows they have together.
const ROWS: usize = 15_000;

/// A job's reason is cut after so many characters.
const REASON: usize = 200;

const TABLES: [&str; 3] = ["tasks", "freezes", "jobs"];

/// Where the two answers differ.
pub(super) struct Difference {
    /// The first job that they differ about; none if the answer as a whole is wrong.
    pub job: Option<i64>,
    pub words: String,
}

/// How many rows a state has.
pub(super) fn rows(state: &Value) -> usize {
    let of = |table| {
        state
            .get(table)
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    TABLES.into_iter().map(of).sum()
}

/// A smaller state with the same kind of difference, and what it is there.
pub(super) fn smallest(
    trial: &mut Trial<'_>,
    moment: Moment,
    state: &Value,
    difference: Difference,
) -> Result<(Value, Difference), Error> {
    let (mut state, mut difference) = (state.clone(), difference);
    let (mut tries, mut tried) = (0, 0);
    for table in TABLES {
        let count = |state: &Value| {
            state
                .get(table)
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        };
        let mut part = count(&state).max(1);
        loop {
            let mut from = 0;
            while from < count(&state) && tries < TRIES && tried < ROWS && !trial.budget.is_spent()
            {
                let smaller = without(&state, table, from, part);
                tries += 1;
                tried += rows(&smaller);
                match trial.compare(moment, &smaller)? {
                    Compared::Other(other) if other.job.is_some() == difference.job.is_some() => {
                        (state, difference) = (smaller, other);
                    }
                    _ => from += part,
                }
            }
            if part == 1 {
                break;
            }
            part = part.div_ceil(2);
        }
    }
    Ok((state, difference))
}

/// A state without some rows of a table.
fn without(state: &Value, table: &str, from: usize, count: usize) -> Value {
    let mut state = state.clone();
    if let Some(rows) = state.get_mut(table).and_then(Value::as_array_mut) {
        rows.drain(from.min(rows.len())..(from + count).min(rows.len()));
    }
    state
}

/// What `decide` and the clause each say of a job.
pub(super) fn words(decision: &Decision, passes: bool, state: &Value) -> String {
    let id = decision.job;
    let mut jobs = state
        .get("jobs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let job = jobs.find(|job| job.get("id").and_then(Value::as_i64) == Some(id));
    let of_job = |column| match job.and_then(|job| job.get(column)) {
        None | Some(Value::Null) => "none".into(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(other) => other.to_string(),
    };
    let (repo, agent, task) = (of_job("repo"), of_job("agent"), of_job("task_id"));
    let decided = match &decision.verdict {
        Verdict::Claim => "lets it through".into(),
        Verdict::Hold(hold) => format!("holds it{}", reason(hold)),
    };
    let by_clause = if passes {
        "lets it through"
    } else {
        "holds it"
    };
    format!(
        "`decide` and the clause differ about job {id} (repo {repo}, agent {agent}, task {task}): \
         `decide` {decided}, the clause {by_clause}"
    )
}

fn reason(hold: &Hold) -> String {
    let Hold {
        earlier_task,
        freeze,
        rule,
    } = hold;
    let reasons = [
        earlier_task.map(|task| format!("earlier task {task}")),
        freeze.map(|freeze| format!("freeze {freeze}")),
        rule.as_ref().map(|rule| {
            let rule: String = rule.chars().take(REASON).collect();
            format!("`{rule}`")
        }),
    ];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", reasons.join(", "))
    }
}
