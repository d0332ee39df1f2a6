//! The policy's history, its shadow, promotion and rollback.
//!
//! Leaves each step to `rollout`. Steps run in the background, on their own queue, and wait for no
//! check.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serial_gate::queue::Queue;
use serial_gate::rollout;
use serial_gate::store::{Actor, GenerationEvent, ShadowRecord};
use utoipa::ToSchema;

use super::background::{Lane, in_background};
use crate::http::app::App;
use crate::http::transport::access::{Caller, Operator, Viewer};
use crate::http::transport::extract::Json;
use crate::http::transport::fields::maybe_whole;
use crate::http::transport::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why, for the history
    #[schema(
        pattern = r"^[^\x00]*\S[^\x00]*$",
        min_length = 1,
        example = "too many conflicts"
    )]
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// Why, for the history
    #[schema(
        pattern = r"^[^\x00]*\S[^\x00]*$",
        min_length = 1,
        example = "too many conflicts"
    )]
    pub reason: String,
    /// The generation to go back to; the previous one, if left out
    #[serde(default, deserialize_with = "maybe_whole")]
    pub generation: Option<i64>,
    /// The generation that the caller takes for active: if another one is active, nothing is
    /// changed
    #[serde(default, deserialize_with = "maybe_whole")]
    pub seen: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub struct Active {
    generation: i64,
}

/// Every change of the policy, the newest first
#[utoipa::path(
    get, path = "/v1/policy/history", tag = "policy", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The history", body = Vec<GenerationEvent>),
    )
)]
pub async fn history(
    State(app): State<App>,
    _: Viewer,
) -> Result<Json<Vec<GenerationEvent>>, Problem> {
    let events = app
        .reader
        .run(|reader| reader.queue.store().generation_events(None));
    Ok(Json(events.await??))
}

/// How often the shadow was compared, and where it differs from the active policy
#[utoipa::path(
    get, path = "/v1/policy/shadow", tag = "policy", security(("token" = ["reader"])),
    responses(
        (
            status = 200, body = Option<ShadowRecord>,
            description = "The comparison; null if there is no shadow"
        ),
    )
)]
pub async fn shadow(
    State(app): State<App>,
    _: Viewer,
) -> Result<Json<Option<ShadowRecord>>, Problem> {
    let record = app
        .reader
        .run(|reader| reader.queue.store().shadow_record());
    Ok(Json(record.await??))
}

/// Stop the shadow
#[utoipa::path(
    delete, path = "/v1/policy/shadow", tag = "policy", security(("token" = ["operator"])),
    request_body = Because,
    responses(
        (status = 200, description = "It is no longer the shadow", body = Active),
    )
)]
pub async fn stop_shadow(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(Because { reason }): Json<Because>,
) -> Result<Json<Active>, Problem> {
    actor(&app, caller, reason, |queue, actor| {
        let stopped = queue.store().stop_shadow(actor)?;
        stopped.ok_or(rollout::Error::NoShadow)
    })
    .await
}

/// Make the shadow the active policy
#[utoipa::path(
    post, path = "/v1/policy/promote", tag = "policy", security(("token" = ["operator"])),
    request_body = Because,
    responses(
        (status = 200, description = "It is active", body = Active),
    )
)]
pub async fn promote(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(Because { reason }): Json<Because>,
) -> Result<Json<Active>, Problem> {
    actor(&app, caller, reason, rollout::promote).await
}

/// Go back to the previous generation, or to any that was active once
#[utoipa::path(
    post, path = "/v1/policy/rollback", tag = "policy", security(("token" = ["operator"])),
    request_body = RollBack,
    responses(
        (status = 200, description = "It is active", body = Active),
        (
            status = "default", body = Problem, content_type = "application/problem+json",
            description = "It was refused. 409: another generation is active now"
        ),
    )
)]
pub async fn rollback(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(RollBack {
        reason,
        generation,
        seen,
    }): Json<RollBack>,
) -> Result<Json<Active>, Problem> {
    actor(&app, caller, reason, move |queue, actor| {
        rollout::roll_back(queue, generation, seen, actor)
    })
    .await
}

async fn actor(
    app: &App,
    caller: Caller,
    reason: String,
    step: impl FnOnce(&mut Queue, Actor<'_>) -> Result<i64, rollout::Error> + Send + 'static,
) -> Result<Json<Active>, Problem> {
    let why = given(reason)?;
    in_background(app, Lane::Steps, move |_, queue| {
        let generation = step(queue, caller.actor(&why))?;
        Ok(Json(Active { generation }))
    })
    .await
}

/// Refuses a blank reason.
pub fn given(reason: String) -> Result<String, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::invalid("`reason` is blank: say why"));
    }
    Ok(reason)
}
