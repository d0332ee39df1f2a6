//! Tasks by the name that people know them by.
//!
//! Owns the look-ups by work item, whose cost does not depend on how many tasks there are. Leaves
//! to the queue what counts as a name, and what to report about one that no task or several tasks
//! have. Callers rely on this: names are compared byte by byte, whatever the column's type and
//! collation are.

use super::lookup::{TASK, TaskRow, task_at};
use crate::store::engine::{Row, values};
use crate::store::indexes::{IS_OPEN, OPEN};
use crate::store::job::IS_QUEUED;
use crate::store::{Error, Store};

/// How many names before and after a name are near it.
const BESIDE: u32 = 50;

/// How many of the newest tasks are looked at for a similar name.
const NEWEST: u32 = 500;

// The words of the index.
const NAME: &str = "CAST(work_item_id AS TEXT)";

impl Store {
    /// The tasks with a work item, the lowest id first; `most` of them.
    pub fn tasks_named(&mut self, work_item: &str, most: u32) -> Result<Vec<TaskRow>, Error> {
        // A server keeps no such text, and refuses to compare with it.
        if work_item.contains('\0') {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {TASK} FROM tasks WHERE {NAME} = $1 AND work_item_id IS NOT NULL
             ORDER BY id LIMIT $2"
        );
        self.read(|tx| tx.rows(&sql, values![work_item, most], task_at))
    }

    /// The first tasks, in the order of their work items, whose work item begins with a text; `most`
    /// of them.
    pub fn tasks_that_begin(&mut self, text: &str, most: u32) -> Result<Vec<TaskRow>, Error> {
        if text.contains('\0') {
            return Ok(Vec::new());
        }
        // Those that begin with the text follow it without a gap.
        let sql = format!(
            "SELECT {TASK} FROM tasks WHERE {NAME} >= $1 AND work_item_id IS NOT NULL
             ORDER BY {NAME} LIMIT $2"
        );
        let mut found = self.read(|tx| tx.rows(&sql, values![text, most], task_at))?;
        found.retain(|task| {
            let name = task.work_item_id.as_deref();
            name.is_some_and(|name| name.starts_with(text))
        });
        Ok(found)
    }

    /// Work items among which a mistyped one may have been meant: those beside it in the order of
    /// names, in capitals and small letters, and those of the newest tasks.
    pub fn work_items_about(&mut self, work_item: &str) -> Result<Vec<String>, Error> {
        if work_item.contains('\0') {
            return Ok(Vec::new());
        }
        let name = |row: Row<'_>| row.shown(0);
        let about = [
            work_item.to_owned(),
            work_item.to_uppercase(),
            work_item.to_lowercase(),
        ];
        self.read(|tx| {
            let mut found = Vec::new();
            for text in &about {
                for (compared, order) in [("<=", "DESC"), (">=", "ASC")] {
                    let sql = format!(
                        "SELECT {NAME} FROM tasks
                         WHERE {NAME} {compared} $1 AND work_item_id IS NOT NULL
                         ORDER BY {NAME} {order} LIMIT {BESIDE}"
                    );
                    found.extend(tx.rows(&sql, values![text], name)?);
                }
            }
            let newest = format!("SELECT work_item_id FROM tasks ORDER BY id DESC LIMIT {NEWEST}");
            found.extend(tx.rows(&newest, &[], name)?);
            let mut found: Vec<String> = found.into_iter().flatten().collect();
            found.sort_unstable();
            found.dedup();
            Ok(found)
        })
    }

    /// The job of a task that waits first, if one is queued.
    pub fn first_queued_job(&mut self, task: i64) -> Result<Option<i64>, Error> {
        self.read(|tx| {
            let sql = format!(
                "SELECT id FROM jobs {} WHERE task_id = $1 AND {IS_OPEN} AND {IS_QUEUED}
                 ORDER BY id LIMIT 1",
                tx.by_index(OPEN)
            );
            tx.row(&sql, values![task], |row| row.get(0))
        })
    }
}
