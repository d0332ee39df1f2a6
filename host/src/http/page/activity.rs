//! The page of the last day or week: how much ended, and how long it had waited.
//!
//! Owns its template, and what is asked of the pictures. Leaves their geometry to `pictures`.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serial_gate::queue::Span;
use utoipa::IntoParams;

use super::pictures::Charts;
use super::visitor::{Frame, Place, Visitor};
use crate::http::app::App;
use crate::http::transport::extract::Query;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// How far back: `day` or `week`
    #[serde(default)]
    #[param(default = "day", pattern = "^(|day|week)$")]
    span: String,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    is_week: bool,
    charts: Charts,
}

/// The last day or week
#[utoipa::path(
    get, path = "/activity", operation_id = "activity_page", tag = "dashboard",
    security(("token" = ["reader"])), params(Asked),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 304, description = "The page with this mark has not changed"),
    )
)]
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let span = span_of(&asked.span)?;
    let address = match span {
        Span::Day => "/activity",
        Span::Week => "/activity?span=week",
    };
    let frame = visitor.frame("Activity", Place::Activity, address.into());
    let read = move |reader: &mut Reader, frame| {
        Ok(ActivityPage {
            frame,
            is_week: span == Span::Week,
            charts: Charts::of(&*reader.activity(span, None)?, span, Timestamp::now()),
        })
    };
    visitor.page(&app, frame, read).await
}

/// A span by its name in an address.
pub fn span_of(name: &str) -> Result<Span, Problem> {
    match name {
        "" | "day" => Ok(Span::Day),
        "week" => Ok(Span::Week),
        _ => Err(Problem::invalid("`span` is `day` or `week`")),
    }
}
