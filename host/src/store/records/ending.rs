//! How a claimed job ends, and what follows.
//!
//! Owns the ways in which a worker ends its job, the attempts after a failure, and the answer,
//! which is stored with the outcome: a worker that did not hear it asks again and gets the same.
//! Leaves the row of the job to `jobs`, and the move of its task to `advance`. Callers rely on
//! this: the end of the job and all that follows are one change. An end that was made asks no
//! more: the same end without a stage is always the same, one to another stage than the first is
//! refused.

use std::time::Duration;

use super::advance::{self, Before, EndRules, Way};
use super::ended_job::{EndedJob, Stayed};
use super::holding::{Holding, ended, holding};
use super::job_error::kept;
use super::jobs::{self, Claim, finished_task_of, is_there};
use super::pipeline::{self, Pipeline};
use super::pulls;
use crate::backoff::backoff;
use crate::store::engine::{Tx, values};
use crate::store::job::{self, Event, IS_RUNNING, JobState};
use crate::store::time::whole_seconds;
use crate::store::{Actor, Error, Store, lease_end, sql_time};

/// How a worker ends a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// It was done. Its task goes on as the pipeline says.
    Done,
    /// It was done, and its task goes to this stage.
    To {
        /// The stage; a finished one ends the task.
        stage: &'a str,
    },
    /// It was done, and its task goes back to the stage before, by the pipeline. Where there is
    /// none, the job has failed.
    Back,
    /// It failed.
    Failed {
        /// What went wrong.
        error: Option<&'a str>,
        /// Whether it may be tried again. If not, there is an alert.
        retry: Option<Retry>,
    },
}

/// How a failed job is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After how many failed attempts the job has failed; none means the pipeline's number, or 1.
    pub attempts: Option<u32>,
    /// About how long to wait after the first failed attempt. It doubles with each.
    pub first: Duration,
}

impl Retry {
    /// The wait after the first failed attempt, where nobody sets another.
    pub const FIRST: Duration = Duration::from_secs(10);
}

/// The error of a job that should have sent its task back.
const NO_STAGE_BEFORE: &str =
    "exit code 10 sends a task back, but no pipeline has a stage before this one";

impl Store {
    /// Ends a claimed job, and moves its task; with the last running one, a merged task ends. The
    /// same end again with the same token changes nothing and has the same answer.
    ///
    /// # Errors
    ///
    /// When there is no such job, the token is not its claim's, or the job has ended differently;
    /// when its task cannot move to the stage, or would end while another job of it runs.
    pub fn end_job(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        ending: Ending<'_>,
        rules: EndRules<'_>,
    ) -> Result<EndedJob, Error> {
        self.writing_for_a_holder(actor, |tx| {
            let ended = end(tx, actor, claim, ending, rules)?;
            pulls::after_job(tx, actor.now, claim.job, rules.finished)?;
            Ok(ended)
        })
    }
}

fn end(
    tx: &dyn Tx,
    actor: Actor<'_>,
    claim: Claim<'_>,
    ending: Ending<'_>,
    rules: EndRules<'_>,
) -> Result<EndedJob, Error> {
    let pipeline = pipeline::read(tx)?;
    let pipeline = pipeline.as_ref();
    // Before the job, as at the end of a task: two transactions must not wait for each other.
    advance::hold_task(tx, claim.job)?;
    let change = match ending {
        Ending::Failed { .. } => "failed",
        _ => "finished",
    };
    if let Holding::Ended(outcome) = holding(tx, claim, change)? {
        return repeated(tx, claim, ending, outcome);
    }
    let why = format!("job {} is done", claim.job);
    let mover = Actor { why: &why, ..actor };
    // Its task ends, wherever the pipeline would move it.
    let is_merged = pulls::is_merged(tx, claim.job)?;
    let done = || jobs::end(tx, actor.now, claim, Event::Finish, None);
    let mut answer = EndedJob::with(JobState::Done.name());
    let way = match ending {
        Ending::Failed { error, retry } => {
            let retry = retry.filter(|_| !is_merged);
            return fail(tx, actor, claim, error, retry, pipeline, rules);
        }
        _ if is_merged => {
            let before = advance::task_of(tx, claim.job)?;
            done()?;
            let ends = pulls::after_job(tx, actor.now, claim.job, rules.finished)?;
            let moved = before.filter(|_| ends).map(|before| before.ended(rules));
            moved.map_or(Way::Stayed(Stayed::Merged), Way::Moved)
        }
        Ending::Done => {
            done()?;
            match pipeline {
                Some(pipeline) => advance::by_pipeline(tx, mover, claim.job, pipeline, rules)?,
                None => Way::Unmoved,
            }
        }
        Ending::To { stage } => {
            let no_task = || Error::NoTaskOf { job: claim.job };
            let before = advance::task_of(tx, claim.job)?.ok_or_else(no_task)?;
            done()?;
            let way = advance::go(tx, mover, &before, stage, pipeline, rules);
            way.map_err(|error| not_alone(error, claim.job))?
        }
        Ending::Back => {
            let before = advance::task_of(tx, claim.job)?;
            match back(before.as_ref(), pipeline, rules) {
                Back::To(before, stage) => {
                    done()?;
                    advance::go(tx, mover, before, stage, pipeline, rules)?
                }
                Back::Late(stayed) => {
                    done()?;
                    Way::Stayed(stayed)
                }
                Back::Nowhere => {
                    let error = Some(NO_STAGE_BEFORE);
                    return fail(tx, actor, claim, error, None, pipeline, rules);
                }
            }
        }
    };
    match way {
        Way::Moved(moved) => answer.moved = Some(moved),
        Way::Stayed(stayed) => answer.stayed = Some(stayed),
        Way::Unmoved => {}
    }
    if let Ending::To { stage } = ending {
        answer.asked = Some(stage.into());
    }
    if answer.is_more_than_its_status() {
        answer.store(tx, claim.job)?;
        // Triggers on the task, or on the next job, may have undone it.
        jobs::check_ended(tx, claim, JobState::Done.name(), None)?;
    }
    Ok(answer)
}

/// Where a job sends its task back to.
enum Back<'a> {
    To(&'a Before, &'a str),
    /// The task is not in the stage of the job's agent any more.
    Late(Stayed),
    /// There is no stage before.
    Nowhere,
}

/// Where a job of this agent sends the task back to.
fn back<'a>(
    before: Option<&'a Before>,
    pipeline: Option<&'a Pipeline>,
    rules: EndRules<'_>,
) -> Back<'a> {
    let Some((before, pipeline)) = before.zip(pipeline) else {
        return Back::Nowhere;
    };
    if before.is_over(rules) {
        return Back::Late(Stayed::Over);
    }
    let (stage, agent) = (before.stage.as_deref(), before.agent.as_deref());
    let of_stage = stage.and_then(|stage| pipeline.agent_of(stage));
    if of_stage != agent
        && pipeline
            .stages
            .iter()
            .any(|one| Some(one.agent.as_str()) == agent)
    {
        return Back::Late(Stayed::Elsewhere);
    }
    match stage.and_then(|stage| pipeline.before(stage)) {
        Some(to) if of_stage == agent => Back::To(before, &to.stage),
        _ => Back::Nowhere,
    }
}

/// Ends the attempt: the job is put off, or it has failed.
fn fail(
    tx: &dyn Tx,
    actor: Actor<'_>,
    claim: Claim<'_>,
    error: Option<&str>,
    retry: Option<Retry>,
    pipeline: Option<&Pipeline>,
    rules: EndRules<'_>,
) -> Result<EndedJob, Error> {
    let job = claim.job;
    let attempts = retry.map_or(1, |retry| {
        let of_pipeline = || pipeline.map(|pipeline| pipeline.attempts);
        retry.attempts.or_else(of_pipeline).unwrap_or(1)
    });
    let this = times_failed(tx, job)?.saturating_add(1);
    let again = match retry.filter(|_| this < attempts) {
        // Nobody needs the work any more.
        Some(_) if finished_task_of(tx, job, rules.finished)?.is_some() => None,
        again => again,
    };
    let Some(again) = again else {
        let numbered = || {
            Some(format!(
                "attempt {this} of {attempts}{}",
                after(": ", error)
            ))
        };
        let numbered = (attempts > 1).then(numbered).flatten();
        let error = numbered.as_deref().or(error).map(kept);
        jobs::end(tx, actor.now, claim, Event::Fail, error.as_deref())?;
        let mut answer = EndedJob::with(JobState::Failed.name());
        answer.error = error.map(Into::into);
        return Ok(answer);
    };
    let delay = backoff(again.first, &format!("job {job}"), this);
    let until = sql_time(lease_end(actor.now, delay));
    let failed = format!("attempt {this} of {attempts} failed{}", after(": ", error));
    let error = kept(&failed);
    job::try_again(tx, job, &until, whole_seconds(delay), &error, actor.now)?;
    let answer = EndedJob {
        again_at: Some(until.clone()),
        error: Some(error.clone().into_owned()),
        ..EndedJob::with("put_off")
    };
    answer.store(tx, job)?;
    let query = &format!(
        "SELECT 1 FROM jobs WHERE id = $1 AND {IS_RUNNING} AND gate_lease_until = $2
        AND gate_outcome IS NOT NULL AND gate_error = $3"
    );
    is_there(tx, job, query, values![job, until, error])?;
    Ok(answer)
}

/// The answer to an end that was made before.
fn repeated(
    tx: &dyn Tx,
    claim: Claim<'_>,
    ending: Ending<'_>,
    outcome: String,
) -> Result<EndedJob, Error> {
    let error = tx.row(
        "SELECT gate_error FROM jobs WHERE id = $1",
        values![claim.job],
        |row| row.shown(0),
    )?;
    let answer = EndedJob::stored(tx, claim.job)?.unwrap_or_else(|| EndedJob {
        error: error.flatten(),
        ..EndedJob::with(&outcome)
    });
    // The same, if the pipeline has moved it there.
    let went_to = answer.moved.as_ref().map(|moved| moved.stage.as_str());
    let asked = answer.asked.as_deref().or(went_to);
    let is_done = outcome == JobState::Done.name();
    let is_failed = outcome == JobState::Failed.name();
    let is_the_same = match ending {
        Ending::Done => is_done,
        Ending::To { stage } => is_done && asked == Some(stage),
        Ending::Back => is_done || is_failed,
        Ending::Failed { .. } => is_failed,
    };
    if is_the_same {
        Ok(answer)
    } else {
        Err(ended(claim, outcome))
    }
}

/// How often a job has failed since it was queued for the first time, or by an operator.
fn times_failed(tx: &dyn Tx, job: i64) -> Result<u32, Error> {
    let sql = "SELECT CAST(coalesce(gate_failures, 0) AS BIGINT) FROM jobs WHERE id = $1";
    let times: Option<i64> = tx.row(sql, values![job], |row| row.get(0))?;
    Ok(u32::try_from(times.unwrap_or_default().max(0)).unwrap_or(u32::MAX))
}

/// A text after a separator; nothing if there is none.
fn after(separator: &str, text: Option<&str>) -> String {
    let text = text.filter(|text| !text.is_empty());
    text.map_or(String::new(), |text| format!("{separator}{text}"))
}

/// The holder has asked for the end of its task, while another worker works on it.
fn not_alone(error: Error, job: i64) -> Error {
    match error {
        Error::TaskRuns {
            task,
            work_item,
            job: other,
            worker,
        } => Error::NotAlone {
            job,
            task,
            work_item,
            other,
            worker,
        },
        error => error,
    }
}
