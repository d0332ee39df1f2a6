//! The state of a queue and the types of the answer, as a rule sees them.
//!
//! The contract (`wit/serial-gate.wit`) documents the fields; columns that no rule here reads are
//! left out. The tables stay in columns, as the contract passes them, and are read row by row.
//! Callers rely on this: a row holds `None` for NULL.

use alloc::string::String;
use alloc::vec::Vec;
use core::iter::zip;
use core::num::NonZeroU32;

/// A moment, in seconds since 1970-01-01 00:00:00 UTC.
pub type Timestamp = i64;

/// A text value: its place in [`Symbols`]. Equal symbols are equal values. In a column, 0 is NULL.
pub type Symbol = NonZeroU32;

/// The texts of all symbols, one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symbols {
    /// All texts in one.
    pub text: String,
    /// Where the text of each symbol ends, in bytes. The first entry is for NULL, which has no
    /// text.
    pub ends: Vec<u32>,
}

impl Symbols {
    /// The text of a symbol, or `None` if there is no such symbol.
    pub fn text(&self, symbol: Symbol) -> Option<&str> {
        let at = symbol.get() as usize;
        let (start, end) = (*self.ends.get(at - 1)?, *self.ends.get(at)?);
        self.text.get(start as usize..end as usize)
    }
}

/// The table `tasks`. The columns of one table have the same length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tasks {
    /// The ids, in any order.
    pub id: Vec<i64>,
    /// The repos that the tasks change.
    pub repo: Vec<u32>,
    /// How far the tasks are.
    pub stage: Vec<u32>,
    /// Marks on the tasks.
    pub label: Vec<u32>,
}

/// A row of `tasks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Tasks of a repo run in the order of their ids.
    pub id: i64,
    /// The repo that the task changes.
    pub repo: Option<Symbol>,
    /// How far the task is.
    pub stage: Option<Symbol>,
    /// A mark on the task.
    pub label: Option<Symbol>,
}

impl Tasks {
    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = Task> {
        let columns = zip(zip(&self.id, &self.repo), zip(&self.stage, &self.label));
        columns.map(|((id, repo), (stage, label))| Task {
            id: *id,
            repo: Symbol::new(*repo),
            stage: Symbol::new(*stage),
            label: Symbol::new(*label),
        })
    }
}

/// The value of `jobs.task_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskRef {
    /// The id of the job's task, if there is such a task.
    Id(i64),
    /// A number that cannot be an id. The database sorts it before this id, and after the lower
    /// ones.
    BeforeId(i64),
    /// A value that the database sorts after every id.
    AfterEveryId,
}

impl TaskRef {
    /// Reads a number and its kind, as the contract passes them; `None` is NULL.
    pub fn new(number: i64, kind: u8) -> Option<TaskRef> {
        match kind {
            0 => None,
            1 => Some(TaskRef::Id(number)),
            2 => Some(TaskRef::BeforeId(number)),
            _ => Some(TaskRef::AfterEveryId),
        }
    }

    /// Whether the task of an id comes before this, as the database sorts them.
    pub fn is_after(self, id: i64) -> bool {
        match self {
            TaskRef::Id(own) | TaskRef::BeforeId(own) => id < own,
            TaskRef::AfterEveryId => true,
        }
    }
}

/// The table `jobs`. The columns of one table have the same length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jobs {
    /// The ids, in the order of the decisions.
    pub id: Vec<i64>,
    /// The tasks that the jobs belong to, as numbers.
    pub task_id: Vec<i64>,
    /// What these numbers mean: see [`TaskRef::new`].
    pub task_id_kind: Vec<u8>,
    /// The repos that the jobs work in.
    pub repo: Vec<u32>,
    /// Who does the jobs.
    pub agent: Vec<u32>,
    /// `queued` while a job waits to be claimed.
    pub status: Vec<u32>,
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

impl Jobs {
    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = Job> {
        let task_ids = zip(&self.task_id, &self.task_id_kind);
        let columns = zip(zip(&self.id, task_ids), zip(&self.repo, &self.agent));
        zip(columns, &self.status).map(|(((id, (task, kind)), (repo, agent)), status)| Job {
            id: *id,
            task_id: TaskRef::new(*task, *kind),
            repo: Symbol::new(*repo),
            agent: Symbol::new(*agent),
            status: Symbol::new(*status),
        })
    }
}

/// The table `repo_freeze`. The columns of one table have the same length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freezes {
    /// The ids, in any order.
    pub id: Vec<i64>,
    /// The repos that were frozen.
    pub repo: Vec<u32>,
    /// When an operator cleared them.
    pub cleared_at: Vec<u32>,
}

/// A row of `repo_freeze`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// Higher is newer.
    pub id: i64,
    /// The repo that was frozen.
    pub repo: Option<Symbol>,
    /// When an operator cleared it. The freeze is active without a time here.
    pub cleared_at: Option<Symbol>,
}

impl Freezes {
    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = Freeze> {
        let columns = zip(&self.id, zip(&self.repo, &self.cleared_at));
        columns.map(|(id, (repo, cleared_at))| Freeze {
            id: *id,
            repo: Symbol::new(*repo),
            cleared_at: Symbol::new(*cleared_at),
        })
    }
}

/// The state of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The texts of all symbols.
    pub symbols: Symbols,
    /// Tasks.
    pub tasks: Tasks,
    /// Jobs.
    pub jobs: Jobs,
    /// Freezes.
    pub freezes: Freezes,
}

/// Why a job waits. The default holds nothing.
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
