//! The login: a browser keeps a token, until the logout.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::transport::cookies;
use crate::http::transport::extract::Form;
use crate::http::transport::peer::Peer;
use crate::http::transport::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The token
    token: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    wrong: bool,
}

/// The form that asks for a token
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
        (status = 303, description = "It is kept; the page follows"),
        (
            status = 401, body = String, content_type = "text/html",
            description = "The token is not valid"
        ),
    )
)]
pub async fn login(
    State(app): State<App>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
    Form(Login { token }): Form<Login>,
) -> Result<Response, Problem> {
    match app.access.check(&token, &headers, peer.address).await {
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

/// Let the browser forget its token, which stays valid
#[utoipa::path(
    post, path = "/logout", tag = "dashboard", security(()),
    responses((status = 303, description = "It is forgotten; the login follows"))
)]
pub async fn logout() -> impl IntoResponse {
    let forgotten = cookies::forget().map(|cookie| (SET_COOKIE, cookie));
    (AppendHeaders(forgotten), Redirect::to("/login"))
}

fn login_form(wrong: bool) -> Result<Html<String>, Problem> {
    let page = LoginPage { wrong }.render();
    page.map(Html).map_err(Problem::bug)
}
