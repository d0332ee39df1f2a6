//! Whether the service lives, and whether it can do its work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::problem::Problem;

const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize, ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// The process answers
#[utoipa::path(
    get, path = "/healthz", tag = "service", security(()),
    responses((status = 200, description = "It does", body = Health))
)]
pub async fn alive() -> Json<Health> {
    Json(OK)
}

/// The queue's file is in place and can be read, and there is a clause for claims
#[utoipa::path(
    get, path = "/readyz", tag = "service", security(()),
    responses(
        (status = 200, description = "It is", body = Health),
        (status = "default", description = "It is not", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    if *app.stopping.borrow() {
        return Err(super::owner::Refused::Stopped.into());
    }
    let looked = async {
        app.writer.waiting().await?;
        app.access.check_files()?;
        let look = |prober: &mut super::Reader| {
            prober.queue.store().check_files()?;
            prober.queue.clause(Timestamp::now()).map(|_| ())
        };
        Ok::<(), Problem>(app.prober.run(look).await??)
    };
    match tokio::time::timeout(PATIENCE, looked).await {
        Ok(looked) => looked.map(|()| Json(OK)),
        Err(_) => Err(Problem::later(
            StatusCode::SERVICE_UNAVAILABLE,
            "the queue is busy: it did not answer within 2 s",
            1,
        )),
    }
}
