//! The lines of `init` and `doctor` about a database: its content, and what it forbids the gate.
//!
//! Leaves the findings to the queue and the store. Callers rely on this: text from the database is
//! escaped here.

use serial_gate::queue::Adoption;
use serial_gate::store::{Census, Counted, Forbidden, Proof};

use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{self, count, shown, shown_or_dash};

/// Adds what the trial found, one line each.
pub fn proof(report: &mut Report, proof: &Proof, shared: &Shared) {
    for found in &proof.forbidden {
        if found.is_needed() {
            let forbidden = toned(Tone::Held, "forbidden:");
            report.line(format!(
                "{forbidden} {}",
                shown(&Forbidden::to_string(found))
            ));
        } else {
            report.note(&found.to_string());
        }
    }
    if let Some(reason) = &proof.unknown {
        report.note(&format!(
            "no claim was tried: {reason}. Run `{} doctor` when that has changed",
            text::gate(shared)
        ));
    }
}

/// Adds where the rule does not fit the rows, and the command that sets rules that would fit.
pub fn advice(report: &mut Report, adoption: &Adoption, shared: &Shared, fitting: &[&'static str]) {
    for advice in &adoption.advice {
        report.note(&advice.to_string());
    }
    let Some(rules) = &adoption.rules else {
        return;
    };
    let fill_in = |word: &&'static str| {
        if *word == RULES {
            rules.as_str()
        } else {
            *word
        }
    };
    let arguments: Vec<&str> = fitting.iter().map(fill_in).collect();
    if let Some(command) = text::command(shared, &arguments) {
        report.line(format!("  rules that would fit: {command}"));
    }
}

/// The place of the rules in a command.
pub const RULES: &str = "RULES";

/// Sets the rules of a prepared queue.
pub const SET: [&str; 6] = ["policy", "settings", "--rules", RULES, "--reason", "TEXT"];

/// Prepares a queue with rules.
pub const GIVE: [&str; 3] = ["init", "--rules", RULES];

/// The content of the tables in one line. `None` if they are empty.
pub fn census(census: &Census) -> Option<String> {
    if census.tasks == 0 && census.jobs == 0 {
        return None;
    }
    let mut parts = vec![
        part(&rows(census.tasks, "task"), &census.stages),
        part(&rows(census.jobs, "job"), &census.statuses),
    ];
    if census.any_queued {
        parts.push(part("queued for", &census.queued_agents));
    }
    let line = parts.join("; ");
    let sample = u64::from(census.sample);
    Some(if census.tasks > sample || census.jobs > sample {
        format!("{line} (counted in {sample} rows of each)")
    } else {
        line
    })
}

/// A number of rows: `1 task`, `3 tasks`.
pub fn rows(number: u64, thing: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), thing)
}

fn part(what: &str, counted: &[Counted]) -> String {
    let values: Vec<String> = counted
        .iter()
        .map(|it| format!("{} {}", named(it), it.rows))
        .collect();
    if values.is_empty() {
        what.into()
    } else {
        format!("{what}: {}", values.join(", "))
    }
}

fn named(counted: &Counted) -> String {
    match &counted.value {
        Some(value) => format!("`{}`", shown(value)),
        None => shown_or_dash(None),
    }
}
