//! A job's life after it was added: kept, ended, or put back.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serial_gate::queue::{self, Queue, TaskName};
use serial_gate::store::{
    self, Actor, EndedJob, Ending, NewJob, NextJob, Retry, json_time, sql_time,
};
use utoipa::ToSchema;

use super::idempotency::{Key, MayBeRepeated};
use crate::http::app::App;
use crate::http::transport::access::{Operator, Worker};
use crate::http::transport::extract::{Json, Path};
use crate::http::transport::fields::{maybe_whole, token};
use crate::http::transport::problem::Problem;

/// People read it, in the queue and in an alert.
const LONGEST_ERROR: usize = 5_000;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddJob {
    /// The task, by its id
    #[serde(
        default,
        deserialize_with = "maybe_whole",
        skip_serializing_if = "Option::is_none"
    )]
    task_id: Option<i64>,
    /// The agent that does it
    #[schema(min_length = 1, example = "developer")]
    agent: String,
    /// The repo it works in; the task's, if left out
    #[schema(min_length = 1)]
    repo: Option<String>,
    /// The task, by its work item, instead of `task_id`; digits are an id, and after `item:` they
    /// are a work item
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, example = "ORCH-88")]
    task: Option<String>,
}

impl AddJob {
    fn task(&self) -> Result<TaskName, Problem> {
        match (self.task_id, &self.task) {
            (Some(id), None) => Ok(TaskName::Id(id)),
            (None, Some(name)) => name.parse().map_err(Problem::invalid),
            (None, None) => Err(Problem::invalid("no task: give `task_id` or `task`")),
            (Some(_), Some(_)) => Err(Problem::invalid(
                "`task_id` and `task` both name a task: give one of them",
            )),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct AddedJob {
    job_id: i64,
    /// A warning: the freeze of its repo does not hold this job
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token that the claim gave
    #[serde(deserialize_with = "token")]
    #[schema(
        min_length = 1,
        max_length = 200,
        example = "sgc_6rGp3Yw0Qm1VxXh0c2h7Aw"
    )]
    token: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The token that the claim gave
    #[serde(deserialize_with = "token")]
    #[schema(
        min_length = 1,
        max_length = 200,
        example = "sgc_6rGp3Yw0Qm1VxXh0c2h7Aw"
    )]
    token: String,
    /// What went wrong
    #[schema(max_length = 5_000)]
    error: Option<String>,
    /// After how many failed attempts the job has failed; if left out, the pipeline's number, or 1.
    /// Before that it is put off, and tried again later
    #[serde(default, deserialize_with = "maybe_whole")]
    #[schema(minimum = 1, maximum = 100)]
    attempts: Option<i64>,
    /// What the job printed, for people; the last 8 KiB are kept
    output: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// The token that the claim gave
    #[serde(deserialize_with = "token")]
    #[schema(
        min_length = 1,
        max_length = 200,
        example = "sgc_6rGp3Yw0Qm1VxXh0c2h7Aw"
    )]
    token: String,
    /// The stage that the task goes to; if left out, the pipeline says where it goes. A finished
    /// one, such as `done`, ends the task
    #[schema(min_length = 1, example = "development")]
    stage: Option<String>,
    /// What the job printed, for people; the last 8 KiB are kept
    output: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Requeue {
    /// Why, for the history
    #[serde(default)]
    #[schema(default = "")]
    pub reason: String,
    /// The attempt that the caller saw: if there was another one since, nothing is changed
    #[serde(default, deserialize_with = "maybe_whole")]
    pub attempt: Option<i64>,
}

/// A job after a change.
#[derive(Serialize, ToSchema)]
pub struct Changed {
    job_id: i64,
    /// Its status; `put_off` if its attempt failed and it is tried again
    #[schema(example = "done")]
    status: String,
    /// When a running job goes back to the queue unless its worker reports, or when a job that is put
    /// off is tried again, UTC
    #[schema(format = DateTime)]
    lease_until: Option<String>,
    /// The task that moved because of this job
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<i64>,
    /// The stage that it went to
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// The job of this stage; none if it has no job
    #[serde(skip_serializing_if = "Option::is_none")]
    next_job: Option<NextJob>,
    /// A warning: the stage only looks finished
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Add a queued job to a task
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs", security(("token" = ["worker"])), params(MayBeRepeated),
    request_body = AddJob,
    responses(
        (status = 201, description = "It was added", body = AddedJob),
    )
)]
pub async fn add_job(
    State(app): State<App>,
    Worker(caller): Worker,
    key: Key,
    Json(job): Json<AddJob>,
) -> Result<(StatusCode, Json<AddedJob>), Problem> {
    let keyed = key.of(&caller, "POST /v1/jobs", &job)?;
    let task = job.task()?;
    let add = move |queue: &mut Queue| {
        let task_id = match queue.task_named(&task) {
            Ok(id) => id,
            // When the request came first, the name may have been another task's.
            Err(error) => {
                let before = keyed.as_ref().map(|keyed| keyed.as_repeatable());
                let before = before.map(|before| queue.store().job_added_before(before));
                return match before.transpose()?.flatten() {
                    Some(job_id) => Ok(AddedJob {
                        job_id,
                        note: queue.added_job_note(Timestamp::now(), job_id),
                    }),
                    None => Err(error),
                };
            }
        };
        let new = NewJob {
            task_id,
            agent: &job.agent,
            repo: job.repo.as_deref(),
        };
        let (now, store) = (Timestamp::now(), queue.store());
        let job_id = match &keyed {
            Some(keyed) => store.add_job_once(now, new, keyed.as_repeatable())?,
            None => store.add_job(now, new)?,
        };
        let note = queue.added_job_note(now, job_id);
        Ok::<AddedJob, queue::Error>(AddedJob { job_id, note })
    };
    let added = app.writer.change(add).await??;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Keep a claimed job for another lease
#[utoipa::path(
    post, path = "/v1/jobs/{id}/heartbeat", tag = "jobs", security(("token" = ["worker"])),
    params(("id" = i64, Path, description = "The job")), request_body = Token,
    responses(
        (status = 200, description = "It is kept", body = Changed),
    )
)]
pub async fn heartbeat(
    State(app): State<App>,
    Worker(caller): Worker,
    Path(id): Path<i64>,
    Json(Token { token }): Json<Token>,
) -> Result<Json<Changed>, Problem> {
    let lease = app.service.lease;
    let heartbeat = move |queue: &mut Queue| {
        let claim = of(id, &token);
        queue.store().heartbeat(caller.actor(""), claim, lease)
    };
    let until = app.writer.change(heartbeat).await??;
    Ok(Json(Changed {
        lease_until: Some(json_time(&sql_time(until))),
        ..Changed::to(id, "running")
    }))
}

/// End a claimed job that was done, and move its task on
#[utoipa::path(
    post, path = "/v1/jobs/{id}/finish", tag = "jobs", security(("token" = ["worker"])),
    params(("id" = i64, Path, description = "The job")), request_body = Finish,
    responses(
        (status = 200, description = "It is done", body = Changed),
    )
)]
pub async fn finish(
    State(app): State<App>,
    Worker(caller): Worker,
    Path(id): Path<i64>,
    Json(Finish {
        token,
        stage,
        output,
    }): Json<Finish>,
) -> Result<Json<Changed>, Problem> {
    let finish = move |queue: &mut Queue| {
        let (actor, claim) = (caller.actor(""), of(id, &token));
        let ending = match stage.as_deref() {
            None => Ending::Done,
            Some(stage) => Ending::To { stage },
        };
        let ended = end(queue, actor, claim, ending, output.as_deref())?;
        let note = queue.sent_note(actor.now, &ended, stage.as_deref());
        Ok::<_, queue::Error>(Changed {
            note,
            ..Changed::ended(id, ended)
        })
    };
    Ok(Json(app.writer.change(finish).await??))
}

/// End a claimed job that failed, or put it off for another attempt
#[utoipa::path(
    post, path = "/v1/jobs/{id}/fail", tag = "jobs", security(("token" = ["worker"])),
    params(("id" = i64, Path, description = "The job")), request_body = Failure,
    responses(
        (status = 200, description = "It has failed, or is tried again later", body = Changed),
    )
)]
pub async fn fail(
    State(app): State<App>,
    Worker(caller): Worker,
    Path(id): Path<i64>,
    Json(Failure {
        token,
        error,
        attempts,
        output,
    }): Json<Failure>,
) -> Result<Json<Changed>, Problem> {
    if error
        .as_ref()
        .is_some_and(|error| error.chars().count() > LONGEST_ERROR)
    {
        return Err(Problem::invalid("`error` has at most 5000 characters"));
    }
    let attempts = match attempts.map(u32::try_from) {
        None => None,
        Some(Ok(number @ 1..=100)) => Some(number),
        Some(_) => return Err(Problem::invalid("`attempts` is 1 to 100")),
    };
    let fail = move |queue: &mut Queue| {
        let (actor, claim) = (caller.actor(""), of(id, &token));
        let ending = Ending::Failed {
            error: error.as_deref(),
            retry: Some(Retry {
                attempts,
                first: Retry::FIRST,
            }),
        };
        end(queue, actor, claim, ending, output.as_deref())
    };
    let ended = app.writer.change(fail).await??;
    Ok(Json(Changed::ended(id, ended)))
}

/// Put a running, failed or cancelled job back to its old place in the queue
#[utoipa::path(
    post, path = "/v1/jobs/{id}/requeue", tag = "jobs", security(("token" = ["operator"])),
    params(("id" = i64, Path, description = "The job")), request_body = Requeue,
    responses(
        (
            status = 200, body = Changed,
            description = "It is queued, or cancelled if its task was merged and is done now"
        ),
    )
)]
pub async fn requeue(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<i64>,
    Json(Requeue { reason, attempt }): Json<Requeue>,
) -> Result<Json<Changed>, Problem> {
    let requeue = move |queue: &mut Queue| {
        let finished = queue.finished_stages()?;
        let actor = caller.actor(&reason);
        let store = queue.store_mut();
        Ok::<_, queue::Error>(store.requeue(actor, id, attempt, &finished)?)
    };
    let status = match app.writer.change(requeue).await?? {
        true => "queued",
        // Its task was merged, and is done.
        false => "cancelled",
    };
    Ok(Json(Changed::to(id, status)))
}

impl Changed {
    /// Whether the job was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.status == "cancelled"
    }

    fn to(job_id: i64, status: &str) -> Changed {
        Changed {
            job_id,
            status: status.into(),
            lease_until: None,
            task_id: None,
            stage: None,
            next_job: None,
            note: None,
        }
    }

    fn ended(job_id: i64, ended: EndedJob) -> Changed {
        let moved = ended.moved;
        Changed {
            lease_until: ended.again_at.as_deref().map(json_time),
            task_id: moved.as_ref().map(|moved| moved.task_id),
            stage: moved.as_ref().map(|moved| moved.stage.clone()),
            next_job: moved.and_then(|moved| moved.next_job),
            ..Changed::to(job_id, &ended.status)
        }
    }
}

/// Ends a job, and keeps its output.
fn end(
    queue: &mut Queue,
    actor: Actor<'_>,
    claim: store::Claim<'_>,
    ending: Ending<'_>,
    output: Option<&str>,
) -> Result<EndedJob, queue::Error> {
    if let Some(output) = output.filter(|output| !output.is_empty()) {
        queue.store_mut().keep_output(actor, claim, output)?;
    }
    queue.end_job(actor, claim, ending)
}

fn of(job: i64, token: &str) -> store::Claim<'_> {
    store::Claim { job, token }
}
