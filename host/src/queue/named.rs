//! Which task is meant by a name.
//!
//! Owns the form of a name: digits are an id, anything else is a work item, and so is what follows
//! `item:`. Leaves the rows to the store. Callers rely on this: a name that several tasks have is
//! refused, finished tasks included, because a task must not be taken for another; and an id is
//! never given to another task, so what was found may be acted on later.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;

use super::nearest::nearest;
use super::words::task_words;
use super::{Error, Queue};
use crate::printable::Show;
use crate::store::{self, ActiveTask, TaskRow};

/// What makes a work item of any text.
const ITEM: &str = "item:";

/// How many tasks of one name are listed.
const LISTED: usize = 10;

/// How many tasks a search shows.
const SEARCHED: usize = 10;

/// How people name a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TaskName {
    /// By its id.
    Id(i64),
    /// By its work item.
    WorkItem(String),
    /// By its work item, after `item:`.
    Marked(String),
}

/// A text that names no task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    /// There is no text.
    #[error("give a task: its id or its work item")]
    Empty,
    /// The number is too high for an id.
    #[error("no id is that high; `item:` before it makes it a work item")]
    TooHigh,
}

/// A task, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTask {
    /// Its id.
    pub id: i64,
    /// The name that people know it by.
    pub work_item_id: Option<String>,
}

impl KnownTask {
    /// By its number and, if it has one, its name.
    pub fn in_words(&self, show: Show<'_>) -> String {
        task_words(self.id, self.work_item_id.as_deref(), show)
    }
}

impl From<&TaskRow> for KnownTask {
    fn from(task: &TaskRow) -> KnownTask {
        KnownTask {
            id: task.id,
            work_item_id: task.work_item_id.clone(),
        }
    }
}

impl From<&ActiveTask> for KnownTask {
    fn from(task: &ActiveTask) -> KnownTask {
        KnownTask {
            id: task.id,
            work_item_id: task.work_item_id.clone(),
        }
    }
}

impl FromStr for TaskName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<TaskName, NotAName> {
        if let Some(item) = text.strip_prefix(ITEM) {
            return Ok(TaskName::Marked(item.into()));
        }
        match text {
            "" => Err(NotAName::Empty),
            _ if is_number(text) => text
                .parse()
                .map(TaskName::Id)
                .map_err(|_| NotAName::TooHigh),
            _ => Ok(TaskName::WorkItem(text.into())),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How a task is named by its work item. `is_marked`: in any case after `item:`.
fn written(item: &str, is_marked: bool) -> String {
    match is_marked || is_number(item) || item.starts_with(ITEM) {
        true => format!("{ITEM}{item}"),
        false => item.to_owned(),
    }
}

impl TryFrom<String> for TaskName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<TaskName, NotAName> {
        text.parse()
    }
}

impl Queue {
    /// The id of the task that is meant. An id may be of no task: what is done with it says so.
    /// Fails when no task has the work item, or several have it.
    pub fn task_named(&mut self, name: &TaskName) -> Result<i64, Error> {
        let (name, is_marked) = match name {
            TaskName::Id(id) => return self.task_of_id(*id),
            TaskName::WorkItem(name) => (name, false),
            TaskName::Marked(name) => (name, true),
        };
        let most = u32::try_from(LISTED + 1).unwrap_or(u32::MAX);
        let found = self.store.tasks_named(name, most)?;
        match found.as_slice() {
            [task] => Ok(task.id),
            [] => Err(Error::NoTaskNamed {
                name: name.clone(),
                near: nearest(name, &self.store.work_items_about(name)?)
                    .iter()
                    .map(|item| written(item, is_marked))
                    .collect(),
            }),
            _ => Err(Error::SeveralTasks {
                name: name.clone(),
                tasks: found,
            }),
        }
    }

    /// The tasks that somebody may look for: the one of an id, and those whose work item begins with
    /// the text, in capitals and small letters; a few of them, and whether there are more.
    pub fn tasks_searched(&mut self, text: &str) -> Result<(Vec<TaskRow>, bool), Error> {
        let mut found = Vec::new();
        if let Ok(TaskName::Id(id)) = text.parse() {
            found.extend(self.store.task(id)?);
        }
        let name = text.strip_prefix(ITEM).unwrap_or(text);
        let spelt = [name.to_owned(), name.to_uppercase(), name.to_lowercase()];
        let typed = Some(text.to_owned()).filter(|typed| *typed != name);
        for text in typed.into_iter().chain(spelt) {
            let most = u32::try_from(SEARCHED + 1).unwrap_or(u32::MAX);
            found.extend(self.store.tasks_that_begin(&text, most)?);
        }
        let mut known = BTreeSet::new();
        found.retain(|task| known.insert(task.id));
        let has_more = found.len() > SEARCHED;
        found.truncate(SEARCHED);
        Ok((found, has_more))
    }

    /// Fails if only a work item has the number.
    fn task_of_id(&mut self, id: i64) -> Result<i64, Error> {
        let is_known = self.store.task(id)?.is_some();
        if !is_known && !self.store.tasks_named(&id.to_string(), 1)?.is_empty() {
            return Err(Error::NoTaskButItem { id });
        }
        Ok(id)
    }

    /// A task with its name, as it is shown.
    pub fn known_task(&mut self, id: i64) -> Result<KnownTask, Error> {
        let found = self.store.task(id)?;
        Ok(KnownTask {
            id,
            work_item_id: found.and_then(|task| task.work_item_id),
        })
    }

    /// The job of a task that people ask about: its waiting job; if no job is queued, the job that
    /// matters most. Fails when the task does not exist, or has no job.
    pub fn job_of_task(&mut self, now: Timestamp, id: i64) -> Result<i64, Error> {
        let task = self.store.task(id)?.ok_or(store::Error::NoTask { id })?;
        let queued = self.store.first_queued_job(id)?;
        let job = match queued {
            Some(job) => Some(job),
            None => self.store.task_work(now, id)?.first.job_id,
        };
        job.ok_or(Error::NoJobOf {
            task: KnownTask {
                id,
                work_item_id: task.work_item_id,
            },
        })
    }
}

/// The tasks of one name, to choose from.
pub(super) fn choices(name: &str, tasks: &[TaskRow]) -> String {
    let is_cut = tasks.len() > LISTED;
    let mut text = format!(
        "`{}` is the work item of {}{} tasks:",
        name.escape_debug(),
        if is_cut { "more than " } else { "" },
        tasks.len().min(LISTED)
    );
    for (at, task) in tasks.iter().take(LISTED).enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let show = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or("-");
            text.escape_debug().to_string()
        };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{comma} {} in `{}` ({})",
            task.id,
            show(&task.repo),
            show(&task.stage)
        );
    }
    text.push_str(if is_cut {
        ", …: name one by its id"
    } else {
        ": name one by its id"
    });
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_id_and_anything_else_is_a_work_item() {
        let item = |name: &str| Ok(TaskName::WorkItem(name.into()));
        let marked = |name: &str| Ok(TaskName::Marked(name.into()));
        for (text, named) in [
            ("12", Ok(TaskName::Id(12))),
            ("012", Ok(TaskName::Id(12))),
            ("-5", item("-5")),
            ("-", item("-")),
            ("9223372036854775808", Err(NotAName::TooHigh)),
            ("", Err(NotAName::Empty)),
            ("A-1", item("A-1")),
            ("1a", item("1a")),
            (" 12", item(" 12")),
            ("+12", item("+12")),
            ("١٢", item("١٢")),
            ("item:12", marked("12")),
            ("item:A-1", marked("A-1")),
            ("item:item:x", marked("item:x")),
            ("item:", marked("")),
            ("ITEM:12", item("ITEM:12")),
        ] {
            assert_eq!(text.parse(), named, "{text:?}");
        }
        assert_eq!(
            serde_json::from_str::<TaskName>("\"12\"").unwrap(),
            TaskName::Id(12)
        );
    }
}
