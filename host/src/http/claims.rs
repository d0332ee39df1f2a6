//! Claims, and the life of a claimed job.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serial_gate::queue::{self, Queue};
use serial_gate::store::{self, Claimed, Ending, sql_time};
use utoipa::ToSchema;

use super::App;
use super::access::Caller;
use super::body::{Body, Which, token, whole};
use super::owner::Refused;
use super::problem::Problem;
use super::waiters::Waiter;

/// Longer, and something between may take the connection for dead.
const LONGEST_WAIT: u32 = 300;

/// It is for people to read, in the queue and in an alert.
const LONGEST_ERROR: usize = 5_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who claims
    #[schema(min_length = 1, max_length = 200, example = "builder-1")]
    worker: String,
    /// Whose jobs it does; those of all agents, if left out
    #[schema(min_length = 1, max_length = 200, example = "analyst")]
    agent: Option<String>,
    /// Seconds to wait for a job if there is none now
    #[serde(default, deserialize_with = "whole")]
    #[schema(default = 0, maximum = 300)]
    wait: u32,
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
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Requeue {
    /// Why, for the history
    #[serde(default)]
    #[schema(default = "")]
    reason: String,
}

/// A job after a change.
#[derive(Serialize, ToSchema)]
pub struct Changed {
    job_id: i64,
    #[schema(example = "done")]
    status: &'static str,
    /// When a running job goes back to the queue unless its worker is heard of, UTC
    lease_until: Option<String>,
}

/// Claim the next job that the gate lets through
///
/// With `wait`, the answer comes as soon as there is one, or when the time is over. Of those that a
/// job is for, whoever has asked first gets it.
#[utoipa::path(
    post, path = "/claim", tag = "jobs", security(("token" = ["worker"])),
    request_body = Claim,
    responses(
        (status = 200, description = "A job. Its token ends it", body = Claimed),
        (status = 204, description = "Nothing may be claimed"),
    )
)]
pub async fn claim(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(claim): Body<Claim>,
) -> Result<Response, Problem> {
    let Claim {
        worker,
        agent,
        wait,
    } = claim;
    if worker.is_empty() || worker.chars().count() > 200 {
        return Err(Problem::invalid("`worker` has 1 to 200 characters"));
    }
    if agent
        .as_ref()
        .is_some_and(|agent| agent.is_empty() || agent.chars().count() > 200)
    {
        return Err(Problem::invalid(
            "`agent` has 1 to 200 characters: leave it out for the jobs of all agents",
        ));
    }
    if wait > LONGEST_WAIT {
        return Err(Problem::invalid("`wait` is at most 300 seconds"));
    }
    let (waiter, answer) = Waiter::new(worker, agent, Duration::from_secs(wait.into()));
    app.writer.claim(waiter)?;
    let claimed = tokio::select! {
        // A job that is there already is the worker's.
        biased;
        answer = answer => answer.map_err(|_| Refused::Stopped)???,
        // From here on nobody takes the answer: a job that comes all the same goes back.
        () = app.access.revoked(caller.key) => return Err(Problem::revoked()),
    };
    Ok(match claimed {
        Some(job) => {
            app.metrics.claimed.inc();
            Json(job).into_response()
        }
        None => {
            app.metrics.found_nothing.inc();
            StatusCode::NO_CONTENT.into_response()
        }
    })
}

/// Keep a claimed job for another lease
#[utoipa::path(
    post, path = "/jobs/{id}/heartbeat", tag = "jobs", security(("token" = ["worker"])),
    params(("id" = i64, Path, description = "The job")), request_body = Token,
    responses(
        (status = 200, description = "It is kept", body = Changed),
    )
)]
pub async fn heartbeat(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Which(id): Which<i64>,
    Body(Token { token }): Body<Token>,
) -> Result<Json<Changed>, Problem> {
    let lease = app.service.lease;
    let heartbeat = move |queue: &mut Queue| {
        let claim = of(id, &token);
        queue.store().heartbeat(caller.act(""), claim, lease)
    };
    let until = app.writer.change(heartbeat).await??;
    Ok(Json(Changed {
        job_id: id,
        status: "running",
        lease_until: Some(sql_time(until)),
    }))
}

/// End a claimed job that was done
#[utoipa::path(
    post, path = "/jobs/{id}/finish", tag = "jobs", security(("token" = ["worker"])),
    params(("id" = i64, Path, description = "The job")), request_body = Token,
    responses(
        (status = 200, description = "It is done", body = Changed),
    )
)]
pub async fn finish(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Which(id): Which<i64>,
    Body(Token { token }): Body<Token>,
) -> Result<Json<Changed>, Problem> {
    let finish = move |queue: &mut Queue| {
        let claim = of(id, &token);
        queue
            .store_mut()
            .end_job(caller.act(""), claim, Ending::Done)
    };
    app.writer.change(finish).await??;
    Ok(Json(Changed::to(id, "done")))
}

/// End a claimed job that failed
#[utoipa::path(
    post, path = "/jobs/{id}/fail", tag = "jobs", security(("token" = ["worker"])),
    params(("id" = i64, Path, description = "The job")), request_body = Failure,
    responses(
        (status = 200, description = "It has failed", body = Changed),
    )
)]
pub async fn fail(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Which(id): Which<i64>,
    Body(Failure { token, error }): Body<Failure>,
) -> Result<Json<Changed>, Problem> {
    if error
        .as_ref()
        .is_some_and(|error| error.chars().count() > LONGEST_ERROR)
    {
        return Err(Problem::invalid("`error` has at most 5000 characters"));
    }
    let fail = move |queue: &mut Queue| {
        let error = error.as_deref();
        let (act, claim) = (caller.act(""), of(id, &token));
        queue
            .store_mut()
            .end_job(act, claim, Ending::Failed { error })
    };
    app.writer.change(fail).await??;
    Ok(Json(Changed::to(id, "failed")))
}

/// Put a running, failed or cancelled job back to its old place in the queue
#[utoipa::path(
    post, path = "/jobs/{id}/requeue", tag = "jobs", security(("token" = ["operator"])),
    params(("id" = i64, Path, description = "The job")), request_body = Requeue,
    responses(
        (status = 200, description = "It is queued", body = Changed),
    )
)]
pub async fn requeue(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Which(id): Which<i64>,
    Body(Requeue { reason }): Body<Requeue>,
) -> Result<Json<Changed>, Problem> {
    let requeue = move |queue: &mut Queue| {
        let finished = queue.finished_stages()?;
        let act = caller.act(&reason);
        Ok::<(), queue::Error>(queue.store_mut().requeue(act, id, &finished)?)
    };
    app.writer.change(requeue).await??;
    Ok(Json(Changed::to(id, "queued")))
}

impl Changed {
    fn to(job_id: i64, status: &'static str) -> Changed {
        Changed {
            job_id,
            status,
            lease_until: None,
        }
    }
}

fn of(job: i64, token: &str) -> store::Claim<'_> {
    store::Claim { job, token }
}
