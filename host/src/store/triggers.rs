//! The triggers that mark a repo as dirty when a row changes that may have a say in its claims.
//!
//! Owns their text, which is the same for every policy. Leaves the marks to `candidates`, where the next claim evaluates
//! each marked repo anew. Callers rely on this: whoever changes a row, by whatever program, makes the mark in the same
//! transaction. The one exception is a row that `REPLACE` deletes for another unique column than its id: no trigger fires
//! for it (SQLite, lang_conflict.html), and only the comparison in `doctor` finds it.

use crate::clause::Table;

/// A trigger: its name, its table, and the statement that makes it.
pub(super) struct Trigger {
    pub name: String,
    pub table: &'static str,
    pub create: String,
}

/// Every trigger that the candidates need.
pub(super) fn all() -> impl Iterator<Item = Trigger> {
    Table::ALL.into_iter().flat_map(of_table)
}

/// The column of an index that says whether its clause reads the table.
pub(super) fn reads(table: Table) -> &'static str {
    match table {
        Table::Tasks => "reads_tasks",
        Table::Jobs => "reads_jobs",
        Table::RepoFreeze => "reads_freezes",
    }
}

fn of_table(table: Table) -> [Trigger; 5] {
    let name = table.name();
    let columns = || table.columns().iter().map(|column| column.name());
    let of = columns().collect::<Vec<_>>().join(", ");
    let differs = columns().map(|column| format!("OLD.{column} IS NOT NEW.{column}"));
    let differs = differs.collect::<Vec<_>>().join(" OR ");
    let (old, new) = (mark(table, "OLD", ""), mark(table, "NEW", ""));
    // The row of this id, if there is one, goes without a delete trigger when the statement is a REPLACE.
    let replaced = mark(
        table,
        "replaced",
        &format!("JOIN {name} AS replaced ON replaced.id = NEW.id"),
    );
    [
        ("replacing", "BEFORE INSERT", "TRUE", replaced.clone()),
        (
            "renumbering",
            "BEFORE UPDATE OF id",
            "OLD.id IS NOT NEW.id",
            replaced,
        ),
        ("added", "AFTER INSERT", "TRUE", new.clone()),
        (
            "changed",
            &format!("AFTER UPDATE OF {of}"),
            &differs,
            format!("{old} {new}"),
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

/// Marks the repo of a row for each index whose clause may fare otherwise now and that has no such mark yet. It is asked
/// for, and not left to `OR IGNORE`: inside a trigger the conflict clause of the statement outside counts, and a second
/// mark would fail somebody's `INSERT OR ABORT`.
fn mark(table: Table, row: &str, join: &str) -> String {
    let reads = reads(table);
    let queued = match table {
        // Whatever the clause reads, a job comes to the queue or leaves it.
        Table::Jobs => format!(" OR {row}.status = 'queued'"),
        Table::Tasks | Table::RepoFreeze => String::new(),
    };
    format!(
        "INSERT INTO serial_gate_dirty (idx, no_repo, repo)
         SELECT serial_gate_index.id, {row}.repo IS NULL, coalesce({row}.repo, '')
         FROM serial_gate_index {join}
         WHERE ({reads}{queued}) AND NOT EXISTS (
            SELECT 1 FROM serial_gate_dirty AS marked WHERE marked.idx = serial_gate_index.id
            AND marked.no_repo = ({row}.repo IS NULL) AND marked.repo = coalesce({row}.repo, ''));"
    )
}
