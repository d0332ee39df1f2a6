//! Whether the gate can do its work in a database: tried with a row, by the statements that do it,
//! and undone.
//!
//! Owns what is tried, and in which order. Leaves the row to `rows`, the words to `forbidden`, and
//! each statement to the file that owns it. Callers rely on this: they hold the write lock, and
//! when this returns the database is unchanged, whatever its triggers did, unless a trigger has
//! rolled back the whole transaction, which `is_autocommit` shows.

mod life;
mod others;
mod reason;
mod references;
mod rows;
mod why;

use rusqlite::{Connection, OptionalExtension};

use crate::store::engine::values;
use crate::store::forbidden::{Attempt, Forbidden};
use crate::store::job;
use crate::store::records::jobs::is_there;
use crate::store::sqlite::probe::life::{try_another, try_ways};
use crate::store::sqlite::probe::others::{try_freezes, try_task};
use crate::store::sqlite::probe::reason::{broken_by_a_trigger, reason};
use crate::store::sqlite::probe::rows::{Chosen, add_some_task, choose};
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::value::Shown;
use crate::store::trial::{Proof, Trial};
use crate::store::{Actor, Error};

/// What went wrong in a trial.
enum Trouble {
    Error(Error),
    /// Described already.
    Reference(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Error(error)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Error(error.into())
    }
}

/// Tries what is not yet known to be forbidden, and adds what is.
///
/// # Errors
///
/// When the disk or another program prevents it.
pub(crate) fn probe(
    connection: &Connection,
    trial: &Trial,
    proof: &mut Proof,
) -> Result<(), Error> {
    match try_all(connection, trial, proof) {
        // A trigger has ended the transaction, and is among the findings.
        Err(Error::GroupEnded) => Ok(()),
        other => other,
    }
}

fn try_all(connection: &Connection, trial: &Trial, proof: &mut Proof) -> Result<(), Error> {
    let whole = begin(connection)?;
    if !proof.knows(Attempt::AddTask) {
        let t = begin(&whole)?;
        let found = match add_some_task(&t, trial)? {
            Ok(added) => added.refused,
            Err(found) => Some(found),
        };
        proof.forbidden.extend(found);
    }
    let job = if proof.unknown.is_some() || proof.knows(Attempt::Queue) {
        None
    } else {
        match choose(&whole, trial, proof.may_add())? {
            Chosen::Job(job) => Some(job),
            Chosen::Forbidden(found) => {
                proof.forbidden.push(found);
                None
            }
            Chosen::Unknown(reason) => {
                proof.unknown = Some(reason);
                None
            }
        }
    };
    if let Some(job) = job {
        let job = try_ways(&whole, trial, job, proof)?;
        if proof.is_fit() {
            try_another(&whole, trial, job, proof)?;
            try_task(&whole, trial, job, proof)?;
        }
    }
    if trial.freezes {
        try_freezes(&whole, trial, proof)?;
    }
    Ok(())
}

/// A part of the trial. Dropping it undoes it.
fn begin(connection: &Connection) -> Result<Transaction<'_>, Error> {
    if connection.is_autocommit() {
        return Err(Error::GroupEnded);
    }
    Ok(Transaction::join(connection)?)
}

fn forbid(connection: &Connection, what: Attempt, trouble: Trouble) -> Result<Forbidden, Error> {
    let remedy = why::remedy(what, &trouble);
    let reason = match trouble {
        Trouble::Reference(words) => words,
        Trouble::Error(error) => {
            let reason = reason(connection, what, error)?;
            if reason == "FOREIGN KEY constraint failed" && !connection.is_autocommit() {
                let named = named(connection, what)?;
                if named.is_empty() {
                    broken_by_a_trigger(connection, what)?
                } else {
                    format!("{reason}: {named}")
                }
            } else {
                reason
            }
        }
    };
    Ok(Forbidden {
        what,
        statuses: Vec::new(),
        needs: None,
        some: false,
        reason,
        remedy,
    })
}

/// The references of the columns that the gate has written: one of them is broken.
fn named(connection: &Connection, what: Attempt) -> Result<String, Error> {
    match what {
        Attempt::AddTask => {
            let [tasks, jobs] =
                ["tasks", "jobs"].map(|it| references::named(connection, it, |_| true));
            let both = [tasks?, jobs?];
            let named: Vec<&str> = both
                .iter()
                .map(|it| &**it)
                .filter(|it| !it.is_empty())
                .collect();
            Ok(named.join(", "))
        }
        Attempt::Queue | Attempt::Freeze | Attempt::FreezeAgain => {
            references::named(connection, what.table(), |_| true)
        }
        _ => references::named(connection, what.table(), is_of_the_gate),
    }
}

/// Sets only the status of a job.
fn set_status(t: &Transaction<'_>, row: i64, status: &str) -> Result<(), Trouble> {
    job::set_status(t, row, status)?;
    let query = "SELECT 1 FROM jobs WHERE id = $1 AND status = $2";
    is_there(t, row, query, values![row, status])?;
    refers(t, "jobs", row, is_of_the_gate)
}

fn refers(
    connection: &Connection,
    table: &str,
    row: i64,
    is_ours: impl Fn(&str) -> bool,
) -> Result<(), Trouble> {
    match references::broken(connection, table, row, is_ours)? {
        Some(words) => Err(Trouble::Reference(words)),
        None => Ok(()),
    }
}

/// Whether the gate writes this column of another program's rows.
fn is_of_the_gate(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    column == "status" || column == "stage" || column.starts_with("gate_")
}

/// The task of a job, if there is one, and its stage.
fn task_of(connection: &Connection, job: i64) -> Result<Option<(i64, Option<String>)>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT tasks.id, tasks.stage FROM jobs JOIN tasks ON tasks.id = jobs.task_id
         WHERE jobs.id = ?1",
    )?;
    let task = query.query_row([job], |row| Ok((row.get(0)?, row.get::<_, Shown>(1)?.0)));
    Ok(task.optional()?)
}

fn actor(trial: &Trial) -> Actor<'static> {
    Actor {
        now: trial.now,
        who: "serial-gate",
        why: "a trial, which is undone",
    }
}
