//! The first unfinished task of a repo, for rules with other finished stages than the reference's
//! `done`.
//!
//! Owns one query. Leaves the default rules to `lookup`. Callers rely on this: its cost depends on
//! how many stages the repo has, not on how many tasks.

use super::branches::{BRANCH, branch_at};
use super::lookup::ActiveTask;
use super::task_end::{DONE, FinishedStages};
use crate::store::engine::values;
use crate::store::{Error, Store};

/// How many stages of a repo are looked at.
const STAGES: u32 = 1_000;

impl Store {
    /// The first task of a repo whose stage is not finished. A task without a stage holds nothing
    /// and is left out.
    pub fn active_task_under(
        &mut self,
        repo: &str,
        finished: &FinishedStages,
    ) -> Result<Option<ActiveTask>, Error> {
        if finished.iter().eq([DONE]) {
            return self.active_task(repo);
        }
        self.read(|tx| {
            // Goes from one stage to the next in the index, to the first task of each.
            let sql = format!(
                "WITH RECURSIVE found (stage, number) AS (
                SELECT (SELECT stage FROM tasks WHERE repo = $1 AND stage IS NOT NULL
                ORDER BY stage LIMIT 1), 1
                UNION ALL
                SELECT (SELECT stage FROM tasks WHERE repo = $1 AND stage > found.stage
                ORDER BY stage LIMIT 1), number + 1
                FROM found WHERE found.stage IS NOT NULL AND number < {STAGES}
             ) SELECT tasks.id, work_item_id, stage, {BRANCH} FROM tasks WHERE id = (
                SELECT min((SELECT id FROM tasks WHERE repo = $1 AND stage = found.stage
                ORDER BY id LIMIT 1))
                FROM found WHERE found.stage NOT IN ({}))",
                tx.texts_of("$2")
            );
            tx.row(&sql, values![repo, finished.as_json()], |row| {
                Ok(ActiveTask {
                    id: row.get(0)?,
                    work_item_id: row.shown(1)?,
                    stage: row.shown(2)?,
                    branch: branch_at(row, 3)?,
                })
            })
        })
    }
}
