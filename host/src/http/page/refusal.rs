//! Refusals for people: a browser gets a page where a program gets a document.
//!
//! Owns that page, and the redirect to the login. Callers rely on this: it covers every refusal,
//! wherever it was made, except under the addresses that are for programs.

use askama::Template;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::links::with_parameters;
use super::markup::Markup;
use super::visitor::{Frame, Place, draw};
use super::work::sentence;
use crate::http::transport::problem::ForPeople;

/// Where only programs ask.
const FOR_PROGRAMS: [&str; 6] = [
    "/v1/", "/queue", "/metrics", "/hooks/", "/healthz", "/readyz",
];

#[derive(Template)]
#[template(path = "problem.html")]
struct RefusalPage {
    frame: Frame,
    text: Markup,
}

/// Makes a page of a refusal, if a browser has asked.
pub async fn for_browsers(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_for_programs = FOR_PROGRAMS.iter().any(|prefix| path.starts_with(prefix));
    if is_for_programs || !is_browser(request.headers()) {
        return next.run(request).await;
    }
    let wanted = (*request.method() == Method::GET).then(|| request.uri().clone());
    let response = next.run(request).await;
    match response.extensions().get::<ForPeople>().cloned() {
        Some(ForPeople(text)) => refused(response, text, wanted),
        None => response,
    }
}

fn refused(response: Response, text: String, wanted: Option<Uri>) -> Response {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Redirect::to(&login_for(wanted.as_ref())).into_response();
    }
    let page = RefusalPage {
        frame: Frame::of_refusal(status.canonical_reason().unwrap_or("Refused")),
        text: sentence(&text),
    };
    let page = match draw(&page) {
        Ok(page) => page,
        Err(problem) => return problem.into_response(),
    };
    // What else the refusal says, such as `Allow` or `Retry-After`, stays.
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    (parts, Html(page)).into_response()
}

/// The login, which leads to the wanted page afterwards.
fn login_for(wanted: Option<&Uri>) -> String {
    let wanted = wanted.and_then(Uri::path_and_query);
    let next = wanted
        .map(|wanted| wanted.as_str())
        .filter(|next| *next != "/");
    with_parameters("/login", next.map(|next| ("next", next)))
}

fn is_browser(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}
