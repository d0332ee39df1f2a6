//! What can go wrong with the database.

use std::path::{Path, PathBuf};

use super::engine::{EngineError, Unexpected};
use super::{Forbidden, GenerationState};
use crate::remedy::Remedy;

/// A database that cannot be used, or a change that was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file.
    #[error("there is no database `{}`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file or its log is another one by now.
    #[error("`{}` or its log was replaced, renamed or removed while it was open, so the change may be lost: look at what is there now, and try again", path.display())]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The file was replaced, and the log of the old file is still beside it.
    #[error(
        "`{}` was replaced, and `{}` beside it belongs to the old file: remove that log and its `-shm`, put the backup there once more, or use `sqlite3 {} '.restore BACKUP'` next time",
        path.display(), log.display(), path.display()
    )]
    OldLog {
        /// The file.
        path: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// The log was removed, and another process has it open: its index is of that log.
    #[error(
        "the log of `{}` was removed while another process has the database open, so nothing can be read until that process lets go of it: try again, or end that process",
        path.display()
    )]
    OldIndex {
        /// The file.
        path: PathBuf,
    },
    /// The file has several names.
    #[error("`{}` has {links} names (hard links), and SQLite keeps a log for each: remove the other names", path.display())]
    Linked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The file cannot be looked at.
    #[error("cannot look at `{}`: may you read its folder?", path.display())]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A change was committed, and the disk did not take it.
    #[error("the disk failed under `{}`, so the change may be lost: look at the disk's health", path.display())]
    NotFlushed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// One of several changes that were made together has undone them all.
    #[error(
        "another change that was made at the same time was refused, and this one with it: try again"
    )]
    GroupEnded,
    /// The file cannot be opened or created.
    #[error("cannot open `{}`: does its folder exist, and may you write there?", path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// The engine's reason.
        #[source]
        cause: EngineError,
    },
    /// The file is something else.
    #[error("`{}` is not a SQLite database: name another file with `--db PATH`", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database was not prepared, or by another version.
    #[error("`{}` is not prepared for the serial gate", path.display())]
    NotPrepared {
        /// The file.
        path: PathBuf,
    },
    /// A table of the orchestrator cannot be used.
    #[error("`{}` was left as it is: {problem}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the table's or the column's name.
        problem: String,
    },
    /// The gate could not do its work there.
    #[error("`{}` was left as it is: {}", path.display(), sentences(forbidden))]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What the database forbids.
        forbidden: Vec<Forbidden>,
    },
    /// The file or its folder may not be written.
    #[error("`{}` is read-only: make the file and its folder writable for this user", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// There is no space left.
    #[error("the disk of `{}` is full: free some space and try again, nothing was changed", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the disk failed under `{}`: look at its health, and at size limits of this process; nothing was changed", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The engine's reason.
        #[source]
        cause: EngineError,
    },
    /// Another program holds the database.
    #[error("another program holds `{}` locked: end its transaction and try again", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be brought into WAL mode.
    #[error(
        "`{}` stays in journal mode `{mode}`, and many processes need `wal`: keep it on a disk of this machine, and not in memory or on a network",
        path.display()
    )]
    JournalMode {
        /// The file.
        path: PathBuf,
        /// The mode that it is in.
        mode: String,
    },
    /// The file is damaged.
    #[error("`{}` is damaged: restore a backup, or try `sqlite3 {} .recover`", path.display(), path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The engine's reason.
        #[source]
        cause: EngineError,
    },
    /// A rule of the table itself speaks against a row.
    #[error("`{}` refuses the row by a rule of its own: make the change with the program that owns the table", path.display())]
    Constraint {
        /// The file.
        path: PathBuf,
        /// The engine's reason.
        #[source]
        cause: EngineError,
    },
    /// Anything else that the engine says.
    #[error("the database `{}` refused a statement", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// The engine's reason.
        #[source]
        cause: EngineError,
    },
    /// There is no such alert.
    #[error("there is no alert {id}")]
    NoAlert {
        /// Its id.
        id: i64,
    },
    /// There is no such task.
    #[error("there is no task {id}")]
    NoTask {
        /// Its id.
        id: i64,
    },
    /// Two tasks of a repo would have one branch.
    #[error(
        "the branch `{}` is task {task}'s: give each task of a repo a work item of its own",
        branch.escape_debug()
    )]
    BranchOf {
        /// The branch.
        branch: String,
        /// The task that has it.
        task: i64,
    },
    /// Git could not keep the branches of two tasks.
    #[error(
        "git keeps no branch `{}` beside `{}`, which is task {task}'s: give the task another work item",
        branch.escape_debug(), other.escape_debug()
    )]
    BranchBeside {
        /// The branch.
        branch: String,
        /// The other one.
        other: String,
        /// The task that has the other one.
        task: i64,
    },
    /// There is no such job.
    #[error("there is no job {id}")]
    NoJob {
        /// Its id.
        id: i64,
    },
    /// The name of a repo, a stage or an agent is missing.
    #[error("the {what} is empty: give it a name")]
    Empty {
        /// What has no name.
        what: &'static str,
    },
    /// A text that no command's environment can hold.
    #[error("the {what} has a NUL character, and no command can be given that: leave it out")]
    Nul {
        /// The text.
        what: &'static str,
    },
    /// A job is not in the state that a change needs.
    #[error("job {id} is `{status}`, and only a {needed} job can be {change}", status = status.escape_debug())]
    Status {
        /// The job.
        id: i64,
        /// Its state.
        status: String,
        /// What was asked for, such as `finished`.
        change: &'static str,
        /// The state that this needs.
        needed: &'static str,
    },
    /// A change was made, and was not there afterwards.
    #[error(
        "{what} did not stay: a trigger of this database changed or removed it, so look at its triggers on `{table}`"
    )]
    Undone {
        /// What was changed, such as "the freeze of `alpha`".
        what: String,
        /// The table that it was written to.
        table: &'static str,
    },
    /// A repo was frozen once more since the caller looked.
    #[error(
        "`{}` was frozen again by freeze {newest}, which is newer than {seen}, and nothing was cleared",
        repo.escape_debug()
    )]
    FrozenAgain {
        /// The repo.
        repo: String,
        /// The freeze that the caller knew of.
        seen: i64,
        /// The newer freeze.
        newest: i64,
    },
    /// The freeze that the caller knew of is not there, and an earlier one is.
    #[error(
        "`{}` is not held by freeze {seen} but by freeze {newest}, and nothing was cleared",
        repo.escape_debug()
    )]
    OtherFreeze {
        /// The repo.
        repo: String,
        /// The freeze that the caller knew of.
        seen: i64,
        /// The newest freeze of the repo.
        newest: i64,
    },
    /// One key came with two requests.
    #[error(
        "the `Idempotency-Key` `{}` came with another request within the last 24 h, and nothing was changed: give each request a new key, and repeat a request unchanged",
        key.escape_debug()
    )]
    KeyOfAnother {
        /// The key.
        key: String,
    },
    /// No generation is active.
    #[error("no policy is active")]
    NoActiveGeneration,
    /// There is no such generation.
    #[error("there is no generation {id}")]
    NoGeneration {
        /// Its number.
        id: i64,
    },
    /// A generation is where it should be brought.
    #[error("generation {generation} is the {} one already", state.name())]
    AlreadyIn {
        /// Its number.
        generation: i64,
        /// Where it is.
        state: GenerationState,
    },
    /// Another program was faster.
    #[error("the policy or its settings changed meanwhile, and nothing was changed")]
    Meanwhile,
    /// There are no cases of this name.
    #[error("there are no fixtures `{}`", name.escape_debug())]
    NoFixture {
        /// Their name.
        name: String,
    },
    /// There is no such token.
    #[error("there is no token `{}`", name.escape_debug())]
    NoToken {
        /// Whose it would be.
        name: String,
    },
    /// Two tokens of one name could not be told apart in the history.
    #[error("there is a token `{}` already: revoke it, or give another name", name.escape_debug())]
    TokenNameTaken {
        /// The name.
        name: String,
    },
    /// Another program started the job, so no token can be right.
    #[error("no claim of the gate is known for job {id}")]
    NotClaimedHere {
        /// The job.
        id: i64,
    },
    /// Another worker has the job now.
    #[error(
        "this token is not the one of job {id}'s claim: unless it is mistyped, the lease ran out or the job was requeued, so drop this work and claim again"
    )]
    StaleToken {
        /// The job.
        id: i64,
    },
    /// A task was ended with a token of something else.
    #[error(
        "this token is not the one of a job of task {task}: unless it is mistyped, the lease ran out or the job was requeued, so leave the task to others"
    )]
    TokenOfAnother {
        /// The task.
        task: i64,
    },
    /// The claim has ended, and not as is asked for.
    #[error("job {id} has ended already, as `{outcome}`: this claim is over", outcome = outcome.escape_debug())]
    Ended {
        /// The job.
        id: i64,
        /// What it ended as.
        outcome: String,
    },
    /// A job would wait for a task that is over.
    #[error(
        "job {job} belongs to task {task}, which is finished: move the task to an unfinished stage first, or add a job to another task"
    )]
    TaskIsFinished {
        /// The job.
        job: i64,
        /// The task.
        task: i64,
    },
    /// A task would end while a worker is busy with it.
    #[error(
        "task {task} cannot end while its job {job} is running {}: wait for it, show its token, or force the end with a reason, which cancels the job",
        running_where(worker.as_deref())
    )]
    TaskRuns {
        /// The task.
        task: i64,
        /// The first running job.
        job: i64,
        /// Who works on it; none if another program started it.
        worker: Option<String>,
    },
    /// Running jobs would be cancelled, and nobody would know why.
    #[error("a task is ended by force only with a reason: say why")]
    ForcedWithoutReason,
    /// The machine has no random numbers.
    #[error("this machine gives no random numbers for a token")]
    NoRandom(#[source] getrandom::Error),
    /// The clause would read whole tables for every job.
    #[error(
        "the clause would scan a whole table for each job: tie each sub-select to the job by `id`, `repo` or `task_id` (plan: `{plan}`)"
    )]
    Scan {
        /// SQLite's plan for the step.
        plan: String,
    },
    /// The claim's query ran out of its time.
    #[error("no job was claimed: the clause needed more than {budget_ms} ms over this queue")]
    Budget {
        /// Its time in milliseconds.
        budget_ms: u128,
    },
}

impl Error {
    /// What to do about it, where a command or a route does that.
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Error::Missing { path } => Remedy::Create(path.clone()),
            Error::NotPrepared { path } => Remedy::Prepare(path.clone()),
            Error::NoAlert { .. } => Remedy::ListAlerts,
            Error::NoTask { .. } | Error::NoJob { .. } => Remedy::ListQueue,
            Error::FrozenAgain { newest, .. } | Error::OtherFreeze { newest, .. } => {
                Remedy::LookAtFreeze(*newest)
            }
            Error::NoActiveGeneration => Remedy::TakeUpGeneration,
            Error::NoGeneration { .. } => Remedy::ListGenerations,
            Error::Meanwhile => Remedy::LookAtHistory,
            Error::NoFixture { .. } => Remedy::ListFixtures,
            Error::NoToken { .. } => Remedy::ListTokens,
            Error::NotClaimedHere { id } => Remedy::Requeue(*id),
            _ => return None,
        })
    }

    /// Whether a claim is no longer good: its worker has to drop the work.
    pub fn is_about_the_claim(&self) -> bool {
        matches!(
            self,
            Error::StaleToken { .. }
                | Error::NotClaimedHere { .. }
                | Error::Status { .. }
                | Error::Ended { .. }
                | Error::NoJob { .. }
        )
    }

    /// Names the database in an error that was made without it.
    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Error::Schema { problem, .. } => Error::Schema {
                path: path.into(),
                problem,
            },
            Error::Unfit { forbidden, .. } => Error::Unfit {
                path: path.into(),
                forbidden,
            },
            Error::NotPrepared { .. } => Error::NotPrepared { path: path.into() },
            Error::NotFlushed { cause, .. } => Error::NotFlushed {
                path: path.into(),
                cause,
            },
            Error::JournalMode { mode, .. } => Error::JournalMode {
                path: path.into(),
                mode,
            },
            other => other,
        }
    }
}

/// Inside the store, before the database is named by `at`.
impl From<Unexpected> for Error {
    fn from(cause: Unexpected) -> Error {
        Error::Statement {
            path: PathBuf::new(),
            cause: cause.into(),
        }
    }
}

/// What a queue cannot do without, a sentence each.
fn sentences(forbidden: &[Forbidden]) -> String {
    let needed = forbidden.iter().filter(|found| found.is_needed());
    needed
        .map(Forbidden::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn running_where(worker: Option<&str>) -> String {
    match worker {
        Some(worker) => format!("on worker `{}`", worker.escape_debug()),
        None => "in another program".into(),
    }
}

/// Refuses a text that no command can be given.
pub(super) fn without_nul(what: &'static str, text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        Err(Error::Nul { what })
    } else {
        Ok(())
    }
}

/// Refuses a name that is empty.
pub(super) fn not_empty(what: &'static str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        Err(Error::Empty { what })
    } else {
        Ok(())
    }
}
