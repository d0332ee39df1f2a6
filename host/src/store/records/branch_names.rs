//! A new task whose branch name must not collide with another task's.
//!
//! Owns the check of the other tasks of its repo, in the transaction that adds it, so that two
//! tasks that are added at once see each other. Leaves to the caller what a branch is called, and
//! which names git cannot keep together. Callers rely on this: the task is added whole or not at
//! all; and the check takes a bounded time.

use std::time::Duration;

use jiff::Timestamp;

use super::new_job::claim_added;
use super::tasks::{check_names, insert};
use crate::store::engine::{Tx, values};
use crate::store::{Added, Error, FinishedStages, NewTask, Store};

/// How many unfinished tasks of a repo are looked at, the latest first. A collision with an older
/// one is found when the branch is cut.
const LOOKED_AT: u32 = 10_000;

/// What the branches of a repo are called.
#[derive(Clone, Copy)]
pub struct Naming<'a> {
    /// The branch of a task, by its id and its work item.
    pub branch_of: &'a dyn Fn(i64, Option<&str>) -> String,
    /// Whether git cannot keep both branches.
    pub collide: &'a dyn Fn(&str, &str) -> bool,
    /// The stages of finished tasks, whose planned names are free again.
    pub finished: &'a FinishedStages,
}

impl Store {
    /// As [`Store::add_task`], or with a worker and its lease as [`Store::add_task_claimed`], where
    /// the task will have a branch.
    ///
    /// # Errors
    ///
    /// As there, and when another task of the repo has the branch, or a branch that git cannot keep
    /// together with it.
    pub fn add_task_with_branch(
        &mut self,
        now: Timestamp,
        task: NewTask<'_>,
        naming: Naming<'_>,
        claimed: Option<(&str, Duration)>,
    ) -> Result<(Added, Option<String>), Error> {
        check_names(task)?;
        self.write_alone(|tx| {
            let added = insert_with_branch(tx, now, task, naming)?;
            let token = match claimed {
                None => None,
                Some((worker, lease)) => Some(claim_added(tx, added.job_id, worker, now, lease)?),
            };
            Ok((added, token))
        })
    }
}

/// Adds a task, and refuses it if its branch collides.
pub(crate) fn insert_with_branch(
    tx: &dyn Tx,
    now: Timestamp,
    task: NewTask<'_>,
    naming: Naming<'_>,
) -> Result<Added, Error> {
    let added = insert(tx, now, task)?;
    look_for_others(tx, added.task_id, task, naming)?;
    Ok(added)
}

fn look_for_others(
    tx: &dyn Tx,
    id: i64,
    task: NewTask<'_>,
    naming: Naming<'_>,
) -> Result<(), Error> {
    let branch = (naming.branch_of)(id, task.work_item);
    // A branch that was cut outlives its task.
    let cut: Option<i64> = tx.row(
        "SELECT id FROM tasks WHERE repo = $1 AND gate_branch = $2 AND id != $3 LIMIT 1",
        values![task.repo, branch, id],
        |row| row.get(0),
    )?;
    if let Some(other) = cut {
        return Err(Error::BranchOf {
            branch,
            task: other,
        });
    }
    let unfinished = format!(
        "SELECT id, work_item_id, gate_branch FROM (
            SELECT id, work_item_id, gate_branch, stage FROM tasks
            WHERE repo = $1 AND stage != 'done' AND id != $2 ORDER BY id DESC
            LIMIT {LOOKED_AT}) AS newest
         WHERE stage NOT IN ({})",
        tx.texts_of("$3")
    );
    tx.query(
        &unfinished,
        values![task.repo, id, naming.finished.as_json()],
        &mut |row| {
            let (other_task, work_item) = (row.get(0)?, row.shown(1)?);
            let cut = row.shown(2)?;
            let other = cut.unwrap_or_else(|| (naming.branch_of)(other_task, work_item.as_deref()));
            if other == branch {
                return Err(Error::BranchOf {
                    branch: other,
                    task: other_task,
                });
            }
            if (naming.collide)(&branch, &other) {
                return Err(Error::BranchBeside {
                    branch: branch.clone(),
                    other,
                    task: other_task,
                });
            }
            Ok(true)
        },
    )
}
