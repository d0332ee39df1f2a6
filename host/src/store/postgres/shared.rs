//! Whether the gate can work with a table of the orchestrator: what it is, and which columns it has.
//!
//! Owns the refusals, each with the name of the table or column. Leaves the catalogs to `catalog`,
//! and what a row may hold to the trial. Callers rely on this: in a table that is not refused, the
//! clause compares as the rule does, numbers as numbers and text byte by byte.
//!
//! A text may have the database's own collation: it tells every two different texts apart, which is
//! all that `=` needs, and where the clause compares an order it names the collation itself. Any
//! other collation is refused, even one that tells them apart: where two columns with different
//! ones meet, the server compares nothing at all.

use std::collections::BTreeMap;

use super::catalog::{Column, Kind, Relation};
use super::schema::{INTEGER_OR_NULL, Shared};
use crate::clause;
use crate::store::records::tasks::LABEL;
use crate::store::{Error, Problem};

/// Columns that hold a time, as text or as the server's own.
const TIMES: [&str; 3] = ["created_at", "frozen_at", "cleared_at"];

/// The gate's own columns in a table of the orchestrator.
const OWN: &str = "gate_";

/// Refuses a table of this name with which the gate cannot work. What it lacks and can be given is
/// no reason.
pub(crate) fn check(
    table: &Shared,
    relation: &Relation,
    columns: &BTreeMap<String, Column>,
) -> Result<(), Error> {
    let name = table.name;
    check_relation(name, relation)?;
    let id = columns.get("id").map(|id| (id, kind_of(&id.base)));
    match id {
        Some((id, Some(clause::Kind::Integer))) if id.is_key => {}
        Some((id, Some(clause::Kind::Integer))) => {
            return Err(problem(format!(
                "its column `{name}.id` is declared `{}` and may be NULL or occur twice, and it \
                 gives the order of the queue: make it the primary key",
                id.declared
            )));
        }
        Some((id, _)) => {
            return Err(problem(format!(
                "its column `{name}.id` is declared `{}`, and the rule compares it as `bigint`, \
                 which gives the order of the queue",
                id.declared
            )));
        }
        None => return Err(lacks(name, "id")),
    }
    for (wanted, kind) in table.required {
        let column = columns.get(*wanted).ok_or_else(|| lacks(name, wanted))?;
        check_column(name, wanted, column, *kind)?;
    }
    for (added, of) in table.added {
        let is_ours = added.starts_with(OWN) || *added == LABEL;
        if let Some(column) = columns.get(*added).filter(|_| is_ours) {
            let kind = if *of == INTEGER_OR_NULL {
                clause::Kind::Integer
            } else {
                clause::Kind::Text
            };
            check_column(name, added, column, kind)?;
        }
    }
    Ok(())
}

fn check_relation(name: &str, relation: &Relation) -> Result<(), Error> {
    match relation.kind {
        Kind::Table if relation.has_children => Err(problem(format!(
            "other tables inherit from `{name}`, and their rows have no triggers of the gate: \
             give it a table of its own"
        ))),
        Kind::Table if relation.hides_rows => Err(problem(format!(
            "row-level security hides rows of `{name}` from this role, and the gate has to see \
             every row: let the role bypass it"
        ))),
        Kind::Table => Ok(()),
        Kind::Partitioned => Err(problem(format!(
            "its table `{name}` is partitioned, and a claim cannot lock a row that moves between \
             partitions: make it a plain table, or give the gate its own schema"
        ))),
        other => Err(occupied(name, "a table", other)),
    }
}

/// A name that the gate needs is that of something else.
pub(crate) fn occupied(name: &str, needed: &str, is: Kind) -> Error {
    let is = is.with_article();
    let kind = is.split_once(' ').map_or(is, |(_, kind)| kind);
    problem(format!(
        "`{name}` is {is}, and the gate needs {needed} of this name: rename the {kind}, or give \
         the gate its own schema"
    ))
}

fn check_column(table: &str, name: &str, column: &Column, kind: clause::Kind) -> Result<(), Error> {
    if column.is_generated {
        return Err(problem(format!(
            "its column `{table}.{name}` is generated, and the gate has to write it"
        )));
    }
    if TIMES.contains(&name) && is_time(&column.base) {
        return Ok(());
    }
    if kind_of(&column.base) != Some(kind) {
        let needed = match kind {
            clause::Kind::Integer => "bigint",
            clause::Kind::Text => "text",
        };
        let uses = if name.starts_with(OWN) {
            "the gate writes"
        } else {
            "the rule compares"
        };
        return Err(problem(format!(
            "its column `{table}.{name}` is declared `{}`, and {uses} it as `{needed}`: declare it \
             so",
            column.declared
        )));
    }
    // The gate's own tables have this one.
    match &column.collation {
        Some(collation) if collation != "C" => Err(problem(format!(
            "its column `{table}.{name}` compares by the collation `{collation}`, and the rule \
             byte by byte: drop the collation"
        ))),
        _ => Ok(()),
    }
}

/// The kind that a type compares as. `character` ignores blanks at the end, `citext` the case, and
/// an enum knows only its own words.
fn kind_of(base: &str) -> Option<clause::Kind> {
    match base {
        "smallint" | "integer" | "bigint" => Some(clause::Kind::Integer),
        "text" | "character varying" => Some(clause::Kind::Text),
        _ => None,
    }
}

fn is_time(base: &str) -> bool {
    matches!(
        base,
        "timestamp with time zone" | "timestamp without time zone"
    )
}

fn lacks(table: &str, column: &str) -> Error {
    problem(format!(
        "its table `{table}` lacks the column `{column}`: add it and fill it, or give the gate its \
         own schema"
    ))
}

pub(crate) fn problem(problem: String) -> Error {
    Problem::Schema(problem).unnamed()
}
