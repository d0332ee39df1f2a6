//! The pages' forms: each calls the API's handler, and then shows the page that it is about.
//!
//! Owns the fields. Callers rely on this: a form that was refused is answered with that page, which
//! says why.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serial_gate::queue::{Frozen, frozen_words};
use utoipa::ToSchema;

use super::links;
use super::repo::Part;
use super::visible::field_text;
use super::visitor::{Said, Visitor};
use super::{policy as policy_page, repo as repo_page, task as task_page};
use crate::http::api::freezes::{self, Freeze, Unfreeze, Unfrozen};
use crate::http::api::jobs::{self, Requeue};
use crate::http::api::policy::{self, RollBack};
use crate::http::app::App;
use crate::http::transport::access::Operator;
use crate::http::transport::extract::{Form, Json, Path};
use crate::http::transport::problem::Problem;

/// The form of a repo that is not frozen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeForm {
    /// The repo, percent-encoded: a browser changes line ends and some other letters
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    #[schema(pattern = r"^[^\x00]*\S[^\x00]*$", min_length = 1)]
    reason: String,
}

/// The form of a frozen repo.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnfreezeForm {
    /// The repo, percent-encoded: a browser changes line ends and some other letters
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    reason: String,
    /// The freeze that the page shows
    #[schema(value_type = String, required = false, pattern = "^[0-9]{1,18}$")]
    freeze_id: Option<i64>,
}

/// The form of a job that failed, or whose worker is gone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequeueForm {
    #[schema(value_type = String, pattern = "^[0-9]{1,18}$")]
    job: i64,
    /// The attempt that the page shows
    #[schema(value_type = String, pattern = "^[0-9]{1,18}$")]
    attempt: i64,
    #[schema(pattern = r"^[^\x00]*\S[^\x00]*$", min_length = 1)]
    reason: String,
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
    let repo = field_text(&repo);
    let written = reason.clone();
    let freeze = Freeze {
        repo: Some(repo.clone()),
        all: false,
        until: None,
        reason,
        who: None,
        work_item: None,
        new: false,
    };
    let visitor = Visitor::after_form(caller.clone());
    let said = match freezes::one(&app, caller, freeze).await {
        Ok(Frozen { note: None, .. }) => return Ok(to(&links::repo(&repo))),
        // The operator has to see that this freeze holds nothing.
        Ok(Frozen { note, .. }) => Ok(frozen_words(&repo, note.as_deref())),
        Err(problem) => Err(problem),
    };
    repo_with(&app, visitor, repo, said, written).await
}

/// Open a repo, by a form
#[utoipa::path(
    post, path = "/dashboard/unfreeze", operation_id = "unfreeze_on_page", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = UnfreezeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is open; the page follows"),
        (
            status = 200, body = String, content_type = "text/html",
            description = "It was not frozen; the page says so"
        ),
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
    let repo = field_text(&form.repo);
    let unfreeze = Unfreeze {
        repo: repo.clone(),
        reason: form.reason.clone(),
        who: None,
        freeze_id: form.freeze_id,
    };
    let (state, who) = (State(app.clone()), Operator(caller.clone()));
    let visitor = Visitor::after_form(caller);
    let said = match freezes::unfreeze(state, who, Json(unfreeze)).await {
        Ok(Json(Unfrozen { cleared: 1.., .. })) => return Ok(to(&links::repo(&repo))),
        Ok(Json(Unfrozen { note, .. })) => Ok(note.unwrap_or_else(|| "it was not frozen".into())),
        Err(problem) => Err(problem),
    };
    repo_with(&app, visitor, repo, said, form.reason).await
}

/// Put a job back to its place in the queue, by a form
#[utoipa::path(
    post, path = "/dashboard/requeue", operation_id = "requeue_on_page", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = RequeueForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is queued; its task's page follows"),
        (
            status = 200, body = String, content_type = "text/html",
            description = "Its task was merged, and has ended; the page says so"
        ),
        (
            status = "default", description = "It was refused; the page says why",
            content((String = "text/html"), (Problem = "application/problem+json"))
        ),
    )
)]
pub async fn requeue(
    State(app): State<App>,
    Operator(caller): Operator,
    Form(form): Form<RequeueForm>,
) -> Result<Response, Problem> {
    let job = form.job;
    let visitor = Visitor::after_form(caller.clone());
    // A job keeps its task, so it may be read before.
    let of = app
        .reader
        .run(move |reader| reader.queue.whole_job(Timestamp::now(), job));
    let of = of.await??.job;
    let (state, who) = (State(app.clone()), Operator(caller));
    let done = match policy::given(form.reason.clone()) {
        Ok(reason) => {
            let attempt = Some(form.attempt);
            jobs::requeue(state, who, Path(job), Json(Requeue { reason, attempt })).await
        }
        Err(problem) => Err(problem),
    };
    let written = form.reason;
    match (done, of.task_id) {
        (Ok(Json(changed)), Some(task)) if changed.is_cancelled() => {
            let words = format!("job {job} was cancelled: its task was merged, and has ended");
            let page = task_page::show(&app, visitor, task, Some(Said::done(&words))).await?;
            Ok(with(StatusCode::OK, page))
        }
        (Ok(_), Some(task)) => Ok(to(&links::task(task))),
        (Ok(_), None) => {
            let repo = of.repo.filter(|repo| !repo.is_empty());
            Ok(to(
                &repo.map_or_else(|| "/".into(), |repo| links::repo(&repo))
            ))
        }
        (Err(problem), Some(task)) => {
            let status = problem.status();
            let said = Said::refused(&problem.for_people(), written);
            let page = task_page::show(&app, visitor, task, Some(said)).await?;
            Ok(with(status, page))
        }
        (Err(problem), None) => Err(problem),
    }
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
        reason: reason.clone(),
        generation: None,
        seen: Some(seen),
    };
    let (state, who) = (State(app.clone()), Operator(caller.clone()));
    let visitor = Visitor::after_form(caller);
    match policy::rollback(state, who, Json(back_to)).await {
        Ok(_) => Ok(to("/policy")),
        Err(problem) => {
            let status = problem.status();
            let said = Said::refused(&problem.for_people(), reason);
            let page = policy_page::show(&app, visitor, Some(said)).await?;
            Ok(with(status, page))
        }
    }
}

fn to(address: &str) -> Response {
    Redirect::to(address).into_response()
}

fn with(status: StatusCode, page: Response) -> Response {
    (status, page).into_response()
}

/// The page of a repo with what became of a form.
async fn repo_with(
    app: &App,
    visitor: Visitor,
    repo: String,
    said: Result<String, Problem>,
    written: String,
) -> Result<Response, Problem> {
    let (status, said) = match said {
        Ok(said) => (StatusCode::OK, Said::done(&said)),
        Err(problem) => (
            problem.status(),
            Said::refused(&problem.for_people(), written),
        ),
    };
    let page = repo_page::show(app, visitor, Part::first(repo), Some(said)).await?;
    Ok(with(status, page))
}
