//! Somebody who looks at a page: who it is, and what the page has around its content.
//!
//! Owns the frame of each page, and the answer without a body when a page has not changed. Leaves
//! the content to the pages, and refusals to `refusal`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;
use serial_gate::store::Role;

use super::markup::Markup;
use super::visible::visible;
use super::work::sentence;
use crate::http::app::App;
use crate::http::transport::access::{Caller, Viewer};
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

/// Somebody who may read.
pub struct Visitor {
    caller: Caller,
    /// The mark of the page that the browser shows.
    shows: Option<HeaderValue>,
    /// The change that the browser follows, by its number in the events: a page that contains it is
    /// new enough.
    change: Option<u64>,
}

/// What each page has around its content.
pub struct Frame {
    pub title: String,
    /// The page's place in the navigation.
    pub place: Place,
    pub may_operate: bool,
    /// The caller, if its token came from a cookie.
    pub signed_in: Option<SignedIn>,
    /// The page's own address, where an answer to a form has another one.
    pub address: String,
    /// What became of the form that was sent.
    pub said: Option<Said>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Repos,
    Activity,
    Policy,
    Elsewhere,
}

/// What became of a form.
pub struct Said {
    pub text: Markup,
    /// What somebody wrote in it, which nothing keeps if the form was refused.
    pub written: Option<String>,
}

pub struct SignedIn {
    pub name: String,
    pub role: &'static str,
}

/// When it was said: the page goes on to change below it.
fn now() -> Markup {
    Markup::at(Timestamp::now()).and(Markup::text("·"))
}

impl Said {
    /// Of a form that changed what it was for.
    pub fn done(text: &str) -> Said {
        Said {
            text: now().and(sentence(text)),
            written: None,
        }
    }

    /// Of a form that changed nothing.
    pub fn refused(text: &str, written: String) -> Said {
        Said {
            text: now().and(sentence(text)),
            written: Some(written).filter(|written| !written.trim().is_empty()),
        }
    }
}

impl Frame {
    /// Of a refusal: who asked may not be known.
    pub fn of_refusal(title: &str) -> Frame {
        Frame {
            title: title.into(),
            place: Place::Elsewhere,
            address: String::new(),
            may_operate: true,
            signed_in: None,
            said: None,
        }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Visitor, Problem> {
        let Viewer(caller) = Viewer::from_request_parts(parts, app).await?;
        Ok(Visitor {
            caller,
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
            shows: None,
            change: None,
        }
    }

    /// What a page has around its content. `address` leads to the same page.
    pub fn frame(&self, title: &str, place: Place, address: String) -> Frame {
        Frame {
            title: title.into(),
            place,
            address,
            may_operate: self.caller.role >= Role::Operator,
            signed_in: self.caller.has_cookie.then(|| SignedIn {
                name: self.caller.name.clone(),
                role: self.caller.role.name(),
            }),
            said: None,
        }
    }

    /// A page in a frame, drawn where the database is read: drawing a long one would block a thread
    /// that serves connections for too long.
    pub async fn page<T: Template>(
        self,
        app: &App,
        frame: Frame,
        read: impl FnOnce(&mut Reader, Frame) -> Result<T, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        app.answers.check()?;
        let (caller, change) = (&self.caller, self.change);
        // What somebody sees depends on who it is.
        let who = (&caller.name, caller.role.name(), caller.has_cookie);
        let key = format!("{who:?} {}", frame.address);
        let draw = move |reader: &mut Reader| match frame.said {
            None => reader.drawn(&key, change, |reader| draw(&read(reader, frame)?)),
            Some(_) => Ok(Arc::new((0, draw(&read(reader, frame)?)?))),
        };
        let drawn = app.reader.run(draw).await??;
        self.answer(app, &drawn.1)
    }

    fn answer(self, app: &App, page: &str) -> Result<Response, Problem> {
        let mut hasher = DefaultHasher::new();
        page.hash(&mut hasher);
        // Weak: the page may be compressed.
        let mark = HeaderValue::from_str(&format!("W/\"{:016x}\"", hasher.finish()));
        let mark = mark.map_err(Problem::bug)?;
        if self.shows.as_ref() == Some(&mark) {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, mark)]).into_response());
        }
        Ok(([(ETAG, mark)], Html(app.answers.hold(page))).into_response())
    }
}

/// A page as it is sent.
pub fn draw(page: &impl Template) -> Result<String, Problem> {
    let page = page.render().map_err(Problem::bug)?;
    Ok(visible(&page))
}

fn change(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-change")?.to_str().ok()?.parse().ok()
}
