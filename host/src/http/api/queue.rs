//! The state of the queue, and why a job waits.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde::Serialize;
use serial_gate::queue::{ExplanationDocument, State as QueueState};
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::transport::access::Viewer;
use crate::http::transport::extract::{Json, Path};
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

#[derive(Serialize, ToSchema)]
pub struct Answer {
    serial_gate: QueueState,
}

/// What runs, what waits and why, and what is frozen
#[utoipa::path(
    get, path = "/queue", tag = "queue", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The state of the queue", body = Answer),
    )
)]
pub async fn queue(State(app): State<App>, _: Viewer) -> Result<impl IntoResponse, Problem> {
    app.answers.check()?;
    let reader = app.reader.clone();
    let answer = reader.run(move |reader| written(&app, reader)).await??;
    Ok(([(CONTENT_TYPE, "application/json")], answer))
}

/// The state as it is sent. Many clients ask at once after a change, and share the same bytes.
fn written(app: &App, reader: &mut Reader) -> Result<Bytes, Problem> {
    let state = reader.state()?;
    if let Some(written) = reader.written() {
        return Ok(written);
    }
    let answer = serde_json::to_vec(&Answer { serial_gate: state });
    let answer = answer.map_err(Problem::bug)?;
    Ok(reader.write(app.answers.hold(answer)))
}

/// A job's place: what it waits for, or how many claimable jobs are ahead of it
#[utoipa::path(
    get, path = "/v1/jobs/{id}/explain", tag = "queue", security(("token" = ["reader"])),
    params(("id" = i64, Path, description = "The job")),
    responses(
        (status = 200, description = "Its place", body = ExplanationDocument),
    )
)]
pub async fn explain(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<i64>,
) -> Result<Json<ExplanationDocument>, Problem> {
    let explanation = app
        .reader
        .run(move |reader| reader.queue.explain(Timestamp::now(), id))
        .await??;
    Ok(Json(explanation.to_document()))
}
