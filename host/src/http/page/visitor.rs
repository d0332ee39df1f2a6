//! Somebody who looks at a page: who it is, and what the page has around its content.
//!
//! Owns the redirect to the login, the frame of each page, and the answer without a body when a
//! page has not changed. Leaves the content to the pages. Callers rely on this: a browser is never
//! shown a JSON document.

use std::hash::{DefaultHasher, Hash, Hasher};

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serial_gate::store::Role;

use super::visible::visible;
use crate::http::app::App;
use crate::http::transport::access::{Caller, Viewer};
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

/// Somebody who may read.
pub struct Visitor {
    pub caller: Caller,
    /// Whether it is a browser.
    is_browser: bool,
    /// The mark of the page that the browser shows.
    shows: Option<HeaderValue>,
    /// The change that the browser follows, by its number in the events: a page that contains it is
    /// new enough.
    pub change: Option<u64>,
}

/// What each page has around its content.
pub struct Frame {
    pub title: String,
    /// The page's place in the navigation.
    pub place: Place,
    pub may_operate: bool,
    /// The caller, if its token came from a cookie.
    pub signed_in: Option<SignedIn>,
    /// What became of the form that was sent.
    pub said: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Repos,
    Policy,
    Elsewhere,
}

pub struct SignedIn {
    pub name: String,
    pub role: &'static str,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    text: String,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Visitor, Response> {
        let is_browser = is_browser(&parts.headers);
        let viewer = Viewer::from_request_parts(parts, app).await;
        let Viewer(caller) = viewer.map_err(|problem| {
            match problem.status() == StatusCode::UNAUTHORIZED && is_browser {
                // A browser needs the form to send a token.
                true => Redirect::to("/login").into_response(),
                false => problem.into_response(),
            }
        })?;
        Ok(Visitor {
            caller,
            is_browser,
            shows: parts.headers.get(IF_NONE_MATCH).cloned(),
            change: change(&parts.headers),
        })
    }
}

impl Visitor {
    /// The sender of a form.
    pub fn after_form(caller: Caller) -> Visitor {
        Visitor {
            caller,
            is_browser: true,
            shows: None,
            change: None,
        }
    }

    pub fn frame(&self, title: impl Into<String>, place: Place) -> Frame {
        Frame {
            title: title.into(),
            place,
            may_operate: self.caller.role >= Role::Operator,
            signed_in: self.caller.has_cookie.then(|| SignedIn {
                name: self.caller.name.clone(),
                role: self.caller.role.name(),
            }),
            said: None,
        }
    }

    /// A page, drawn where the database is read: drawing a long one would block a thread that
    /// serves connections for too long.
    pub async fn page<T: Template>(
        self,
        app: &App,
        read: impl FnOnce(&mut Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Response {
        let drawn = match app.answers.check() {
            Ok(()) => app.reader.run(move |reader| draw(&read(reader)?)).await,
            Err(problem) => return self.problem(problem),
        };
        match drawn.map_err(Problem::from).and_then(|drawn| drawn) {
            Ok(page) => self.answer(app, page),
            Err(problem) => self.problem(problem),
        }
    }

    fn answer(self, app: &App, page: String) -> Response {
        let mut hasher = DefaultHasher::new();
        page.hash(&mut hasher);
        // Weak: the page may be compressed.
        let mark = HeaderValue::from_str(&format!("W/\"{:016x}\"", hasher.finish()));
        let Ok(mark) = mark else {
            return Problem::bug("a mark is no header").into_response();
        };
        if self.shows.as_ref() == Some(&mark) {
            return (StatusCode::NOT_MODIFIED, [(ETAG, mark)]).into_response();
        }
        ([(ETAG, mark)], Html(app.answers.hold(page))).into_response()
    }

    /// A refusal: a page for a browser, a document for a program.
    pub fn problem(self, problem: Problem) -> Response {
        if !self.is_browser {
            return problem.into_response();
        }
        let status = problem.status();
        let page = ProblemPage {
            frame: self.frame(
                status.canonical_reason().unwrap_or("Refused"),
                Place::Elsewhere,
            ),
            text: problem.for_people(),
        };
        match draw(&page) {
            Ok(page) => (status, Html(page)).into_response(),
            Err(problem) => problem.into_response(),
        }
    }
}

fn draw(page: &impl Template) -> Result<String, Problem> {
    let page = page.render().map_err(Problem::bug)?;
    Ok(visible(&page))
}

fn is_browser(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}

fn change(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-change")?.to_str().ok()?.parse().ok()
}
