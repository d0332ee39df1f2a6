//! The pull request of a task's branch, as its forge last told.
//!
//! Owns its table, and the end of a task whose branch was merged: at once, or in the transaction
//! that ends its last running job. Leaves which deliveries count to `hooks`, and the end itself to
//! `task_end`. Callers rely on this: a merge that was told is final; a row counts for the branch
//! that its task has, because an id may be reused; and the row goes when its task ends.

use jiff::Timestamp;

use super::task_end::{self, FinishedStages, Running, TaskEnd, is_worked_on};
use crate::store::engine::{Row, Tx, Unexpected, values};
use crate::store::indexes::IS_OPEN;
use crate::store::{Actor, Error, Store, TaskOutcome, sql_time};

/// The state of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// It waits to be merged.
    Open,
    /// It is in the base.
    Merged,
    /// It was closed without a merge.
    Closed,
}

impl PullState {
    /// Its word in the database.
    pub fn name(self) -> &'static str {
        match self {
            PullState::Open => "open",
            PullState::Merged => "merged",
            PullState::Closed => "closed",
        }
    }

    fn of(name: &str) -> Option<PullState> {
        let mut all = [PullState::Open, PullState::Merged, PullState::Closed].into_iter();
        all.find(|state| state.name() == name)
    }
}

/// The pull request of a task's branch.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Pull {
    /// Its state.
    pub state: PullState,
    /// The forge that told of it, such as `github`.
    pub forge: String,
    /// Who changed its state, by the forge's name for them.
    pub who: String,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the forge told of it, UTC.
    pub at: String,
}

/// A task's pull request, from a column on.
pub(crate) fn pull_at(row: Row<'_>, column: usize) -> Result<Option<Pull>, Error> {
    let Some(state) = row.shown(column)? else {
        return Ok(None);
    };
    let text = |offset| row.shown(column + offset);
    let unexpected = Unexpected::Type { column };
    Ok(Some(Pull {
        state: PullState::of(&state).ok_or(unexpected)?,
        forge: text(1)?.unwrap_or_default(),
        who: text(2)?.unwrap_or_default(),
        url: text(3)?,
        at: text(4)?.unwrap_or_default(),
    }))
}

/// What a forge tells of a pull request.
#[derive(Debug, Clone, Copy)]
pub struct PullNews<'a> {
    /// The branch that was to be merged.
    pub branch: &'a str,
    /// The branch that it was to be merged into.
    pub base: &'a str,
    /// Its state.
    pub state: PullState,
    /// Who changed that, by the forge's name for them.
    pub who: &'a str,
    /// Its page.
    pub url: Option<&'a str>,
    /// The commit of the merge.
    pub merge_commit: Option<&'a str>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEffect {
    /// No task of the repo has cut such a branch.
    NoTask,
    /// The task that has cut the branch is finished.
    Over {
        /// The task.
        task: i64,
    },
    /// The task's branch was cut from another base.
    OtherBase {
        /// The task.
        task: i64,
        /// Its base.
        base: String,
    },
    /// It changes nothing: what is known is newer.
    Older {
        /// The task.
        task: i64,
    },
    /// It is recorded.
    Noted {
        /// The task.
        task: i64,
    },
    /// The merge is recorded, and the task ends when its running jobs have.
    EndsLater {
        /// The task.
        task: i64,
    },
    /// The task is done.
    Ended {
        /// The task.
        task: i64,
    },
}

impl Store {
    /// Whether a task's branch was merged, and the task has not ended yet.
    pub fn is_merged(&mut self, task: i64) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM serial_gate_pull WHERE task = $1 AND state = 'merged'";
        self.read(|tx| tx.exists(sql, values![task]))
    }
}

/// Takes note of a pull request of a repo, and ends its task if it was merged.
pub(crate) fn take(
    tx: &dyn Tx,
    now: Timestamp,
    forge: &str,
    repo: &str,
    news: PullNews<'_>,
    finished: &FinishedStages,
) -> Result<PullEffect, Error> {
    let of_branch = format!(
        "SELECT id, gate_base, coalesce(stage, '') IN ({}) FROM tasks
         WHERE repo = $1 AND gate_branch = $2 AND gate_cut_at IS NOT NULL ORDER BY 3, id LIMIT 1 {}",
        tx.texts_of("$3"),
        tx.locking()
    );
    let found = tx.row(
        &of_branch,
        values![repo, news.branch, finished.as_json()],
        |row| Ok((row.get(0)?, row.shown(1)?, row.get::<bool>(2)?)),
    )?;
    let (task, base) = match found {
        None => return Ok(PullEffect::NoTask),
        Some((task, _, true)) => return Ok(PullEffect::Over { task }),
        Some((task, base, false)) => (task, base.unwrap_or_default()),
    };
    if base != news.base {
        return Ok(PullEffect::OtherBase { task, base });
    }
    let known = tx.row(
        "SELECT state, url FROM serial_gate_pull WHERE task = $1 AND branch = $2",
        values![task, news.branch],
        |row| Ok((row.get::<String>(0)?, row.shown(1)?)),
    )?;
    if let Some((state, url)) = known {
        let is_other = url.is_some() && news.url.is_some() && url.as_deref() != news.url;
        match (PullState::of(&state), news.state) {
            (Some(PullState::Merged), PullState::Merged) => {
                return Ok(match end_if_merged(tx, now, task, finished)? {
                    true => PullEffect::Ended { task },
                    false => PullEffect::EndsLater { task },
                });
            }
            (Some(PullState::Merged), _) => return Ok(PullEffect::Older { task }),
            // The branch has a new one by now.
            (Some(PullState::Open), PullState::Closed) if is_other => {
                return Ok(PullEffect::Older { task });
            }
            _ => {}
        }
    }
    tx.execute(
        "INSERT INTO serial_gate_pull (task, branch, state, forge, who, url, merge_commit, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (task) DO UPDATE SET branch = excluded.branch, state = excluded.state,
            forge = excluded.forge, who = excluded.who, url = excluded.url,
            merge_commit = excluded.merge_commit, at = excluded.at",
        values![
            task,
            news.branch,
            news.state.name(),
            forge,
            news.who,
            news.url,
            news.merge_commit,
            sql_time(now)
        ],
    )?;
    if news.state != PullState::Merged {
        return Ok(PullEffect::Noted { task });
    }
    // Waits for a worker that is just ending its job, and has not seen this merge.
    Ok(match try_end(tx, now, task, finished)? {
        true => PullEffect::Ended { task },
        false => PullEffect::EndsLater { task },
    })
}

/// Whether the branch of a job's task was merged.
pub(super) fn is_merged(tx: &dyn Tx, job: i64) -> Result<bool, Error> {
    Ok(merged_task_of(tx, job)?.is_some())
}

fn merged_task_of(tx: &dyn Tx, job: i64) -> Result<Option<i64>, Error> {
    tx.row(
        "SELECT task FROM serial_gate_pull AS pull JOIN jobs ON jobs.task_id = pull.task
         WHERE jobs.id = $1 AND pull.state = 'merged'",
        values![job],
        |row| row.get(0),
    )
}

/// Ends the task of a job that does not run any more, if its branch was merged and no other job of
/// it runs.
pub(crate) fn after_job(
    tx: &dyn Tx,
    now: Timestamp,
    job: i64,
    finished: &FinishedStages,
) -> Result<bool, Error> {
    match merged_task_of(tx, job)? {
        None => Ok(false),
        Some(task) => end_if_merged(tx, now, task, finished),
    }
}

/// Ends a task whose branch was merged, unless a job of it runs.
fn end_if_merged(
    tx: &dyn Tx,
    now: Timestamp,
    task: i64,
    finished: &FinishedStages,
) -> Result<bool, Error> {
    // Of two workers that end the last two jobs at once, the second sees what the first has done.
    let held = format!("SELECT 1 FROM tasks WHERE id = $1 {}", tx.locking());
    let runs = format!(
        "SELECT 1 FROM jobs WHERE task_id = $1 AND {IS_OPEN} AND {} LIMIT 1",
        is_worked_on("$2")
    );
    if !tx.exists(&held, values![task])? || tx.exists(&runs, values![task, sql_time(now)])? {
        return Ok(false);
    }
    try_end(tx, now, task, finished)
}

/// The merged tasks without a job that runs, at the time `$1`. For a claim: another program may
/// have ended the job.
pub(crate) fn ready_to_end() -> String {
    format!(
        "SELECT task FROM serial_gate_pull WHERE state = 'merged' AND NOT EXISTS (
            SELECT 1 FROM jobs WHERE jobs.task_id = task AND {IS_OPEN} AND {})",
        is_worked_on("$1")
    )
}

/// Ends every task whose branch was merged and of which no job runs, and returns how many ended.
pub(crate) fn end_all_merged(
    tx: &dyn Tx,
    now: Timestamp,
    finished: &FinishedStages,
) -> Result<usize, Error> {
    let sql = format!("{} ORDER BY task", ready_to_end());
    let tasks: Vec<i64> = tx.rows(&sql, values![sql_time(now)], |row| row.get(0))?;
    let mut ended = 0;
    for task in tasks {
        ended += usize::from(end_if_merged(tx, now, task, finished)?);
    }
    Ok(ended)
}

/// Forgets the pull request of a task that ends.
pub(crate) fn forget(tx: &dyn Tx, task: i64) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM serial_gate_pull WHERE task = $1",
        values![task],
    )?;
    Ok(())
}

/// Ends a task whose merge is recorded. False if a job of it runs. The row of a task that another
/// program ended is forgotten.
fn try_end(
    tx: &dyn Tx,
    now: Timestamp,
    task: i64,
    finished: &FinishedStages,
) -> Result<bool, Error> {
    let of_task = format!(
        "SELECT forge, who, url FROM serial_gate_pull AS pull JOIN tasks ON tasks.id = pull.task
         WHERE pull.task = $1 AND tasks.gate_branch = pull.branch
            AND coalesce(tasks.stage, '') NOT IN ({})",
        tx.texts_of("$2")
    );
    let told = tx.row(&of_task, values![task, finished.as_json()], |row| {
        let text = |column| Ok::<_, Error>(row.shown(column)?.unwrap_or_default());
        Ok((text(0)?, text(1)?, text(2)?))
    })?;
    let Some((forge, who, url)) = told else {
        forget(tx, task)?;
        return Ok(false);
    };
    let end = TaskEnd {
        outcome: TaskOutcome::Done,
        stage: finished.of_done(),
        running: Running::default(),
    };
    let who = format!("{forge}:{who}");
    let why = match url.as_str() {
        "" => "its branch was merged".to_owned(),
        url => format!("its branch was merged: {url}"),
    };
    let actor = Actor {
        now,
        who: &who,
        why: &why,
    };
    match task_end::end_task(tx, actor, task, end) {
        Ok(()) => {
            task_end::check_ended(tx, &[task], end)?;
            Ok(true)
        }
        Err(Error::TaskRuns { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
