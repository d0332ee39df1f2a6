//! The policy's life: check, swap, shadow, history, back.
//!
//! Owns nothing of it: each step is `life`'s. All of them run beside the claims, on a queue of
//! their own. Callers rely on this: checks are made one at a time, and nothing else waits for them;
//! a check ends when its caller is gone or the service is told to stop.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serial_gate::conform::{Candidate, check_policy};
use serial_gate::model::verdict_to_json;
use serial_gate::policy::{DEFAULT_POLICY, Stop};
use serial_gate::queue::{self, Queue};
use serial_gate::rollout::{self, Place, Proposal};
use serial_gate::store::{Act, GenerationEvent, GenerationState};
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::Caller;
use super::body::{Asked, Body, maybe_whole};
use super::problem::Problem;
use super::uploads::Component;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Proposed {
    /// Why, for the history
    #[param(min_length = 1, example = "two tasks at a time")]
    reason: String,
    /// The policy's own parameters, a JSON document; as they are, if left out
    rules: Option<String>,
    /// The repos that the rules name may be new: nothing in the queue has their names yet. Without
    /// this, such rules are refused
    #[serde(default)]
    #[param(default = false)]
    new: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ToCheck {
    /// The policy's own parameters, a JSON document; as they are, if left out
    rules: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why, for the history
    #[schema(min_length = 1, example = "too many conflicts")]
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// Why, for the history
    #[schema(min_length = 1, example = "too many conflicts")]
    pub reason: String,
    /// The generation to go back to; the one that was active before, if left out
    #[serde(default, deserialize_with = "maybe_whole")]
    pub generation: Option<i64>,
    /// The generation that the caller knows to be active: if it is another by now, nothing is
    /// changed
    #[serde(default, deserialize_with = "maybe_whole")]
    pub seen: Option<i64>,
}

/// What a check found, stage by stage.
#[derive(Serialize, ToSchema)]
pub struct Checked {
    accepted: bool,
    stages: Vec<Value>,
}

/// What became of a proposal.
#[derive(Serialize, ToSchema)]
pub struct Swapped {
    generation: i64,
    accepted: bool,
    stages: Vec<Value>,
}

/// A component, by its bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(
    dead_code,
    reason = "the document's name for what `Component` receives"
)]
pub struct Wasm(Vec<u8>);

#[derive(Serialize, ToSchema)]
pub struct Active {
    generation: i64,
}

/// Every change of the policy, the newest first
#[utoipa::path(
    get, path = "/policy/history", tag = "policy", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The history", body = Vec<GenerationEvent>),
    )
)]
pub async fn history(State(app): State<App>) -> Result<Json<Vec<GenerationEvent>>, Problem> {
    let events = app
        .reader
        .run(|reader| reader.queue.store().generation_events(None));
    Ok(Json(events.await??))
}

/// Check a policy; nothing is changed
///
/// The body is the component, or nothing for the built-in policy.
#[utoipa::path(
    post, path = "/policy/check", tag = "policy", security(("token" = ["operator"])), params(ToCheck),
    request_body(content = Option<Wasm>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "What the check found", body = Checked),
    )
)]
pub async fn check(
    State(app): State<App>,
    Asked(asked): Asked<ToCheck>,
    mut component: Component,
) -> Result<Json<Checked>, Problem> {
    beside(&app, Lane::Checks, move |app, queue| {
        let proposal = proposal(queue, component.take(), asked.rules)?;
        let fixtures = queue.store().fixtures()?;
        let candidate = Candidate {
            component: &proposal.component,
            signature: None,
            trust: app.service.trust.as_ref(),
            settings: &proposal.settings,
            allowance: proposal.allowance,
            fixtures: &fixtures,
        };
        let runtime = queue.runtime().map_err(queue::Error::from)?.clone();
        let stages = check_policy(candidate, &runtime, Timestamp::now())?;
        Ok(Json(Checked {
            accepted: stages.iter().all(|stage| stage.found.is_ok()),
            stages: stages.iter().map(Value::from).collect(),
        }))
    })
    .await
}

/// Check a policy and make it the active one; a refused one changes nothing
///
/// The body is the component, or nothing for the built-in policy.
#[utoipa::path(
    post, path = "/policy/swap", tag = "policy", security(("token" = ["operator"])), params(Proposed),
    request_body(content = Option<Wasm>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "It is active", body = Swapped),
        (status = 422, description = "It was refused; the stages say why", body = Swapped),
    )
)]
pub async fn swap(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<Proposed>,
    component: Component,
) -> Result<(StatusCode, Json<Swapped>), Problem> {
    propose(app, caller, asked, component, Place::Active).await
}

/// Check a policy and let it decide beside the active one
///
/// The body is the component, or nothing for the built-in policy.
#[utoipa::path(
    post, path = "/policy/shadow", tag = "policy", security(("token" = ["operator"])), params(Proposed),
    request_body(content = Option<Wasm>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "It is the shadow", body = Swapped),
        (status = 422, description = "It was refused; the stages say why", body = Swapped),
    )
)]
pub async fn start_shadow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<Proposed>,
    component: Component,
) -> Result<(StatusCode, Json<Swapped>), Problem> {
    propose(app, caller, asked, component, Place::Shadow).await
}

/// How often the shadow was asked, and where it differs from the active policy
#[utoipa::path(
    get, path = "/policy/shadow", tag = "policy", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "What it did; null if there is no shadow", body = Value),
    )
)]
pub async fn shadow(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let record = app
        .reader
        .run(|reader| reader.queue.store().shadow_record())
        .await??;
    let Some(record) = record else {
        return Ok(Json(Value::Null));
    };
    let disagreements = record.disagreements.iter().map(|found| {
        json!({
            "job": found.job,
            "active": found.active.as_ref().map(verdict_to_json),
            "shadow": found.shadow.as_ref().map(verdict_to_json),
            "times": found.times,
            "last_at": found.last_at,
        })
    });
    Ok(Json(json!({
        "generation": record.generation, "looks": record.looks, "decisions": record.decisions,
        "failures": record.failures, "last_failure": record.last_failure,
        "disagreements": disagreements.collect::<Vec<_>>(),
    })))
}

/// End the shadow's time
#[utoipa::path(
    delete, path = "/policy/shadow", tag = "policy", security(("token" = ["operator"])), request_body = Because,
    responses(
        (status = 200, description = "It is no longer the shadow", body = Active),
    )
)]
pub async fn stop_shadow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(Because { reason }): Body<Because>,
) -> Result<Json<Active>, Problem> {
    act(&app, caller, reason, |queue, act| {
        let stopped = queue.store_mut().stop_shadow(act)?;
        stopped.ok_or(rollout::Error::NoShadow)
    })
    .await
}

/// Make the shadow the active policy
#[utoipa::path(
    post, path = "/policy/promote", tag = "policy", security(("token" = ["operator"])), request_body = Because,
    responses(
        (status = 200, description = "It is active", body = Active),
    )
)]
pub async fn promote(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(Because { reason }): Body<Because>,
) -> Result<Json<Active>, Problem> {
    act(&app, caller, reason, rollout::promote).await
}

/// Go back to the generation before, or to any that was active once
#[utoipa::path(
    post, path = "/policy/rollback", tag = "policy", security(("token" = ["operator"])), request_body = RollBack,
    responses(
        (status = 200, description = "It is active", body = Active),
        (status = "default", description = "It was refused; with 409, another generation is active by now", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn rollback(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(RollBack {
        reason,
        generation,
        seen,
    }): Body<RollBack>,
) -> Result<Json<Active>, Problem> {
    act(&app, caller, reason, move |queue, act| {
        rollout::roll_back(queue, generation, seen, act)
    })
    .await
}

async fn act(
    app: &App,
    caller: Caller,
    reason: String,
    step: impl FnOnce(&mut Queue, Act<'_>) -> Result<i64, rollout::Error> + Send + 'static,
) -> Result<Json<Active>, Problem> {
    let why = given(reason)?;
    beside(app, Lane::Steps, move |_, queue| {
        let generation = step(queue, caller.act(&why))?;
        Ok(Json(Active { generation }))
    })
    .await
}

async fn propose(
    app: App,
    caller: Caller,
    asked: Proposed,
    mut component: Component,
    place: Place,
) -> Result<(StatusCode, Json<Swapped>), Problem> {
    let why = given(asked.reason)?;
    beside(&app, Lane::Checks, move |_, queue| {
        let proposal = proposal(queue, component.take(), asked.rules)?;
        queue.check_scope(&proposal.settings, asked.new)?;
        let swapped = rollout::swap(queue, &proposal, place, caller.act(&why))?;
        let accepted = swapped.is_accepted();
        let status = match accepted {
            true => StatusCode::OK,
            false => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let swapped = Swapped {
            generation: swapped.generation,
            accepted,
            stages: swapped.stages.iter().map(Value::from).collect(),
        };
        Ok((status, Json(swapped)))
    })
    .await
}

/// The component under the settings and limits of the active generation.
fn proposal(
    queue: &mut Queue,
    component: Vec<u8>,
    rules: Option<String>,
) -> Result<Proposal, Problem> {
    let active = queue.store().generation_in(GenerationState::Active)?;
    let component = match component.is_empty() {
        true => DEFAULT_POLICY.to_vec(),
        false => component,
    };
    let mut proposal = Proposal::over(active.as_ref(), component, None);
    proposal.settings.rules = rules.or(proposal.settings.rules);
    Ok(proposal)
}

fn given(reason: String) -> Result<String, Problem> {
    if reason.is_empty() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "`reason` is empty: say why",
        ));
    }
    Ok(reason)
}

/// How many steps that check nothing are made at a time.
pub const STEPS: usize = 8;

/// Who a request waits for.
enum Lane {
    /// Checks of components, one at a time.
    Checks,
    /// Everything else.
    Steps,
}

/// Tells work to stop when the request that it is for is dropped.
struct WhileAsked(Stop);

impl Drop for WhileAsked {
    fn drop(&mut self) {
        self.0.tell();
    }
}

/// Waits until the service is told to stop.
async fn is_to_stop(stopping: &mut watch::Receiver<bool>) {
    // What it lends is not kept, and that it fails is the end as well.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Runs what takes long on a queue of its own, in its turn, until it is done or nobody wants it any
/// more.
async fn beside<T: Send + 'static>(
    app: &App,
    lane: Lane,
    step: impl FnOnce(&App, &mut Queue) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let stopped = || Problem::from(super::owner::Refused::Stopped);
    let mut stopping = app.stopping.subscribe();
    let (turn, place) = tokio::select! {
        biased;
        () = is_to_stop(&mut stopping) => return Err(stopped()),
        turn = Arc::clone(&app.policy_turn).lock_owned(), if matches!(lane, Lane::Checks) => (Some(turn), None),
        place = Arc::clone(&app.policy_steps).acquire_owned(), if matches!(lane, Lane::Steps) => (None, place.ok()),
    };
    let stop = Stop::default();
    let asked = WhileAsked(stop.clone());
    let owned = app.clone();
    let mut done = tokio::task::spawn_blocking(move || {
        // Until it is done, whoever asked may have gone.
        let _turn = (turn, place);
        step(&owned, &mut owned.open_queue(stop)?)
    });
    let done = tokio::select! {
        done = &mut done => done,
        () = is_to_stop(&mut stopping) => {
            // What it has found by then is its answer.
            asked.0.tell();
            done.await
        }
    };
    done.map_err(|_| stopped())?
}
