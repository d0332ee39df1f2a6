//! The state of the queue, and why a job waits.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serial_gate::queue::State as QueueState;
use utoipa::ToSchema;

use super::App;
use super::body::Which;
use super::problem::Problem;

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
pub async fn queue(State(app): State<App>) -> Result<Json<Answer>, Problem> {
    let state = app.reader.run(|reader| reader.state()).await??;
    Ok(Json(Answer { serial_gate: state }))
}

/// Where a job stands: what it waits for, or how many are before it
#[utoipa::path(
    get, path = "/jobs/{id}/explain", tag = "queue", security(("token" = ["reader"])),
    params(("id" = i64, Path, description = "The job")),
    responses(
        (status = 200, description = "Where it stands", body = Value),
    )
)]
pub async fn explain(
    State(app): State<App>,
    Which(id): Which<i64>,
) -> Result<Json<Value>, Problem> {
    let explanation = app
        .reader
        .run(move |reader| reader.queue.explain(Timestamp::now(), id))
        .await??;
    Ok(Json(explanation.to_json()))
}
