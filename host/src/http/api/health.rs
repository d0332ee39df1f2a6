//! Whether the service lives, and whether it can do its work.
//!
//! Owns the check. Machines without a token ask for it every second, so it reads a few pages and
//! writes nothing. Leaves the texts to `ready`. Callers rely on this: a service that is ready gives
//! out jobs by the active rule, and keeps what it acknowledges.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serial_gate::queue::Error;
use utoipa::ToSchema;

use super::ready::NotReady;
use crate::http::app::App;
use crate::http::transport::actor::Refused;
use crate::http::transport::extract::Json;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;
use crate::http::transport::writer::Standing;

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

/// The queue's database is in place, readable, writable and complete, and claims use the active policy
#[utoipa::path(
    get, path = "/readyz", tag = "service", security(()),
    responses(
        (status = 200, description = "It is", body = Health),
        (
            status = "default", body = Problem, content_type = "application/problem+json",
            description = "It is not"
        ),
    )
)]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    if app.shutdown.is_cancelled() {
        return Err(Refused::Stopped.into());
    }
    let looked = async {
        let Standing {
            no_room,
            not_in_force,
            ..
        } = app.writer.standing().await?;
        app.access.check_files().await?;
        let found = app.prober.run(look).await??;
        // The disk comes first: without it nothing else can be repaired.
        let writers = no_room.map(NotReady::from);
        let reason = writers.or(found).or(not_in_force.map(NotReady::NotInForce));
        match reason {
            None => Ok(()),
            Some(reason) => Err(Problem::from(reason)),
        }
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

/// Why the queue cannot be used, as seen from a connection that is not the writer's.
fn look(prober: &mut Reader) -> Result<Option<NotReady>, Error> {
    let store = prober.queue.store();
    store.check_files()?;
    let missing = store.missing()?;
    if !missing.is_empty() {
        return Ok(Some(NotReady::Missing(missing)));
    }
    if store.disk_is_full() {
        return Ok(Some(NotReady::Full));
    }
    prober.queue.clause(Timestamp::now())?;
    Ok(prober.queue.not_in_force().map(NotReady::NotInForce))
}

impl From<NotReady> for Problem {
    fn from(reason: NotReady) -> Problem {
        Problem::later(StatusCode::SERVICE_UNAVAILABLE, reason, 1)
    }
}
