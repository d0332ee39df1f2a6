//! The page's forms: each calls the API's handler, and then shows the page again.
//!
//! Owns the fields. Leaves the page to `dashboard`.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serial_gate::queue::{Frozen, frozen_words};
use utoipa::ToSchema;

use super::dashboard::draw;
use crate::http::api::freezes::{self, Freeze, Unfreeze};
use crate::http::api::policy::{self, RollBack};
use crate::http::app::App;
use crate::http::transport::access::{Caller, Operator};
use crate::http::transport::extract::{Form, Json};
use crate::http::transport::problem::Problem;

/// The form of a repo that is not frozen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeForm {
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    #[schema(pattern = r"^[^\x00]*\S[^\x00]*$", min_length = 1)]
    reason: String,
}

/// The form of a frozen repo.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnfreezeForm {
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    reason: String,
    /// The freeze that the page shows
    #[schema(value_type = String, required = false, pattern = "^[0-9]{1,18}$")]
    freeze_id: Option<i64>,
}

/// The policy's form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBackForm {
    #[schema(pattern = r"^[^\x00]*\S[^\x00]*$", min_length = 1)]
    reason: String,
    /// The generation that the page shows as the active one
    #[schema(value_type = String, pattern = "^[0-9]{1,18}$")]
    seen: i64,
}

/// Close a repo, by a form
#[utoipa::path(
    post, path = "/dashboard/freeze", operation_id = "freeze_on_page", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = FreezeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is frozen; the page follows"),
        (
            status = 200, body = String, content_type = "text/html",
            description = "It is frozen, but its tasks still start; the page says why"
        ),
        (
            status = "default", description = "It was refused; the page says why",
            content((String = "text/html"), (Problem = "application/problem+json"))
        ),
    )
)]
pub async fn freeze(
    State(app): State<App>,
    Operator(caller): Operator,
    Form(FreezeForm { repo, reason }): Form<FreezeForm>,
) -> Result<Response, Problem> {
    let freeze = Freeze {
        repo: Some(repo),
        all: false,
        until: None,
        reason,
        who: None,
        work_item: None,
        new: false,
    };
    match freezes::one(&app, caller.clone(), freeze).await {
        // The operator has to see that this freeze holds nothing.
        Ok(Frozen {
            repo,
            note: Some(note),
            ..
        }) => {
            let said = frozen_words(&repo, Some(&note));
            Ok(draw(&app, &caller, Some(said)).await?.into_response())
        }
        done => back(&app, &caller, done.map(|_| ())).await,
    }
}

/// Open a repo, by a form
#[utoipa::path(
    post, path = "/dashboard/unfreeze", operation_id = "unfreeze_on_page", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = UnfreezeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is open; the page follows"),
        (
            status = "default", description = "It was refused; the page says why",
            content((String = "text/html"), (Problem = "application/problem+json"))
        ),
    )
)]
pub async fn unfreeze(
    State(app): State<App>,
    Operator(caller): Operator,
    Form(form): Form<UnfreezeForm>,
) -> Result<Response, Problem> {
    let unfreeze = Unfreeze {
        repo: form.repo,
        reason: form.reason,
        who: None,
        freeze_id: form.freeze_id,
    };
    let (state, who) = (State(app.clone()), Operator(caller.clone()));
    let done = freezes::unfreeze(state, who, Json(unfreeze)).await;
    back(&app, &caller, done.map(|_| ())).await
}

/// Go back to the previous policy, by a form
#[utoipa::path(
    post, path = "/dashboard/rollback", operation_id = "rollback_on_page", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = RollBackForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is active; the page follows"),
        (
            status = "default", description = "It was refused; the page says why",
            content((String = "text/html"), (Problem = "application/problem+json"))
        ),
    )
)]
pub async fn rollback(
    State(app): State<App>,
    Operator(caller): Operator,
    Form(RollBackForm { reason, seen }): Form<RollBackForm>,
) -> Result<Response, Problem> {
    let back_to = RollBack {
        reason,
        generation: None,
        seen: Some(seen),
    };
    let (state, who) = (State(app.clone()), Operator(caller.clone()));
    let done = policy::rollback(state, who, Json(back_to)).await;
    back(&app, &caller, done.map(|_| ())).await
}

/// A redirect to the page if it was done, else the page with the reason.
async fn back(app: &App, caller: &Caller, done: Result<(), Problem>) -> Result<Response, Problem> {
    match done {
        Ok(()) => Ok(Redirect::to("/").into_response()),
        Err(problem) => {
            let status = problem.status();
            let page = draw(app, caller, Some(problem.for_people())).await?;
            Ok((status, page).into_response())
        }
    }
}
