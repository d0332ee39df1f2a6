//! Which advice is given, by the state of what a job waits for.
//!
//! Owns the choice and the order: advice that continues the work in front comes first, and ending
//! that task, which skips its work, comes last. Leaves the words to `advice`. Callers rely on this:
//! only the last resort may take a job from a worker that is working on it, and it says so.

use super::advice::Advice;
use super::explanation::{Ahead, FreezeAhead, Held};
use super::named::KnownTask;
use super::pipeline::InPipeline;
use super::work::Active;
use crate::store::{JobWork, TaskBranch, TaskWork, WorkState};

/// What helps with a job of a finished or merged task: it cannot be requeued.
pub(super) fn of_job_that_is_over(work: &JobWork, is_merged: bool) -> Option<Advice> {
    let job = work.job_id?;
    match of_job(work)? {
        Advice::Wait { worker, until, .. } => Some(Advice::Wait {
            job,
            worker,
            until,
            is_over: true,
        }),
        Advice::NextClaim { .. } => Some(Advice::NextClaimCancels {
            job,
            until: None,
            is_merged,
        }),
        Advice::WaitForRetry { until, .. } => Some(Advice::NextClaimCancels {
            job,
            until,
            is_merged,
        }),
        Advice::LookAtProgram { status, .. } => Some(Advice::LookAtProgram {
            job,
            status,
            is_over: true,
        }),
        _ => None,
    }
}

/// What helps with a job by its own state; nothing if no one has to act.
pub(super) fn of_job(work: &JobWork) -> Option<Advice> {
    let job = work.job_id?;
    match work.state {
        WorkState::Running => Some(Advice::Wait {
            job,
            worker: work.worker.clone(),
            until: work.lease_until.clone(),
            is_over: false,
        }),
        WorkState::PutOff => Some(Advice::WaitForRetry {
            job,
            until: work.lease_until.clone().filter(|_| !work.is_due),
        }),
        WorkState::Lapsed => Some(Advice::NextClaim { job }),
        WorkState::Foreign => Some(Advice::LookAtProgram {
            job,
            status: work.status.clone(),
            is_over: false,
        }),
        WorkState::Failed => Some(Advice::TryAgain { job }),
        WorkState::Queued => Some(Advice::StartWorker {
            job,
            agent: work.agent.clone()?,
        }),
        WorkState::Finished | WorkState::NoJob => None,
    }
}

/// What helps a job that is held. `is_held` tells whether a queued job in front is held itself.
pub(super) fn of_held(held: &Held, is_held: bool) -> Vec<Advice> {
    let mut advice = Vec::new();
    let front = held.tasks.first();
    if let Some(Ahead {
        task,
        work,
        looks_like,
        in_pipeline,
    }) = front
    {
        let misspelt = task.stage.as_deref().zip(looks_like.as_deref());
        let place = Place::of(misspelt, in_pipeline.as_ref());
        let of_queued = match (is_held, held.freezes.is_empty()) {
            (false, _) => OfQueued::StartWorker,
            (true, true) => OfQueued::LookAtJob,
            // What holds it is among the reasons.
            (true, false) => OfQueued::Nothing,
        };
        advice.extend(go_on(&KnownTask::from(task), place, work, of_queued));
    }
    advice.extend(held.freezes.iter().map(unfreeze));
    // Where ending the task is the remedy already, no work is skipped.
    let is_over =
        |front: &Ahead| front.looks_like.is_some() || front.work.state() == WorkState::Finished;
    let ends = |front: &&Ahead| !held.stuck && (!is_over(front) || !advice.iter().any(is_an_end));
    if let Some(front) = front.filter(ends) {
        advice.push(skip(front));
    }
    advice
}

fn is_an_end(advice: &Advice) -> bool {
    matches!(
        advice,
        Advice::EndTask { .. } | Advice::Merge { .. } | Advice::FixStage { .. }
    )
}

/// What helps the active task of a repo; nothing if it only takes time.
pub fn of_active(active: &Active) -> Vec<Advice> {
    let (Some(work), task) = (&active.work, &active.task) else {
        return Vec::new();
    };
    let misspelt = task.stage.as_deref().zip(active.looks_like.as_deref());
    let place = Place::of(misspelt, active.in_pipeline.as_ref());
    let is_merged = task.branch.as_ref().is_some_and(TaskBranch::is_merged);
    // A merged task ends with its last job that runs.
    let advice = match of_job_that_is_over(&work.first, is_merged).filter(|_| is_merged) {
        Some(advice) => vec![advice],
        None => go_on(&KnownTask::from(task), place, work, OfQueued::Nothing),
    };
    let is_waiting =
        |advice: &Advice| matches!(advice, Advice::Wait { .. } | Advice::WaitForRetry { .. });
    advice
        .into_iter()
        .filter(|advice| !is_waiting(advice))
        .collect()
}

/// What helps where the job in front is queued.
#[derive(Clone, Copy)]
enum OfQueued {
    Nothing,
    StartWorker,
    LookAtJob,
}

/// The stage of a task, as far as advice depends on it.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// The pipeline has it.
    InPipeline(&'a InPipeline),
    /// It looks like a finished stage, which comes second.
    Misspelt(&'a str, &'a str),
    Other,
}

impl<'a> Place<'a> {
    fn of(misspelt: Option<(&'a str, &'a str)>, pipeline: Option<&'a InPipeline>) -> Place<'a> {
        match (pipeline, misspelt) {
            (Some(place), _) => Place::InPipeline(place),
            (None, Some((stage, meant))) => Place::Misspelt(stage, meant),
            (None, None) => Place::Other,
        }
    }
}

/// What continues a task.
fn go_on(task: &KnownTask, place: Place<'_>, work: &TaskWork, of_queued: OfQueued) -> Vec<Advice> {
    let first = &work.first;
    let is_idle = matches!(
        first.state,
        WorkState::Queued | WorkState::Finished | WorkState::NoJob
    );
    let fix = match place {
        Place::Misspelt(stage, meant) => Some(Advice::FixStage {
            task: task.clone(),
            stage: stage.into(),
            meant: meant.into(),
        }),
        _ => None,
    };
    // Ending the task would be refused while a job is worked on.
    let fix = fix.filter(|_| !work.jobs().any(is_worked_on));
    if is_idle && let Some(fix) = fix {
        return vec![fix];
    }
    let on = match (first.state, first.job_id, of_queued) {
        (WorkState::Finished | WorkState::NoJob, ..) => when_idle(task, place, first.state),
        (WorkState::Queued, Some(job), OfQueued::LookAtJob) => vec![Advice::LookAtJob { job }],
        (WorkState::Queued, _, OfQueued::Nothing) => Vec::new(),
        _ => of_job(first).into_iter().collect(),
    };
    on.into_iter().chain(fix).collect()
}

/// What continues a task of which no job waits or runs.
fn when_idle(task: &KnownTask, place: Place<'_>, state: WorkState) -> Vec<Advice> {
    let task = task.clone();
    let end = Advice::EndTask { task: task.clone() };
    let is_ended = state == WorkState::Finished;
    match place {
        Place::InPipeline(InPipeline::Merge) => vec![Advice::Merge { task }],
        Place::InPipeline(InPipeline::Stage { agent }) => {
            let agent = Some(agent.clone());
            let add = Advice::AddJob { task, agent };
            std::iter::once(add)
                .chain(is_ended.then_some(end))
                .collect()
        }
        Place::Misspelt(..) | Place::Other => {
            let add = Advice::AddJob { task, agent: None };
            is_ended.then_some(end).into_iter().chain([add]).collect()
        }
    }
}

fn unfreeze(freeze: &FreezeAhead) -> Advice {
    let deploy = freeze.deploy.as_ref();
    match deploy {
        Some(deploy) => Advice::after(&freeze.repo, deploy),
        None => Advice::Unfreeze {
            repo: freeze.repo.clone(),
            deploy: None,
        },
    }
}

/// Whether a task with this job can be ended by force only: as in the store, except that a lease
/// may be over by then.
fn is_worked_on(job: &JobWork) -> bool {
    job.state == WorkState::Running
        || (job.state == WorkState::Foreign && job.status.as_deref() == Some("running"))
}

fn skip(front: &Ahead) -> Advice {
    let ends = |job: &&JobWork| matches!(job.status.as_deref(), Some("queued" | "running"));
    let cancelled = front.work.jobs().filter(ends);
    Advice::Skip {
        task: KnownTask::from(&front.task),
        cancels: cancelled.filter_map(|job| job.job_id).collect(),
        force: front.work.jobs().any(is_worked_on),
    }
}
