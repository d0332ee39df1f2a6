//! The first unfinished task of a repo, for rules with other finished stages than the reference's
//! `done`, and of many repos at once, for all rules.
//!
//! Owns two queries. Leaves one repo under the default rules to `lookup`. Callers rely on this: the
//! cost depends on how many repos and stages there are, not on how many tasks.

use super::branches::{BRANCH, branch_at};
use super::known::each_in;
use super::lookup::ActiveTask;
use super::task_end::{DONE, FinishedStages};
use crate::store::engine::{Row, ToValue, Tx, Value, values};
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
        if is_only_done(finished) {
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

fn is_only_done(finished: &FinishedStages) -> bool {
    finished.iter().eq([DONE])
}

/// Reads something of the first unfinished task of each repo, and the repos without one: of these
/// repos, or of all that tasks have. The first column is the repo's name, then come `columns` of
/// `tasks`, which are NULL where there is no such task. A task without a stage holds nothing and is
/// left out.
pub(crate) fn first_tasks<T>(
    tx: &dyn Tx,
    repos: Option<&[String]>,
    finished: &FinishedStages,
    columns: &str,
    read: impl FnMut(Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let sql = query_of_first_tasks(tx, repos.is_some(), finished, columns);
    let names = repos.map(|repos| serde_json::Value::from(repos).to_string());
    let stages = (!is_only_done(finished)).then(|| finished.as_json());
    let values = [names.as_deref(), stages].into_iter().flatten();
    let values: Vec<Value<'_>> = values.map(ToValue::to_value).collect();
    tx.rows(&sql, &values, read)
}

/// The query: of given repos, which are then the first parameter, or of all.
pub(crate) fn query_of_first_tasks(
    tx: &dyn Tx,
    are_given: bool,
    finished: &FinishedStages,
    columns: &str,
) -> String {
    let given = match are_given {
        true => format!("given (name) AS ({})", tx.texts_of("$1")),
        false => each_in("tasks", "repo", ""),
    };
    let first_of = |which: &str| {
        format!("(SELECT first.id FROM tasks AS first WHERE {which} ORDER BY first.id LIMIT 1)")
    };
    // Each is an aggregate, so that a server finds a task once.
    let firsts = match is_only_done(finished) {
        true => {
            let first = first_of("first.repo = given.name AND first.stage != 'done'");
            format!(
                "firsts (name, first_id) AS (
                    SELECT given.name, min({first}) FROM given GROUP BY given.name)"
            )
        }
        false => {
            let least = |which: &str| {
                format!("(SELECT min(other.stage) FROM tasks AS other WHERE other.repo = {which})")
            };
            let first_stage = least("given.name AND other.stage IS NOT NULL");
            let next_stage = least("found.name AND other.stage > found.stage");
            let first = first_of("first.repo = found.name AND first.stage = found.stage");
            let finished = tx.texts_of(if are_given { "$2" } else { "$1" });
            // Goes from one stage of a repo to the next in the index.
            format!(
                "found (name, stage) AS (
                    SELECT given.name, {first_stage} FROM given
                    UNION ALL
                    SELECT found.name, {next_stage} FROM found WHERE found.stage IS NOT NULL
                 ), firsts (name, first_id) AS (
                    SELECT found.name,
                        min(CASE WHEN found.stage NOT IN ({finished}) THEN {first} END)
                    FROM found GROUP BY found.name)"
            )
        }
    };
    format!(
        "WITH RECURSIVE {given}, {firsts}
         SELECT firsts.name, {columns} FROM firsts LEFT JOIN tasks ON tasks.id = firsts.first_id
         WHERE firsts.name IS NOT NULL"
    )
}
