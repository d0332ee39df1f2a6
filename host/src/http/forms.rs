//! What the page's forms do: what the API does, and then the page again.
//!
//! Owns the forms' fields, the login and its end. Leaves the page to `dashboard`.

use std::net::SocketAddr;

use askama::Template;
use axum::extract::{ConnectInfo, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serial_gate::queue::{Frozen, frozen_words};
use utoipa::ToSchema;

use super::App;
use super::access::Caller;
use super::body::{Body, Fields};
use super::cookies;
use super::dashboard::draw;
use super::freezes::{self, Freeze, Unfreeze};
use super::policy::{self, RollBack};
use super::problem::Problem;

/// The form of a repo that runs.
#[derive(Deserialize, ToSchema)]
pub struct FreezeForm {
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    #[schema(min_length = 1)]
    reason: String,
}

/// The form of a frozen repo.
#[derive(Deserialize, ToSchema)]
pub struct UnfreezeForm {
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    #[schema(min_length = 1)]
    reason: String,
    /// The freeze that the page shows
    #[schema(value_type = String, required = false, pattern = "^[0-9]{1,18}$")]
    freeze_id: Option<i64>,
}

/// The policy's form.
#[derive(Deserialize, ToSchema)]
pub struct RollBackForm {
    #[schema(min_length = 1)]
    reason: String,
    /// The generation that the page shows as the active one
    #[schema(value_type = String, pattern = "^[0-9]{1,18}$")]
    seen: i64,
}

#[derive(Deserialize, ToSchema)]
pub struct Login {
    /// The token
    token: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    wrong: bool,
}

/// Close a repo, by a form
#[utoipa::path(
    post, path = "/dashboard/freeze", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = FreezeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is frozen; the page is the next to see"),
        (status = 200, description = "It is frozen, and tasks of it start all the same; the page says why", body = String, content_type = "text/html"),
        (status = "default", description = "It was refused; the page says why", content((String = "text/html"), (Problem = "application/problem+json"))),
    )
)]
pub async fn freeze(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Fields(FreezeForm { repo, reason }): Fields<FreezeForm>,
) -> Result<Response, Problem> {
    let freeze = Freeze {
        repo,
        reason,
        who: None,
        work_item: None,
        new: false,
    };
    let (state, who) = (State(app.clone()), Extension(caller.clone()));
    match freezes::freeze(state, who, Body(freeze)).await {
        // A freeze that does not hold is no reason to go on as if it did.
        Ok(Json(Frozen {
            repo,
            note: Some(note),
            ..
        })) => {
            let said = frozen_words(&repo, Some(&note));
            Ok(draw(&app, &caller, Some(said)).await?.into_response())
        }
        done => back(&app, &caller, done.map(|_| ())).await,
    }
}

/// Open a repo, by a form
#[utoipa::path(
    post, path = "/dashboard/unfreeze", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = UnfreezeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is open; the page is the next to see"),
        (status = "default", description = "It was refused; the page says why", content((String = "text/html"), (Problem = "application/problem+json"))),
    )
)]
pub async fn unfreeze(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Fields(form): Fields<UnfreezeForm>,
) -> Result<Response, Problem> {
    let unfreeze = Unfreeze {
        repo: form.repo,
        reason: form.reason,
        who: None,
        freeze_id: form.freeze_id,
    };
    let (state, who) = (State(app.clone()), Extension(caller.clone()));
    let done = freezes::unfreeze(state, who, Body(unfreeze)).await;
    back(&app, &caller, done.map(|_| ())).await
}

/// Go back to the policy before, by a form
#[utoipa::path(
    post, path = "/dashboard/rollback", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = RollBackForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is active; the page is the next to see"),
        (status = "default", description = "It was refused; the page says why", content((String = "text/html"), (Problem = "application/problem+json"))),
    )
)]
pub async fn rollback(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Fields(RollBackForm { reason, seen }): Fields<RollBackForm>,
) -> Result<Response, Problem> {
    let back_to = RollBack {
        reason,
        generation: None,
        seen: Some(seen),
    };
    let (state, who) = (State(app.clone()), Extension(caller.clone()));
    let done = policy::rollback(state, who, Body(back_to)).await;
    back(&app, &caller, done.map(|_| ())).await
}

/// Where a browser is asked for its token
#[utoipa::path(
    get, path = "/login", tag = "dashboard", security(()),
    responses((status = 200, description = "The form", body = String, content_type = "text/html"))
)]
pub async fn login_page() -> Result<Html<String>, Problem> {
    login_form(false)
}

/// Keep a token in the browser
#[utoipa::path(
    post, path = "/login", tag = "dashboard", security(()),
    request_body(content = Login, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is kept; the page is the next to see"),
        (status = 401, description = "The token is not good", body = String, content_type = "text/html"),
    )
)]
pub async fn login(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Fields(Login { token }): Fields<Login>,
) -> Result<Response, Problem> {
    match app.access.check(&token, &headers, from).await {
        Ok(_) => {
            let cookie = cookies::keep(&token, cookies::is_over_tls(&headers));
            Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            let page = login_form(true)?;
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
        Err(problem) => Err(problem),
    }
}

/// Let the browser forget its token, which stays good
#[utoipa::path(
    post, path = "/logout", tag = "dashboard", security(()),
    responses((status = 303, description = "It is forgotten; the login is the next to see"))
)]
pub async fn logout() -> impl IntoResponse {
    let forgotten = cookies::forget().map(|cookie| (SET_COOKIE, cookie));
    (AppendHeaders(forgotten), Redirect::to("/login"))
}

fn login_form(wrong: bool) -> Result<Html<String>, Problem> {
    let page = LoginPage { wrong }.render();
    page.map(Html).map_err(|error| Problem::inside(&error))
}

/// The page again: whole if it was done, and with the reason if not.
async fn back(app: &App, caller: &Caller, done: Result<(), Problem>) -> Result<Response, Problem> {
    match done {
        Ok(()) => Ok(Redirect::to("/").into_response()),
        Err(problem) => {
            let status = problem.status();
            let page = draw(app, caller, Some(problem.detail().to_owned())).await?;
            Ok((status, page).into_response())
        }
    }
}
