//! The pages' forms: each calls the API's handler, and then shows the page that it is about.
//!
//! Owns the fields. Callers rely on this: a form that was refused is answered with that page, which
//! says why.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serial_gate::queue::{Frozen, frozen_words};
use utoipa::ToSchema;

use super::links;
use super::visitor::Visitor;
use super::{policy as policy_page, repo as repo_page, task as task_page};
use crate::http::api::freezes::{self, Freeze, Unfreeze};
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

/// The form of a job that failed, or whose worker is gone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequeueForm {
    #[schema(value_type = String, pattern = "^[0-9]{1,18}$")]
    job: i64,
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
) -> Response {
    let name = repo.clone();
    let freeze = Freeze {
        repo: Some(repo),
        all: false,
        until: None,
        reason,
        who: None,
        work_item: None,
        new: false,
    };
    let visitor = Visitor::after_form(caller.clone());
    match freezes::one(&app, caller, freeze).await {
        // The operator has to see that this freeze holds nothing.
        Ok(Frozen {
            repo,
            note: Some(note),
            ..
        }) => {
            let said = frozen_words(&repo, Some(&note));
            repo_page::show(&app, visitor, repo, 1, Some(said)).await
        }
        Ok(Frozen { repo, .. }) => Redirect::to(&links::repo(&repo)).into_response(),
        Err(problem) => refused(&app, visitor, Some(name), problem).await,
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
) -> Response {
    let name = form.repo.clone();
    let unfreeze = Unfreeze {
        repo: form.repo,
        reason: form.reason,
        who: None,
        freeze_id: form.freeze_id,
    };
    let (state, who) = (State(app.clone()), Operator(caller.clone()));
    let visitor = Visitor::after_form(caller);
    match freezes::unfreeze(state, who, Json(unfreeze)).await {
        Ok(_) => Redirect::to(&links::repo(&name)).into_response(),
        Err(problem) => refused(&app, visitor, Some(name), problem).await,
    }
}

/// Put a job back to its place in the queue, by a form
#[utoipa::path(
    post, path = "/dashboard/requeue", operation_id = "requeue_on_page", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = RequeueForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is queued; its task's page follows"),
        (
            status = "default", description = "It was refused; the page says why",
            content((String = "text/html"), (Problem = "application/problem+json"))
        ),
    )
)]
pub async fn requeue(
    State(app): State<App>,
    Operator(caller): Operator,
    Form(RequeueForm { job, reason }): Form<RequeueForm>,
) -> Response {
    let visitor = Visitor::after_form(caller.clone());
    // A job keeps its task, so it may be read before.
    let of = app
        .reader
        .run(move |reader| reader.queue.whole_job(Timestamp::now(), job));
    let of = match of.await.map_err(Problem::from).and_then(|found| Ok(found?)) {
        Ok(of) => of.job,
        Err(problem) => return visitor.problem(problem),
    };
    let (state, who) = (State(app.clone()), Operator(caller));
    let done = match policy::given(reason) {
        Ok(reason) => jobs::requeue(state, who, Path(job), Json(Requeue { reason })).await,
        Err(problem) => Err(problem),
    };
    match (done, of.task_id) {
        (Ok(_), Some(task)) => Redirect::to(&links::task(task)).into_response(),
        (Ok(_), None) => {
            let repo = of
                .repo
                .map_or_else(|| "/".into(), |repo| links::repo(&repo));
            Redirect::to(&repo).into_response()
        }
        (Err(problem), Some(task)) => {
            let (status, said) = (problem.status(), problem.for_people());
            let page = task_page::show(&app, visitor, task, Some(said)).await;
            (status, page).into_response()
        }
        (Err(problem), None) => refused(&app, visitor, of.repo, problem).await,
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
) -> Response {
    let back_to = RollBack {
        reason,
        generation: None,
        seen: Some(seen),
    };
    let (state, who) = (State(app.clone()), Operator(caller.clone()));
    let visitor = Visitor::after_form(caller);
    match policy::rollback(state, who, Json(back_to)).await {
        Ok(_) => Redirect::to("/policy").into_response(),
        Err(problem) => {
            let (status, said) = (problem.status(), problem.for_people());
            let page = policy_page::show(&app, visitor, Some(said)).await;
            (status, page).into_response()
        }
    }
}

/// The page of the repo with the reason, or only the reason where no repo is known.
async fn refused(app: &App, visitor: Visitor, repo: Option<String>, problem: Problem) -> Response {
    let Some(repo) = repo else {
        return visitor.problem(problem);
    };
    let (status, said) = (problem.status(), problem.for_people());
    let page = repo_page::show(app, visitor, repo, 1, Some(said)).await;
    (status, page).into_response()
}
