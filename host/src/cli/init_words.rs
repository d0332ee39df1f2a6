//! The output of `init`: what it did or would do, and notes about the database.
//!
//! Owns the texts and the JSON. Leaves the facts to `init`.

use std::time::Duration;

use serde_json::json;
use serial_gate::store::{Before, Change, Prepared};

use super::adoption::{self, GIVE, SET, census, rows};
use super::doctor::LOST_ROW;
use super::init::Done;
use super::options::Shared;
use super::output::Report;
use super::pipeline;
use super::text::count;

/// Other writers notice a longer wait.
const LONG: Duration = Duration::from_secs(1);

/// The report.
pub fn report(done: &Done, verbose: bool, shared: &Shared) -> Report {
    let mut report = shared.report();
    let path = shared.db.location.to_string();
    report.json(&document(done, &path));
    report.line(match done.dry_run {
        true => what_would_be(done, &path),
        false => what_was_done(done, &path),
    });
    // An orchestrator that queues the next jobs itself needs no pipeline.
    let is_new = matches!(done.prepared.before, Before::Nothing | Before::OtherTables);
    let said = done.pipeline.as_ref();
    if let Some(pipeline) = said.filter(|pipeline| pipeline.is_some() || is_new) {
        report.line(pipeline::line(pipeline.as_ref(), shared));
    }
    if verbose {
        list(done, &mut report);
    }
    notes(done, shared, &mut report);
    report
}

fn document(done: &Done, path: &str) -> serde_json::Value {
    let prepared = &done.prepared;
    json!({
        "database": path,
        "changes": prepared.changes,
        "dry_run": done.dry_run,
        "before": prepared.before,
        "locked_ms": u64::try_from(prepared.locked.as_millis()).unwrap_or(u64::MAX),
        "forbidden": prepared.proof.forbidden,
        "untried": prepared.proof.unknown,
        "unread_tables": prepared.unread,
        "risks": prepared.risks,
        "adoption": done.adoption,
        "claimable": done.claimable,
        "pipeline": done.pipeline.as_ref().and_then(Option::as_ref),
        "note": done.kept,
        "similar": done.similar.as_ref().map(|path| path.to_string_lossy()),
    })
}

fn what_was_done(done: &Done, path: &str) -> String {
    let Prepared {
        before, changes, ..
    } = &done.prepared;
    match before {
        Before::Nothing => format!("created `{path}`: a new, empty queue"),
        Before::OtherTables => {
            format!("`{path}` has a new, empty queue next to its other tables")
        }
        Before::Orchestrator if done.uncounted.is_some() => format!("`{path}` adopted"),
        Before::Orchestrator => match table_rows(done) {
            (0, 0) => format!("`{path}` adopted: its `tasks` and `jobs` are empty"),
            found => {
                let free = done
                    .claimable
                    .map(|free| format!(", {free} may be claimed"));
                let free = free.unwrap_or_default();
                format!("`{path}` adopted: {} are there{free}", in_words(found))
            }
        },
        Before::Queue if changes.is_empty() => {
            format!("`{path}` is up to date: nothing was changed")
        }
        Before::Queue => format!(
            "`{path}` is ready: {} made",
            count(changes.len(), "addition")
        ),
    }
}

fn what_would_be(done: &Done, path: &str) -> String {
    let Prepared {
        before, changes, ..
    } = &done.prepared;
    let additions = count(changes.len(), "addition");
    let wait = format!("other writers would wait {}", seconds(done.prepared.locked));
    match before {
        Before::Nothing => format!("`{path}` would be created: a new, empty queue"),
        Before::OtherTables => {
            format!("`{path}` would get a new, empty queue next to its other tables; {wait}")
        }
        Before::Orchestrator => format!(
            "`{path}` would be adopted: {} are there, {additions} would be made; {wait}",
            in_words(table_rows(done))
        ),
        Before::Queue if changes.is_empty() => {
            format!("`{path}` is up to date: nothing would be changed")
        }
        Before::Queue => format!("`{path}` would get {additions}; {wait}"),
    }
}

/// The rows of `tasks` and of `jobs`.
fn table_rows(done: &Done) -> (u64, u64) {
    let census = done.adoption.as_ref().map(|adoption| &adoption.census);
    census.map_or((0, 0), |census| (census.tasks, census.jobs))
}

fn in_words((tasks, jobs): (u64, u64)) -> String {
    format!("{} and {}", rows(tasks, "task"), rows(jobs, "job"))
}

fn list(done: &Done, report: &mut Report) {
    for change in &done.prepared.changes {
        let (kind, name) = match change {
            Change::Table(name) => ("table", name),
            Change::Column(name) => ("column", name),
            Change::Row(name) => ("row of", name),
            Change::Index(name) => ("index", name),
            Change::Sequence(name) => ("sequence", name),
            Change::Function(name) => ("function", name),
            Change::Trigger(name) => ("trigger", name),
            Change::Generation(name) => ("policy", name),
            Change::JournalMode(name) => ("journal", name),
        };
        report.line(format!("  {kind:<7} {name}"));
    }
    let found = done.adoption.as_ref();
    if let Some(line) = found.and_then(|adoption| census(&adoption.census)) {
        report.line(line);
    }
}

fn notes(done: &Done, shared: &Shared, report: &mut Report) {
    let prepared = &done.prepared;
    if let Some(similar) = &done.similar {
        let similar = similar.display();
        report.note(&format!("did you mean `{similar}`, which is next to it?"));
    }
    if let Some(kept) = &done.kept {
        report.note(kept);
    }
    if let Some(cause) = &done.uncounted {
        report.note(&format!("its rows were not counted: {cause}"));
    }
    for change in &prepared.changes {
        if let Change::Row(name) = change {
            report.note(&format!("the row of `{name}` {LOST_ROW}"));
        }
    }
    adoption::proof(report, &prepared.proof, shared);
    for table in &prepared.unread {
        report.note(&format!(
            "the table `{table}` is not read: the gate reads only `tasks`, `jobs` and `repo_freeze`"
        ));
    }
    for risk in &prepared.risks {
        report.note(&risk.to_string());
    }
    if let Some(adoption) = &done.adoption {
        // A prepared queue has rules.
        let has_rules = !done.dry_run || prepared.before == Before::Queue;
        let fitting: &[&'static str] = if has_rules { &SET } else { &GIVE };
        adoption::advice(report, adoption, shared, fitting);
    }
    if !done.dry_run && prepared.locked > LONG {
        let waited = seconds(prepared.locked);
        report.note(&format!("other writers had to wait {waited}"));
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
