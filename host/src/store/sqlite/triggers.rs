//! The triggers: they mark a repo as dirty when a row changes that can affect its claims, give each
//! freeze its number, and give the clause in force a new version.
//!
//! Owns their text, which is the same for every policy. Leaves the marks to `heads`, where the next
//! claim evaluates each marked repo anew. Callers rely on this: a change of a row by any program
//! makes the mark in the same transaction, with two exceptions. A claim makes its marks itself and
//! leaves out the index that it updates. And no trigger fires for a row that `REPLACE` deletes
//! because of another unique column than its id (SQLite, lang_conflict.html): only the comparison
//! in `verify` finds it, which a claim that finds nothing runs. Every freeze gets a number, by
//! whatever program, even when a cleared row becomes a freeze again; the number is never reused,
//! and no statement fails because of it. The triggers run in other programs' SQLite, so they use
//! only what old versions have.

use crate::clause::Table;

/// A trigger: its name, its table, and the statement that makes it.
pub(crate) struct Trigger {
    pub name: String,
    pub table: &'static str,
    pub create: String,
}

/// Every trigger.
pub(crate) fn all() -> impl Iterator<Item = Trigger> {
    let of_tables = Table::ALL.into_iter().flat_map(of_table);
    of_tables.chain(numbers()).chain(versions())
}

/// A freeze gets a number when its row is inserted, and a row that becomes a freeze gets a new one.
///
/// The time in milliseconds keeps the numbers growing when the last one is lost with the file, as
/// in a restored backup; the last number does so when the clock goes back or a millisecond has
/// several freezes. Neither statement inserts a row, so that `last_insert_rowid()` and the conflict
/// clause of the statement outside are not affected.
fn numbers() -> [Trigger; 2] {
    let name = Table::RepoFreeze.name();
    let number = format!(
        "UPDATE serial_gate_freeze_number SET last = max(last + 1, {NOW_MS});
         UPDATE {name} SET gate_number = coalesce((SELECT last FROM serial_gate_freeze_number), \
            {NOW_MS}) WHERE id = NEW.id;"
    );
    let again =
        "NEW.cleared_at IS NULL AND (OLD.cleared_at IS NOT NULL OR OLD.repo IS NOT NEW.repo)";
    [
        ("numbered", "AFTER INSERT", "TRUE"),
        ("renumbered", "AFTER UPDATE OF cleared_at, repo", again),
    ]
    .map(|(what, event, when)| {
        let trigger = format!("serial_gate_{name}_{what}");
        Trigger {
            create: format!(
                "CREATE TRIGGER {trigger} {event} ON {name} WHEN {when} BEGIN {number} END"
            ),
            name: trigger,
            table: name,
        }
    })
}

/// A new version of the clause: greater than every earlier one, even if the last was lost with the
/// file, as in a restored backup.
pub(crate) const NEXT_VERSION: &str = "UPDATE serial_gate_clause_version
     SET version = max(version + 1, CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER));";

/// Fires whenever another generation becomes active, or the active one changes.
fn versions() -> [Trigger; 5] {
    let table = "serial_gate_generation";
    // A REPLACE deletes it without a delete trigger.
    let goes = format!("EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id AND state = 'active')");
    let renumbers = format!("OLD.id IS NOT NEW.id AND {goes}");
    let of_id = format!("BEFORE UPDATE OF id, {}", ROWID.join(", "));
    [
        ("activated", "AFTER INSERT", "NEW.state = 'active'"),
        (
            "changed",
            "AFTER UPDATE",
            "OLD.state = 'active' OR NEW.state = 'active'",
        ),
        ("removed", "AFTER DELETE", "OLD.state = 'active'"),
        ("replacing", "BEFORE INSERT", &goes),
        ("renumbering", &of_id, &renumbers),
    ]
    .map(|(what, event, when)| {
        let trigger = format!("{table}_{what}");
        Trigger {
            create: format!(
                "CREATE TRIGGER {trigger} {event} ON {table} WHEN {when} BEGIN {NEXT_VERSION} END"
            ),
            name: trigger,
            table,
        }
    })
}

/// Below 2^53, so that every reader of JSON keeps it.
const NOW_MS: &str = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)";

/// The column of an index for whether its clause reads the table.
pub(crate) fn reads(table: Table) -> &'static str {
    match table {
        Table::Tasks => "reads_tasks",
        Table::Jobs => "reads_jobs",
        Table::RepoFreeze => "reads_freezes",
    }
}

fn of_table(table: Table) -> [Trigger; 5] {
    let name = table.name();
    let columns = || table.columns().iter().map(|column| column.name());
    let of = columns().chain(ROWID).collect::<Vec<_>>().join(", ");
    let differs = columns().map(|column| format!("OLD.{column} IS NOT NEW.{column}"));
    let differs = differs.collect::<Vec<_>>().join(" OR ");
    let [old, new] = ["OLD", "NEW"].map(|row| mark(row, INDEX, &matters(table, &[row])));
    // Most changes leave the row in its repo, so one mark is enough.
    let changed = mark("NEW", INDEX, &matters(table, &["OLD", "NEW"]));
    let elsewhere = format!("OLD.repo IS NOT NEW.repo AND {}", matters(table, &["OLD"]));
    let left = mark("OLD", INDEX, &elsewhere);
    // A REPLACE deletes the row of this id, if there is one, without a delete trigger.
    let from = format!("{INDEX} JOIN {name} AS replaced ON replaced.id = NEW.id");
    let replaced = mark("replaced", &from, &matters(table, &["replaced"]));
    [
        ("replacing", "BEFORE INSERT", "TRUE", replaced.clone()),
        (
            "renumbering",
            &format!("BEFORE UPDATE OF id, {}", ROWID.join(", ")),
            "OLD.id IS NOT NEW.id",
            replaced,
        ),
        ("added", "AFTER INSERT", "TRUE", new.clone()),
        (
            "changed",
            &format!("AFTER UPDATE OF {of}"),
            &format!("({differs}){}", but_no_claim(table)),
            format!("{changed} {left}"),
        ),
        ("removed", "AFTER DELETE", "TRUE", old),
    ]
    .map(|(what, event, when, body)| {
        let trigger = format!("serial_gate_{name}_{what}");
        Trigger {
            create: format!(
                "CREATE TRIGGER {trigger} {event} ON {name} WHEN {when} BEGIN {body} END"
            ),
            name: trigger,
            table: name,
        }
    })
}

const INDEX: &str = "serial_gate_index";

/// The other names of a row's id. SQLite compares the name in `UPDATE OF` with the name in the
/// statement.
const ROWID: [&str; 3] = ["rowid", "oid", "_rowid_"];

/// A claim gives the job a higher fence than it ever had, and of what a clause can see it changes
/// only the status. Another program that writes the gate's columns like this looks like a claim;
/// the next claim, which evaluates the clause again, finds the wrong head.
fn but_no_claim(table: Table) -> &'static str {
    match table {
        Table::Jobs => {
            " AND (OLD.status IS 'queued' AND NEW.status IS 'running' AND \
             NEW.gate_fence > coalesce(OLD.gate_fence, 0) \
             AND OLD.id IS NEW.id AND OLD.task_id IS NEW.task_id AND OLD.repo IS NEW.repo \
             AND OLD.agent IS NEW.agent) IS NOT TRUE"
        }
        Table::Tasks | Table::RepoFreeze => "",
    }
}

/// Whether inserted or deleted rows affect an index: if its clause reads their table, or if a job
/// enters or leaves the queue.
fn matters(table: Table, rows: &[&str]) -> String {
    let reads = reads(table);
    let queued = match table {
        Table::Jobs => rows,
        Table::Tasks | Table::RepoFreeze => &[],
    };
    let queued = queued
        .iter()
        .map(|row| format!(" OR {row}.status = 'queued'"));
    format!("({reads}{})", queued.collect::<String>())
}

/// Marks the repo of a row for each index to which it matters and that has no such mark yet. It
/// checks for a mark instead of using `OR IGNORE`: inside a trigger the outer statement's conflict
/// clause applies, and a second mark would fail another program's `INSERT OR ABORT`.
pub(crate) fn mark(row: &str, from: &str, matters: &str) -> String {
    format!(
        "INSERT INTO serial_gate_dirty (idx, no_repo, repo)
         SELECT serial_gate_index.id, {row}.repo IS NULL, coalesce({row}.repo, '') FROM {from}
         WHERE {matters} AND NOT EXISTS (
            SELECT 1 FROM serial_gate_dirty AS marked WHERE marked.idx = serial_gate_index.id
            AND marked.no_repo = ({row}.repo IS NULL) AND marked.repo = coalesce({row}.repo, ''));"
    )
}
