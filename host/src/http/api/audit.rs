//! The audit: what operators did.

use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use serial_gate::store::{AuditEntry, AuditFilter};
use utoipa::IntoParams;

use crate::http::app::App;
use crate::http::transport::access::Viewer;
use crate::http::transport::extract::{Json, Query};
use crate::http::transport::fields::{maybe_time, number};
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

const MOST: u32 = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Entries {
    /// Only this repo
    repo: Option<String>,
    /// Only what this person or program did
    who: Option<String>,
    /// Only since this time
    #[serde(default, deserialize_with = "maybe_time")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The newest entries, at most this many
    #[serde(default = "a_page", deserialize_with = "number")]
    #[param(default = 50, minimum = 1, maximum = 1000)]
    limit: u32,
}

fn a_page() -> u32 {
    50
}

/// What operators did, the newest first
#[utoipa::path(
    get, path = "/v1/audit", tag = "freezes", security(("token" = ["reader"])), params(Entries),
    responses(
        (status = 200, description = "The list", body = Vec<AuditEntry>),
    )
)]
pub async fn audit(
    State(app): State<App>,
    _: Viewer,
    Query(entries): Query<Entries>,
) -> Result<Json<Vec<AuditEntry>>, Problem> {
    if !(1..=MOST).contains(&entries.limit) {
        return Err(Problem::invalid("`limit` is a number from 1 to 1000"));
    }
    let read = move |reader: &mut Reader| {
        let filter = AuditFilter {
            repo: entries.repo.as_deref(),
            who: entries.who.as_deref(),
            since: entries.since,
        };
        reader.queue.store().audit(filter, entries.limit)
    };
    Ok(Json(app.reader.run(read).await??))
}
