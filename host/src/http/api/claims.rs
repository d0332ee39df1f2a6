//! A claim over HTTP, which may wait for a job.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serial_gate::store::Claimed;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::transport::access::Worker;
use crate::http::transport::actor::Refused;
use crate::http::transport::extract::{Json, whole};
use crate::http::transport::problem::Problem;
use crate::http::transport::waiter::Waiter;

/// Proxies may drop a connection that is silent for longer.
const LONGEST_WAIT: u32 = 300;
const LONGEST_NAME: usize = 200;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The name of the worker that claims
    #[schema(min_length = 1, max_length = 200, example = "builder-1")]
    worker: String,
    /// The agent whose jobs it does; all agents, if left out
    #[schema(min_length = 1, max_length = 200, example = "analyst")]
    agent: Option<String>,
    /// Seconds to wait for a job if there is none now
    #[serde(default, deserialize_with = "whole")]
    #[schema(default = 0, maximum = 300)]
    wait: u32,
}

/// Claim the next job that the gate lets through
///
/// With `wait`, the answer comes as soon as there is a job, or when the time is over. A job goes to
/// the worker of its agent that has waited longest.
#[utoipa::path(
    post, path = "/claim", tag = "jobs", security(("token" = ["worker"])),
    request_body = Claim,
    responses(
        (status = 200, description = "A job, with the token that ends it", body = Claimed),
        (status = 204, description = "Nothing may be claimed"),
    )
)]
pub async fn claim(
    State(app): State<App>,
    Worker(caller): Worker,
    Json(claim): Json<Claim>,
) -> Result<Response, Problem> {
    let Claim {
        worker,
        agent,
        wait,
    } = claim;
    let is_name = |name: &str| !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if !is_name(&worker) {
        return Err(Problem::invalid("`worker` has 1 to 200 characters"));
    }
    if !agent.as_deref().is_none_or(is_name) {
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
        // A job that was claimed already belongs to the worker.
        biased;
        answer = answer => answer.map_err(|_| Refused::Stopped)???,
        // This drops the receiver: a job that is claimed later goes back.
        () = app.access.revoked(caller.key) => return Err(Problem::revoked()),
    };
    Ok(match claimed {
        Some(job) => {
            app.counters.claimed.inc();
            Json(job).into_response()
        }
        None => {
            app.counters.found_nothing.inc();
            StatusCode::NO_CONTENT.into_response()
        }
    })
}
