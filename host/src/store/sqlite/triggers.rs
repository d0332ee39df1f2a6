//! The triggers: those that mark a repo as dirty when a row changes that may have a say in its
//! claims, those that give each freeze its number, and those that give the clause in force another
//! version.
//!
//! Owns their text, which is the same for every policy. Leaves the marks to `heads`, where the next
//! claim evaluates each marked repo anew. Callers rely on this: a program that changes a row, by
//! whatever program, makes the mark in the same transaction, with two exceptions. A claim makes its
//! marks itself: it leaves out the index that it keeps right. And no trigger fires for a row that
//! `REPLACE` deletes for another unique column than its id (SQLite, lang_conflict.html): only the
//! comparison in `doctor` finds it, which a claim that finds nothing makes. A number is given to
//! every freeze by whatever program, also when a cleared row is made a freeze again; it never comes
//! again, and no statement fails for it. They run in other programs' SQLite, so they use only what
//! old versions have.

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

/// A freeze gets a number when its row comes, and another one when a row becomes a freeze that it
/// was not.
///
/// The time in milliseconds keeps the numbers growing where the last one is lost with the file, as
/// in a restored backup; the last one does where the clock goes back or a millisecond has many
/// freezes. Neither statement inserts a row, so that `last_insert_rowid()` and the conflict clause
/// of the statement outside do not matter.
fn numbers() -> [Trigger; 2] {
    let name = Table::RepoFreeze.name();
    let number = format!(
        "UPDATE serial_gate_freeze_number SET last = max(last + 1, {NOW_MS});
         UPDATE {name} SET gate_number = coalesce((SELECT last FROM serial_gate_freeze_number), {NOW_MS}) WHERE id = NEW.id;"
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

/// Another version of the clause: greater than every one before, also where the last one was lost
/// with the file, as in a restored backup.
pub(crate) const NEXT_VERSION: &str = "UPDATE serial_gate_clause_version
     SET version = max(version + 1, CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER));";

/// Whenever the active generation is another one, or is changed.
fn versions() -> [Trigger; 5] {
    let table = "serial_gate_generation";
    // It goes without a delete trigger when the statement is a REPLACE.
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

/// The column of an index that says whether its clause reads the table.
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
    // Most changes leave the row in its repo, and one mark will do.
    let changed = mark("NEW", INDEX, &matters(table, &["OLD", "NEW"]));
    let elsewhere = format!("OLD.repo IS NOT NEW.repo AND {}", matters(table, &["OLD"]));
    let left = mark("OLD", INDEX, &elsewhere);
    // The row of this id, if there is one, goes without a delete trigger when the statement is a
    // REPLACE.
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

/// The other names of a row's id. SQLite compares the name in `UPDATE OF` with the name that a
/// statement uses.
const ROWID: [&str; 3] = ["rowid", "oid", "_rowid_"];

/// A claim gives the job a higher fence than it ever had, and changes nothing else that a clause
/// could see but its status. A program that writes the gate's own columns like this is taken for a
/// claim, and the next claim, which asks the clause again, finds the head wrong.
fn but_no_claim(table: Table) -> &'static str {
    match table {
        Table::Jobs => {
            " AND (OLD.status IS 'queued' AND NEW.status IS 'running' AND NEW.gate_fence > coalesce(OLD.gate_fence, 0) \
             AND OLD.id IS NEW.id AND OLD.task_id IS NEW.task_id AND OLD.repo IS NEW.repo AND OLD.agent IS NEW.agent) IS NOT TRUE"
        }
        Table::Tasks | Table::RepoFreeze => "",
    }
}

/// Whether it matters to an index that some rows come or go: to a clause that reads their table,
/// and, whatever it reads, if a job comes to the queue or leaves it.
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

/// Marks the repo of a row for each index to which it matters and that has no such mark yet. It is
/// asked for, and not left to `OR IGNORE`: inside a trigger the conflict clause of the statement
/// outside counts, and a second mark would fail another program's `INSERT OR ABORT`.
pub(crate) fn mark(row: &str, from: &str, matters: &str) -> String {
    format!(
        "INSERT INTO serial_gate_dirty (idx, no_repo, repo)
         SELECT serial_gate_index.id, {row}.repo IS NULL, coalesce({row}.repo, '') FROM {from}
         WHERE {matters} AND NOT EXISTS (
            SELECT 1 FROM serial_gate_dirty AS marked WHERE marked.idx = serial_gate_index.id
            AND marked.no_repo = ({row}.repo IS NULL) AND marked.repo = coalesce({row}.repo, ''));"
    )
}
