//! The end of a task, done or cancelled, and of its queued jobs.
//!
//! Owns what happens to the task's jobs. Leaves to the policy's rules, which the caller reads,
//! which stages are finished. Callers rely on this: a task does not end while a worker is busy with
//! its job, unless the holder of that job ends it or it is forced with a reason; and no job of it
//! stays queued.

use jiff::Timestamp;

use super::audit::{self, AuditRow};
use super::effect::Effect;
use super::lookup::work_item_of;
use super::outcome::{self, TASK_IS_CANCELLED, TaskOutcome};
use super::pulls;
use crate::store::engine::{Tx, values};
use crate::store::indexes::IS_OPEN;
use crate::store::job;
use crate::store::job::{IS_CANCELLED, IS_PUT_OFF, IS_QUEUED, IS_RUNNING};
use crate::store::names::check_stage;
use crate::store::token::is_token;
use crate::store::{Actor, Error, Store, sql_time};

/// The finished stage, unless the rules have others.
pub const DONE: &str = "done";

/// The finished stages, by the rules of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedStages {
    all: Vec<String>,
    json: String,
}

impl FinishedStages {
    /// These stages; `done` if there is no stage among them.
    pub fn new(stages: Vec<String>) -> FinishedStages {
        let all = if stages.is_empty() {
            vec![DONE.to_owned()]
        } else {
            stages
        };
        // A list of texts is always valid JSON.
        let json = serde_json::to_string(&all).unwrap_or_default();
        FinishedStages { all, json }
    }

    /// The stage that ends a task.
    pub fn first(&self) -> &str {
        self.all.first().map_or(DONE, String::as_str)
    }

    /// The stage of tasks that are done: the first one that does not mean an end without the work.
    pub fn of_done(&self) -> &str {
        let is_done = |stage: &&str| TaskOutcome::in_stage(stage) == TaskOutcome::Done;
        self.iter().find(is_done).unwrap_or(self.first())
    }

    /// All of them; there is at least one.
    pub fn all(&self) -> &[String] {
        &self.all
    }

    /// Whether a task is finished in this stage.
    pub fn contains(&self, stage: &str) -> bool {
        self.all.iter().any(|finished| finished == stage)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(String::as_str)
    }

    /// As a parameter of a statement.
    pub(crate) fn as_json(&self) -> &str {
        &self.json
    }
}

impl Default for FinishedStages {
    fn default() -> FinishedStages {
        FinishedStages::new(Vec::new())
    }
}

/// The end of a task.
#[derive(Debug, Clone, Copy)]
pub struct TaskEnd<'a> {
    /// How it ends.
    pub outcome: TaskOutcome,
    /// Its finished stage.
    pub stage: &'a str,
    /// What to do if one of its jobs runs.
    pub running: Running<'a>,
}

/// What to do if a job of the task runs. Without a token and without force, the task does not end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Running<'a> {
    /// The token of the task's only running job, whose holder ends the task. The job goes on.
    pub token: Option<&'a str>,
    /// Cancel the running jobs and refuse their tokens. The actor has the reason.
    pub force: bool,
}

impl Store {
    /// How a task has ended, if it is in one of these stages.
    pub fn task_outcome(
        &mut self,
        id: i64,
        finished: &FinishedStages,
    ) -> Result<Option<TaskOutcome>, Error> {
        let found = self.read(|tx| {
            tx.row(
                &format!("SELECT stage, {TASK_IS_CANCELLED} FROM tasks WHERE id = $1"),
                values![id],
                |row| Ok((row.shown(0)?, row.get::<bool>(1)?)),
            )
        })?;
        Ok(found.and_then(|(stage, is_cancelled)| {
            finished.contains(&stage?).then_some(match is_cancelled {
                true => TaskOutcome::Cancelled,
                false => TaskOutcome::Done,
            })
        }))
    }

    /// Ends tasks, all of them or none, with a row in the audit for each. Their queued jobs are
    /// cancelled.
    ///
    /// # Errors
    ///
    /// When there is no such task, or a job of it runs and the end has neither its token nor force
    /// with a reason.
    pub fn end_tasks(
        &mut self,
        actor: Actor<'_>,
        ids: &[i64],
        end: TaskEnd<'_>,
    ) -> Result<(), Error> {
        self.writing_for_a_holder(actor, |tx| {
            ids.iter()
                .try_for_each(|id| end_task(tx, actor, *id, end))?;
            check_ended(tx, ids, end)
        })
    }
}

pub(crate) fn end_task(
    tx: &dyn Tx,
    actor: Actor<'_>,
    id: i64,
    end: TaskEnd<'_>,
) -> Result<(), Error> {
    check_stage(end.stage)?;
    if end.running.force && actor.why.trim().is_empty() {
        return Err(Error::ForcedWithoutReason);
    }
    let before = tx.row(
        // First of all, as at the end of a job: two transactions must not wait for each other.
        &format!(
            "SELECT repo, stage FROM tasks WHERE id = $1 {}",
            tx.locking()
        ),
        values![id],
        |row| Ok((row.shown(0)?, row.shown(1)?)),
    );
    let (repo, before) = before?.ok_or(Error::NoTask { id })?;
    let kept = kept_job(tx, actor.now, id, end.running)?;
    job::end_all_of(tx, id, kept, actor.now)?;
    tx.execute(
        "UPDATE tasks SET stage = $2, gate_stage = $2,
                gate_stage_at = CASE WHEN gate_stage = $2 AND stage = $2 THEN gate_stage_at
                ELSE $3 END
             WHERE id = $1",
        values![id, end.stage, sql_time(actor.now)],
    )?;
    outcome::keep(tx, id, end.outcome)?;
    pulls::forget(tx, id)?;
    let row = AuditRow {
        action: match end.outcome {
            TaskOutcome::Done => "task done",
            TaskOutcome::Cancelled => "task cancel",
        },
        repo: repo.as_deref(),
        subject: format!("task {id}"),
        before: before.as_deref(),
        after: Some(end.stage),
    };
    audit::write_down(tx, actor, row)
}

/// Refuses an end after which a task is unfinished, or a job of it is queued, or still runs
/// although it was cancelled.
pub(crate) fn check_ended(tx: &dyn Tx, ids: &[i64], end: TaskEnd<'_>) -> Result<(), Error> {
    ids.iter().try_for_each(|id| {
        let effect = Effect {
            what: &format!("the end of task {id}"),
            table: "tasks",
        };
        let query = format!(
            "SELECT 1 FROM tasks WHERE id = $1 AND stage = $2
            AND {TASK_IS_CANCELLED} = $5
             AND NOT EXISTS (SELECT 1 FROM jobs WHERE task_id = $1
                AND ({IS_QUEUED} OR ({IS_RUNNING} AND ($3 OR CAST(gate_token AS TEXT) IS DISTINCT
                FROM $4))
                    OR ({IS_CANCELLED} AND gate_token IS NOT NULL AND gate_outcome IS NULL)))"
        );
        let Running { token, force } = end.running;
        effect.is_there(
            tx,
            &query,
            values![
                id,
                end.stage,
                force,
                token,
                end.outcome == TaskOutcome::Cancelled
            ],
        )
    })
}

/// Whether a worker is busy with the job of a row of `jobs`. `now` is the parameter with the time.
pub(crate) fn is_worked_on(now: &str) -> String {
    format!(
        "{IS_RUNNING}
            AND NOT {IS_PUT_OFF}
            AND (gate_lease_until IS NULL OR gate_lease_until > {now})"
    )
}

/// Whether the job of a row of `jobs` waits, and no worker is busy with it.
pub(crate) fn is_idle(now: &str) -> String {
    format!("{IS_OPEN} AND NOT ({})", is_worked_on(now))
}

/// The job that goes on because its holder ends the task. Refuses to end a task while another
/// worker works on it: no worker is busy with a job that is deferred, or whose lease ran out. The
/// queued jobs are read, too: a claim that is about to be committed is waited for.
fn kept_job(
    tx: &dyn Tx,
    now: Timestamp,
    task: i64,
    running: Running<'_>,
) -> Result<Option<i64>, Error> {
    if running.force {
        return Ok(None);
    }
    let jobs: Vec<OpenJob> = tx.rows(
        &format!(
            "SELECT id, gate_worker, CASE WHEN gate_outcome IS NULL THEN gate_token END, {},
                {IS_RUNNING}
             FROM jobs WHERE task_id = $1 AND {IS_OPEN} ORDER BY id {}",
            is_worked_on("$2"),
            tx.locking()
        ),
        values![task, sql_time(now)],
        |row| {
            Ok(OpenJob {
                job: row.get(0)?,
                worker: row.shown(1)?,
                token: row.shown(2)?,
                is_worked_on: row.get(3)?,
                is_running: row.get(4)?,
            })
        },
    )?;

    let is_the_holder_s = |one: &&OpenJob| {
        let tokens = running.token.zip(one.token.as_deref());
        one.is_running && tokens.is_some_and(|(shown, given)| is_token(shown, given))
    };
    let kept = jobs.iter().find(is_the_holder_s).map(|one| one.job);
    if let Some(token) = running.token.filter(|_| kept.is_none())
        && !is_of_an_ended_claim(tx, task, token)?
    {
        return Err(Error::TokenOfAnother { task });
    }
    let is_in_the_way = |one: &&OpenJob| one.is_worked_on && Some(one.job) != kept;
    match jobs.iter().find(is_in_the_way) {
        None => Ok(kept),
        Some(other) => Err(Error::TaskRuns {
            task,
            work_item: work_item_of(tx, task)?,
            job: other.job,
            worker: other.worker.clone(),
        }),
    }
}

/// Whether a token belongs to an ended claim of this task, with no claim of that job since.
fn is_of_an_ended_claim(tx: &dyn Tx, task: i64, token: &str) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM jobs WHERE task_id = $1 AND gate_outcome IS NOT NULL
        AND CAST(gate_token AS TEXT) = $2",
        values![task, token],
    )
}

/// A job that runs or waits.
struct OpenJob {
    job: i64,
    worker: Option<String>,
    token: Option<String>,
    is_worked_on: bool,
    is_running: bool,
}
