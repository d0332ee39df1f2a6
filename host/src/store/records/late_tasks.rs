//! Tasks that appeared after a higher one of their repo had been started.
//!
//! Owns their alerts: one for each repo, however many tasks there are, and none twice. Leaves it to
//! the trigger of the engine to write the tasks down, in the transaction that adds them. Callers
//! rely on this: a look that finds nothing new writes nothing.

use jiff::Timestamp;

use super::alerts::{self, NewAlert, THE_HOST};
use super::lookup::work_item_of;
use crate::store::engine::{Tx, values};
use crate::store::error::task_named;
use crate::store::{AlertKind, Error, sql_time};

/// How many there were so far.
pub(crate) fn count(tx: &dyn Tx) -> Result<i64, Error> {
    let sql = "SELECT count(*) FROM serial_gate_late_task";
    tx.only(sql, &[], |row| row.get(0))
}

/// Whether there are tasks without an alert.
pub(crate) fn any_untold(tx: &dyn Tx) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM serial_gate_late_task WHERE told_at IS NULL LIMIT 1";
    tx.exists(sql, &[])
}

/// Adds an alert for each repo that has tasks without one. Returns how many alerts it added.
pub(crate) fn tell(tx: &dyn Tx, now: Timestamp) -> Result<usize, Error> {
    // Of two processes that look at once, the second finds no row that is not told of.
    let mut late = tx.rows(
        "UPDATE serial_gate_late_task SET told_at = $1 WHERE told_at IS NULL
         RETURNING repo, task, started",
        values![sql_time(now)],
        |row| Ok((row.shown(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?)),
    )?;
    late.sort_unstable();
    let of_repos = late.chunk_by(|(one, ..), (other, ..)| one == other);
    let mut told = 0;
    for tasks in of_repos {
        let Some((repo, task, started)) = tasks.first() else {
            continue;
        };
        let started = task_named(*started, work_item_of(tx, *started)?.as_deref());
        let why = match tasks.len() {
            1 => format!("{started} had been started by then"),
            2 => format!("{started} had been started by then; so it is with 1 more task"),
            many => format!(
                "{started} had been started by then; so it is with {} more tasks",
                many - 1
            ),
        };
        let work_item = work_item_of(tx, *task)?;
        let alert = NewAlert {
            kind: AlertKind::LateTask,
            repo: repo.as_deref(),
            work_item: work_item.as_deref(),
            subject: Some(*task),
            who: THE_HOST,
            why: &why,
        };
        alerts::add(tx, now, alert)?;
        told += 1;
    }
    Ok(told)
}
