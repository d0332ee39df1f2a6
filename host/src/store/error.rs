//! Why the store refused a call.
//!
//! Owns what a caller can do wrong, and what was not there. Leaves the database itself to
//! `problem`. Callers rely on this: nothing was changed, unless the error says that this is
//! unknown; and no sentence names a command, a route or a flag. [`Error::remedy`] names what helps.

use super::GenerationState;
use super::engine::Unexpected;
use super::problem::{DatabaseError, Problem};
use crate::remedy::Remedy;

/// A database that cannot be used, or a change that was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database itself.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// One change of a group has undone them all.
    #[error(
        "another change that was made at the same time was refused, and this one with it: try again"
    )]
    GroupEnded,
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
        "the branch `{}` is task {task}'s: give each task of a repo its own work item",
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
        "git cannot keep both the branch `{}` and `{}`, which is task {task}'s: give the task \
         another work item",
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
    /// No freezes were made together under this number.
    #[error("there is no group of freezes {group}")]
    NoFreezeGroup {
        /// Their number.
        group: i64,
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
    /// A text that is too long.
    #[error("the {what} has more than {most} characters: give it a shorter one")]
    Long {
        /// The text.
        what: &'static str,
        /// How many characters it may have.
        most: usize,
    },
    /// A text that this database does not keep.
    #[error("a text has a NUL character, which a PostgreSQL server does not keep: leave it out")]
    NotKept,
    /// A job is not in the state that a change needs.
    #[error(
        "job {id} is `{}`, and only a {needed} job can be {change}",
        status.escape_debug()
    )]
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
    /// A job was claimed again since the caller looked.
    #[error(
        "job {id} is at attempt {attempt} and not {seen}, and nothing was changed: look at it again"
    )]
    OtherAttempt {
        /// The job.
        id: i64,
        /// The attempt that the caller knew of.
        seen: i64,
        /// Its latest attempt.
        attempt: i64,
    },
    /// A change was made, and was not there afterwards.
    #[error(
        "{what} did not stay: a trigger of this database changed or removed it, so \
         look at its triggers on `{table}`"
    )]
    Undone {
        /// What was changed, such as "the freeze of `alpha`".
        what: String,
        /// The table that it was written to.
        table: &'static str,
    },
    /// A repo was frozen once more since the caller looked.
    #[error(
        "`{}` was frozen again by freeze {newest}, which is newer than {seen}, and nothing was \
         cleared",
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
        "the `Idempotency-Key` `{}` came with another request within the last 24 h, and \
         nothing was changed: give each request a new key, and repeat a request unchanged",
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
    /// A generation is in the wanted state already.
    #[error("generation {generation} is the {} one already", state.name())]
    AlreadyIn {
        /// Its number.
        generation: i64,
        /// Its state.
        state: GenerationState,
    },
    /// Another program was faster.
    #[error("the policy or its settings changed in the meantime; nothing was written")]
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
        /// Its name.
        name: String,
    },
    /// Another token has this name: the history could not distinguish them.
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
        "this token is not the one of job {id}'s claim: unless it is mistyped, the lease ran \
         out or the job was requeued, so drop this work and claim again"
    )]
    StaleToken {
        /// The job.
        id: i64,
    },
    /// A task was ended with a token of something else.
    #[error(
        "this token is not the one of a job of task {task}: unless it is mistyped, the lease \
         ran out or the job was requeued, so leave the task to others"
    )]
    TokenOfAnother {
        /// The task.
        task: i64,
    },
    /// The claim has ended differently.
    #[error("job {id} has ended already, as `{}`", outcome.escape_debug())]
    Ended {
        /// The job.
        id: i64,
        /// What it ended as.
        outcome: String,
    },
    /// A job would wait for a task that is over.
    #[error(
        "job {job} belongs to {}, which is finished: move the task to an \
         unfinished stage first, or add a job to another task",
        task_named(*task, work_item.as_deref())
    )]
    TaskIsFinished {
        /// The job.
        job: i64,
        /// The task.
        task: i64,
        /// Its work item.
        work_item: Option<String>,
    },
    /// A task would end while a worker is busy with it.
    #[error(
        "{} cannot end while its job {job} is running {}: wait for it, or cancel it",
        task_named(*task, work_item.as_deref()), running_where(worker.as_deref())
    )]
    TaskRuns {
        /// The task.
        task: i64,
        /// Its work item.
        work_item: Option<String>,
        /// The first running job.
        job: i64,
        /// Its worker; none if another program started it.
        worker: Option<String>,
    },
    /// A job would end its task, on which another worker works.
    #[error(
        "job {job} was not ended: {} cannot end while its job {other} is running {}; end the job \
         without a stage, or wait",
        task_named(*task, work_item.as_deref()),
        running_where(worker.as_deref())
    )]
    NotAlone {
        /// The job.
        job: i64,
        /// The task.
        task: i64,
        /// Its work item.
        work_item: Option<String>,
        /// The first other running job.
        other: i64,
        /// Its worker; none if another program started it.
        worker: Option<String>,
    },
    /// A job would move a task, and has none.
    #[error("job {job} has no task that could go to a stage")]
    NoTaskOf {
        /// The job.
        job: i64,
    },
    /// Running jobs would be cancelled without a reason.
    #[error("a task is ended by force only with a reason")]
    ForcedWithoutReason,
    /// The machine has no random numbers.
    #[error("this machine gives no random numbers for a token")]
    NoRandom(#[source] getrandom::Error),
    /// The clause would read whole tables for every job.
    #[error(
        "the clause would scan a whole table for each job: tie each sub-select to the job \
         by `id`, `repo` or `task_id` (plan: `{plan}`)"
    )]
    Scan {
        /// SQLite's plan for the step.
        plan: String,
    },
    /// The claim's query exceeded its time.
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
            Error::Database(found) => return found.problem.remedy(found.location.as_ref()),
            Error::NoAlert { .. } => Remedy::ListAlerts,
            Error::NoTask { .. } => Remedy::ListTasks,
            Error::NoJob { .. } => Remedy::ListJobs,
            Error::FrozenAgain { repo, newest, .. } | Error::OtherFreeze { repo, newest, .. } => {
                Remedy::LookAtFreeze {
                    repo: repo.clone(),
                    newest: *newest,
                }
            }
            Error::TaskRuns { .. } => Remedy::ForceTheEnd,
            Error::ForcedWithoutReason => Remedy::GiveReason,
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

    /// What is wrong with the database; none if that is not why.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Database(found) => Some(&found.problem),
            _ => None,
        }
    }
}

impl From<Unexpected> for Error {
    fn from(cause: Unexpected) -> Error {
        Problem::Statement(cause.into()).unnamed()
    }
}

/// A task by its number and, if it has one, its name.
pub(super) fn task_named(task: i64, work_item: Option<&str>) -> String {
    match work_item {
        Some(name) => format!("task {task} ({})", name.escape_debug()),
        None => format!("task {task}"),
    }
}

fn running_where(worker: Option<&str>) -> String {
    match worker {
        Some(worker) => format!("on worker `{}`", worker.escape_debug()),
        None => "in another program".into(),
    }
}
