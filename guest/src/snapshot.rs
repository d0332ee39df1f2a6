//! The state of a queue, as the rule sees it: plain data, and the answer's types.
//!
//! Owns the meaning of a row for the rule; the contract (`wit/serial-gate.wit`) documents the
//! fields. Only what some rule here reads is kept: the component drops the rest.

use alloc::string::String;
use alloc::vec::Vec;

/// A moment, in seconds since 1970-01-01 00:00:00 UTC.
pub type Timestamp = i64;

/// A text value: an index into [`Snapshot::symbols`]. Equal symbols are equal values.
pub type Symbol = u32;

/// A row of `tasks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Tasks of a repo run in the order of their ids.
    pub id: i64,
    /// The repo that the task changes.
    pub repo: Option<Symbol>,
    /// How far the task is.
    pub stage: Option<Symbol>,
    /// A mark that somebody has put on the task.
    pub label: Option<Symbol>,
}

/// What stands in `jobs.task_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskRef {
    /// The id of the job's task, if there is such a task.
    Id(i64),
    /// A number that is no id, which the database sorts before this one.
    BeforeId(i64),
    /// Something that the database sorts after every number.
    AfterEveryId,
}

impl TaskRef {
    /// Whether the task of an id comes before this, as the database sorts them.
    pub fn is_after(self, id: i64) -> bool {
        match self {
            TaskRef::Id(own) | TaskRef::BeforeId(own) => id < own,
            TaskRef::AfterEveryId => true,
        }
    }
}

/// A row of `jobs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Jobs are claimed in the order of their ids.
    pub id: i64,
    /// The task that the job belongs to.
    pub task_id: Option<TaskRef>,
    /// The repo that the job works in.
    pub repo: Option<Symbol>,
    /// Who does the job.
    pub agent: Option<Symbol>,
    /// `queued` while the job waits to be claimed.
    pub status: Option<Symbol>,
}

/// A row of `repo_freeze`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// Higher is newer.
    pub id: i64,
    /// The repo that was frozen.
    pub repo: Option<Symbol>,
    /// Whether nobody has cleared it yet (`cleared_at` is NULL).
    pub active: bool,
}

/// The state of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The texts of all symbols.
    pub symbols: Vec<String>,
    /// Tasks, in any order.
    pub tasks: Vec<Task>,
    /// Jobs, in the order of the decisions.
    pub jobs: Vec<Job>,
    /// Freezes, in any order.
    pub freezes: Vec<Freeze>,
}

/// Why a job waits. An empty one holds nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hold {
    /// The first of the tasks that it waits for.
    pub earlier_task: Option<i64>,
    /// The newest active freeze of the repo.
    pub freeze: Option<i64>,
    /// Any other reason, in words.
    pub rule: Option<String>,
}

/// What happens to a queued job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be claimed.
    Claim,
    /// It waits. At least one reason is given.
    Hold(Hold),
}

/// The verdict for one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The job's id.
    pub job: i64,
    /// Its verdict.
    pub verdict: Verdict,
}
