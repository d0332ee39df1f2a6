//! What comes with a request: received within its limits, and refused as a [`Problem`] when it is not what was asked for.
//!
//! Owns the limits on bodies. Callers rely on this: a small body is there before anything is answered.

use std::time::Duration;

use axum::body::{self, Bytes};
use axum::extract::rejection::{
    BytesRejection, FormRejection, JsonRejection, PathRejection, QueryRejection,
};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::{Instant, timeout_at};
use tokio_stream::{Stream, StreamExt};

use super::problem::Problem;

/// JSON is small.
pub const JSON: usize = 64 << 10;
/// A policy's component is not. Ours have a tenth of a MiB, those of other compilers a few.
pub const COMPONENT: usize = 16 << 20;

/// How long a body may take to arrive.
const RECEIVE: Duration = Duration::from_secs(30);

/// Receives a request's body, a small one before anything is answered: where a refusal came while it is still on its way,
/// the connection would have to be closed, which a client that keeps connections takes for a failure.
pub async fn receive(request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = body::Body::from_stream(in_time(body));
    if length.is_some_and(|length: usize| length <= JSON) {
        let received = body::to_bytes(body, JSON).await.map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body was not there within {} s", RECEIVE.as_secs()),
            )
        })?;
        body = received.into();
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// The same body, which fails when it takes too long.
fn in_time(body: body::Body) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let end = Instant::now() + RECEIVE;
    let mut parts = body.into_data_stream();
    async_stream::try_stream! {
        while let Some(part) = timeout_at(end, parts.next()).await.map_err(axum::Error::new)? {
            yield part?;
        }
    }
}

/// A policy's component; of no bytes, if there is none.
pub struct Component(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Component {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Component, Problem> {
        Ok(Component(Bytes::from_request(request, state).await?))
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Body<T>(pub T);

/// The fields of a form.
#[derive(FromRequest)]
#[from_request(via(axum::extract::Form), rejection(Problem))]
pub struct Fields<T>(pub T);

/// The part of the path that says which one.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Which<T>(pub T);

/// The query string.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Asked<T>(pub T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text())
    }
}
