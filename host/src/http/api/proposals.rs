//! A proposed policy: check it, and make it the active one or the shadow.
//!
//! Leaves each step to `conform` and `rollout`. Callers rely on this: checks run one at a time, and
//! nothing else waits for them; a check is stopped when its caller has gone or the service stops.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serial_gate::conform::{Candidate, check_policy};
use serial_gate::policy::DEFAULT_POLICY;
use serial_gate::queue::Queue;
use serial_gate::rollout::{self, Place, Proposal};
use serial_gate::store::GenerationState;
use utoipa::{IntoParams, ToSchema};

use super::background::{Lane, in_background};
use super::policy::given;
use crate::http::app::App;
use crate::http::transport::access::{Caller, Operator};
use crate::http::transport::extract::{Json, Query};
use crate::http::transport::fields::flag;
use crate::http::transport::problem::Problem;
use crate::http::transport::uploads::Component;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Proposed {
    /// Why, for the history
    #[param(
        pattern = r"^[^\x00]*\S[^\x00]*$",
        min_length = 1,
        example = "two tasks at a time"
    )]
    reason: String,
    /// The policy's own parameters, a JSON document; the present ones, if left out
    rules: Option<String>,
    /// Accept rules with repos that nothing in the queue has yet; without this, such rules are
    /// refused
    #[serde(default, deserialize_with = "flag")]
    #[param(default = false)]
    new: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ToCheck {
    /// The policy's own parameters, a JSON document; the present ones, if left out
    rules: Option<String>,
}

/// What a check found, stage by stage.
#[derive(Serialize, ToSchema)]
pub struct Checked {
    accepted: bool,
    stages: Vec<Value>,
}

/// The result of a proposal.
#[derive(Serialize, ToSchema)]
pub struct Swapped {
    generation: i64,
    accepted: bool,
    stages: Vec<Value>,
}

/// A component, by its bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "the document's name for a `Component`")]
pub struct Wasm(Vec<u8>);

/// Check a policy; nothing is changed
///
/// The body is the component, or nothing for the built-in policy.
#[utoipa::path(
    post, path = "/v1/policy/check", tag = "policy", security(("token" = ["operator"])),
    params(ToCheck),
    request_body(content = Option<Wasm>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "What the check found", body = Checked),
    )
)]
pub async fn check(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(asked): Query<ToCheck>,
    request: Request,
) -> Result<Json<Checked>, Problem> {
    let mut component = receive(&app, &caller, request).await?;
    in_background(&app, Lane::Checks, move |app, queue| {
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
        let stages = check_policy(candidate, queue.runtime(), Timestamp::now())?;
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
    post, path = "/v1/policy/swap", tag = "policy", security(("token" = ["operator"])),
    params(Proposed),
    request_body(content = Option<Wasm>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "It is active", body = Swapped),
        (
            status = 422, description = "It was refused: the stages, or the problem, say why",
            content((Swapped = "application/json"), (Problem = "application/problem+json"))
        ),
    )
)]
pub async fn swap(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(asked): Query<Proposed>,
    request: Request,
) -> Result<(StatusCode, Json<Swapped>), Problem> {
    propose(app, caller, asked, request, Place::Active).await
}

/// Check a policy and make it the shadow, which decides without effect
///
/// The body is the component, or nothing for the built-in policy.
#[utoipa::path(
    post, path = "/v1/policy/shadow", tag = "policy", security(("token" = ["operator"])),
    params(Proposed),
    request_body(content = Option<Wasm>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "It is the shadow", body = Swapped),
        (
            status = 422, description = "It was refused: the stages, or the problem, say why",
            content((Swapped = "application/json"), (Problem = "application/problem+json"))
        ),
    )
)]
pub async fn start_shadow(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(asked): Query<Proposed>,
    request: Request,
) -> Result<(StatusCode, Json<Swapped>), Problem> {
    propose(app, caller, asked, request, Place::Shadow).await
}

async fn propose(
    app: App,
    caller: Caller,
    asked: Proposed,
    request: Request,
    place: Place,
) -> Result<(StatusCode, Json<Swapped>), Problem> {
    let mut component = receive(&app, &caller, request).await?;
    let why = given(asked.reason)?;
    in_background(&app, Lane::Checks, move |_, queue| {
        let proposal = proposal(queue, component.take(), asked.rules)?;
        queue.check_scope(&proposal.settings, asked.new)?;
        let swapped = rollout::swap(queue, &proposal, place, caller.actor(&why))?;
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

async fn receive(app: &App, caller: &Caller, request: Request) -> Result<Component, Problem> {
    let uploads = &app.uploads;
    uploads
        .receive(caller, &app.access, app.shutdown.clone(), request)
        .await
}
