//! The list of tasks.
//!
//! Owns what is shown of a task in a list, and the filters. Leaves the pages to `lists`.

use jiff::Timestamp;

use super::lists::{Listing, Page, PageOf, Way};
use super::task_end::FinishedStages;
use super::tasks::LABEL;
use crate::store::engine::{Row, ToValue};
use crate::store::{Error, Store, sql_time};

/// A task in a list. Times are as RFC 3339 has them; a text that is no time stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ListedTask {
    /// Its id.
    pub id: i64,
    /// The name that people know it by.
    pub work_item_id: Option<String>,
    /// Its repo.
    pub repo: Option<String>,
    /// Its stage.
    pub stage: Option<String>,
    /// Since when it is in this stage, if that is known.
    pub since: Option<String>,
    /// The label that a policy may read.
    pub label: Option<String>,
    /// When it was added.
    pub created_at: Option<String>,
}

/// Which tasks are listed: those that fit all that is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskFilter<'a> {
    /// Of this repo.
    pub repo: Option<&'a str>,
    /// In this stage.
    pub stage: Option<&'a str>,
    /// In no finished stage, of these.
    pub unfinished: Option<&'a FinishedStages>,
    /// Added since then. A task whose time is not known is left out.
    pub since: Option<Timestamp>,
}

const COLUMNS: &str = "tasks.id, tasks.work_item_id, tasks.repo, tasks.stage,
    CASE WHEN tasks.gate_stage = tasks.stage THEN tasks.gate_stage_at END, tasks.created_at";

impl Store {
    /// A page of the tasks, the newest first.
    pub fn tasks(
        &mut self,
        filter: TaskFilter<'_>,
        page: PageOf,
    ) -> Result<Page<ListedTask>, Error> {
        let finished = filter.unfinished.map(|stages| stages.as_json().to_owned());
        let since = filter.since.map(sql_time);
        self.read(|tx| {
            let mut list = Listing {
                table: "tasks",
                columns: format!("{COLUMNS}, tasks.{LABEL}"),
                joined: "",
                values: Vec::new(),
                conditions: Vec::new(),
                filters_later: false,
            };
            if let Some(since) = &since {
                list.not_older("tasks.created_at", since);
            }
            let mut ways = Vec::new();
            if let Some(repo) = &filter.repo {
                list.only("tasks.repo = $V", *repo);
                ways.push(Way {
                    by_index: tx.by_index("serial_gate_tasks_repo"),
                    condition: "repo = $D",
                    value: Some(repo.to_value()),
                    is_in_order: false,
                });
            }
            if let Some(stage) = &filter.stage {
                list.only("tasks.stage = $V", *stage);
            }
            if let Some(finished) = &finished {
                let texts = tx.texts_of("$V");
                let condition = format!("coalesce(tasks.stage, '') NOT IN ({texts})");
                list.only(&condition, finished);
            }
            list.page(tx, ways, page, |row| {
                let created = row.time(5)?;
                let fits = filter.since.is_none_or(|since| created >= Some(since));
                Ok((row.get(0)?, fits.then(|| task_at(row)).transpose()?))
            })
        })
    }

    /// A task as it is in the list.
    pub fn listed_task(&mut self, id: i64) -> Result<Option<ListedTask>, Error> {
        let sql = format!("SELECT {COLUMNS}, tasks.{LABEL} FROM tasks WHERE tasks.id = $1");
        self.read(|tx| tx.row(&sql, &[id.to_value()], task_at))
    }
}

fn task_at(row: Row<'_>) -> Result<ListedTask, Error> {
    Ok(ListedTask {
        id: row.get(0)?,
        work_item_id: row.shown(1)?,
        repo: row.shown(2)?,
        stage: row.shown(3)?,
        since: row.moment(4)?,
        created_at: row.moment(5)?,
        label: row.shown(6)?,
    })
}
