//! What `init` and `doctor` tell of a database: what is in it, and what it does not let the gate
//! do.
//!
//! Owns the lines. What they say is the queue's and the store's; text of the database is escaped
//! here.

use serial_gate::queue::Adoption;
use serial_gate::store::{Census, Counted, Forbidden, Proof};

use super::Error;
use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::text::{self, count, shown, shown_or_dash};

/// A line that an operator should read.
pub fn note(output: &mut Output, text: &str) -> Result<(), Error> {
    let note = toned(Tone::Held, "note:");
    Ok(output.line(format!("{note} {}", shown(text)))?)
}

/// What the trial found, a line each.
pub fn proof(output: &mut Output, proof: &Proof) -> Result<(), Error> {
    for found in &proof.forbidden {
        if found.is_needed() {
            let forbidden = toned(Tone::Held, "forbidden:");
            output.line(format!(
                "{forbidden} {}",
                shown(&Forbidden::to_string(found))
            ))?;
        } else {
            note(output, &found.to_string())?;
        }
    }
    if let Some(reason) = &proof.unknown {
        note(
            output,
            &format!(
                "no claim was tried: {reason}. `serial-gate doctor` tries one when that has changed"
            ),
        )?;
    }
    Ok(())
}

/// What the rule makes of the rows, and the command that sets the rules that would fit.
pub fn advice(
    output: &mut Output,
    adoption: &Adoption,
    shared: &Shared,
    fitting: &[&str],
) -> Result<(), Error> {
    for advice in &adoption.advice {
        note(output, &advice.to_string())?;
    }
    if let Some(rules) = &adoption.rules {
        let arguments: Vec<&str> = fitting
            .iter()
            .map(|word| if *word == RULES { rules } else { *word })
            .collect();
        if let Some(command) = text::command(shared, &arguments) {
            output.line(format!("  rules that would fit: {command}"))?;
        }
    }
    Ok(())
}

/// Where the rules belong in a command.
pub const RULES: &str = "RULES";

/// How the rules of a prepared queue are set.
pub const SET: [&str; 6] = ["policy", "settings", "--rules", RULES, "--reason", "TEXT"];

/// How they are given to a queue that is yet to be prepared.
pub const GIVE: [&str; 3] = ["init", "--rules", RULES];

/// What is in the tables, in one line; none if they are empty.
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
