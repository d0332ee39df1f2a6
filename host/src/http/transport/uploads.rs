//! Uploads: how many components are in memory, and how many may wait for a place.
//!
//! Owns the places. A component is received only when it has a place, so a waiting upload costs no
//! more than a connection. Callers rely on this: the wait ends when the caller's token is revoked
//! or the service stops.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::StreamExt;

use super::access::{Access, Caller};
use super::actor::Refused;
use super::body::{COMPONENT, too_late};
use super::problem::Problem;
use super::shutdown::Shutdown;

/// One component is checked while the next one arrives.
const PLACES: usize = 2;
/// How many uploads may wait. Each check takes seconds.
const WAITING: usize = 16;

pub struct Uploads {
    line: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Uploads {
    fn default() -> Uploads {
        Uploads {
            line: Arc::new(Semaphore::new(PLACES + WAITING)),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }
}

/// A place in memory.
struct Place {
    _line: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// A policy's component; empty if the request has none. It holds its place until it is dropped.
pub struct Component {
    bytes: Vec<u8>,
    _place: Place,
}

impl Component {
    /// Takes the bytes, and keeps the place.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl Uploads {
    /// Waits for a place and receives a request's component.
    pub async fn receive(
        &self,
        caller: &Caller,
        access: &Access,
        mut shutdown: Shutdown,
        request: Request,
    ) -> Result<Component, Problem> {
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > COMPONENT) {
            return Err(too_large());
        }
        let place = tokio::select! {
            biased;
            place = self.place() => place?,
            () = access.revoked(caller.key.clone()) => return Err(Problem::revoked()),
            () = shutdown.cancelled() => return Err(Refused::Stopped.into()),
        };
        let bytes = read(request.into_body(), length).await?;
        Ok(Component {
            bytes,
            _place: place,
        })
    }

    async fn place(&self) -> Result<Place, Problem> {
        let line = Arc::clone(&self.line).try_acquire_owned().map_err(|_| {
            Problem::later(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{WAITING} policies wait to be checked already: try again in 10 s"),
                10,
            )
        })?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        Ok(Place {
            _line: line,
            _place: place.map_err(|_| Refused::Stopped)?,
        })
    }
}

/// Reads a component into one allocation, so that it is never copied. The allocation is larger than
/// the largest that glibc keeps for later (32 MiB, in each of many threads), so it goes back to the
/// operating system when it is freed; pages that are not written cost nothing.
async fn read(body: Body, length: Option<usize>) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    if length != Some(0) {
        bytes.reserve_exact(COMPONENT + 1);
    }
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| too_late())?;
        if bytes.len() + part.len() > COMPONENT {
            return Err(too_large());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a component has at most {} MiB", COMPONENT >> 20),
    )
}
