//! A claim over HTTP, which may wait for a job.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serial_gate::store::Claimed;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::transport::access::Worker;
use crate::http::transport::actor::Refused;
use crate::http::transport::extract::Json;
use crate::http::transport::fields::whole;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;
use crate::http::transport::waiter::Waiter;

/// Proxies may drop a connection that is silent for longer.
const LONGEST_WAIT: u32 = 300;
const LONGEST_NAME: usize = 200;
/// The most agents of one claim, which looks at each of them.
const MOST_AGENTS: usize = 100;
/// Clients refuse longer headers. The nearest names come first.
const LONGEST_NOTE: usize = 2_000;
/// What to know about an answer that has no body.
const NOTE: HeaderName = HeaderName::from_static("serial-gate-note");

/// The name of an agent
#[derive(Deserialize, ToSchema)]
#[schema(min_length = 1, max_length = 200, example = "analyst")]
struct AgentName(String);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The name of the worker that claims
    #[schema(min_length = 1, max_length = 200, example = "builder-1")]
    worker: String,
    /// The agent whose jobs it does; all agents, if left out. It need not have a job yet
    #[schema(min_length = 1, max_length = 200, example = "analyst")]
    agent: Option<String>,
    /// The same for several agents, instead of `agent`
    #[schema(min_items = 1, max_items = 100)]
    agents: Option<Vec<AgentName>>,
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
    post, path = "/v1/claim", tag = "jobs", security(("token" = ["worker"])),
    request_body = Claim,
    responses(
        (status = 200, description = "A job, with the token that ends it", body = Claimed),
        (
            status = 204, description = "Nothing may be claimed",
            headers((
                "serial-gate-note" = String,
                description = "Sent if no job has ever had this agent, or one of these: it may be misspelt"
            ))
        ),
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
        agents,
        wait,
    } = claim;
    let is_name = |name: &str| !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if !is_name(&worker) {
        return Err(Problem::invalid("`worker` has 1 to 200 characters"));
    }
    let agents: Vec<String> = match (agent, agents) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "a claim has `agent` or `agents`, not both",
            ));
        }
        (None, Some(agents)) if agents.is_empty() || agents.len() > MOST_AGENTS => {
            return Err(Problem::invalid(
                "`agents` has 1 to 100 names: leave it out for the jobs of all agents",
            ));
        }
        (None, Some(agents)) => agents.into_iter().map(|AgentName(agent)| agent).collect(),
        (agent, None) => agent.into_iter().collect(),
    };
    if !agents.iter().all(|agent| is_name(agent)) {
        return Err(Problem::invalid(
            "`agent` has 1 to 200 characters: leave it out for the jobs of all agents",
        ));
    }
    if wait > LONGEST_WAIT {
        return Err(Problem::invalid("`wait` is at most 300 seconds"));
    }
    let (waiter, answer) = Waiter::new(worker, agents.clone(), Duration::from_secs(wait.into()));
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
            let mut answer = StatusCode::NO_CONTENT.into_response();
            if let Some(note) = unknown(&app, agents).await {
                answer.headers_mut().insert(NOTE, note);
            }
            answer
        }
    })
}

/// The note about agents that no job has ever had. It is not an error: a worker may wait for an
/// agent's first job. If the look fails, there is no note.
async fn unknown(app: &App, agents: Vec<String>) -> Option<HeaderValue> {
    if agents.is_empty() {
        return None;
    }
    // The reader may be busy with a long queue.
    let look = move |prober: &mut Reader| {
        let notes = agents
            .iter()
            .map(|agent| prober.queue.unknown_agent(agent).transpose());
        notes.flatten().collect::<Result<Vec<_>, _>>()
    };
    let notes = app.prober.run(look).await.ok()?.ok()?.join(". ");
    if notes.is_empty() {
        return None;
    }
    let mut ascii = String::new();
    for letter in notes.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            ascii.extend(letter.escape_unicode());
        }
    }
    if ascii.len() > LONGEST_NOTE {
        ascii.truncate(LONGEST_NOTE);
        ascii.push_str("...");
    }
    HeaderValue::from_str(&ascii).ok()
}
