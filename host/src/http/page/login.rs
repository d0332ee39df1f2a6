//! The login: a browser keeps a token, until the logout.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::visible::visible;
use crate::http::app::App;
use crate::http::transport::cookies;
use crate::http::transport::extract::{Form, Query};
use crate::http::transport::peer::Peer;
use crate::http::transport::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The token
    token: String,
    /// The page that was asked for
    #[serde(default)]
    #[schema(required = false)]
    next: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The page that was asked for
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    wrong: bool,
    next: String,
}

/// The form that asks for a token
#[utoipa::path(
    get, path = "/login", tag = "dashboard", security(()), params(Asked),
    responses((status = 200, description = "The form", body = String, content_type = "text/html"))
)]
pub async fn login_page(Query(asked): Query<Asked>) -> Result<Html<String>, Problem> {
    login_form(false, local(&asked.next))
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
    Form(Login { token, next }): Form<Login>,
) -> Result<Response, Problem> {
    // A copied token may have a space after it.
    let token = token.trim();
    match app.access.check(token, &headers, peer.address).await {
        Ok(_) => {
            let cookie = cookies::keep(token, cookies::is_over_tls(&headers));
            Ok(([(SET_COOKIE, cookie)], Redirect::to(local(&next))).into_response())
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            let page = login_form(true, local(&next))?;
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

fn login_form(wrong: bool, next: &str) -> Result<Html<String>, Problem> {
    let next = next.into();
    let page = LoginPage { wrong, next }.render();
    page.map(|page| Html(visible(&page))).map_err(Problem::bug)
}

/// An address, if it leads to a page of this service; else the first page.
fn local(address: &str) -> &str {
    let is_path = address.starts_with('/') && !address.starts_with("//");
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    match is_path && address.bytes().all(is_plain) {
        true => address,
        false => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn a_login_leads_to_a_page_of_this_service_only() {
        for address in ["/", "/repo?name=org%2Fapp", "/tasks/1"] {
            assert_eq!(local(address), address);
        }
        for address in [
            "",
            "//evil",
            "/\\evil",
            "https://evil",
            "/a\nb",
            "/\t/evil",
            "evil",
        ] {
            assert_eq!(local(address), "/");
        }
    }
}
