//! The body of a request: received within limits of size and time.
//!
//! Owns these limits, and discards a body that no handler reads. Leaves the parsing to `extract`.
//! Callers rely on this: a small body has been received before anything is answered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{self, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_stream::{Stream, StreamExt};

use super::peer::Peer;
use super::problem::Problem;

/// The most bytes of a body, unless it is a component.
pub const JSON: usize = 64 << 10;
/// The most bytes of a policy's component. The built-in policy has 0.1 MiB; a policy with a
/// Python interpreter has 18.
pub const COMPONENT: usize = 32 << 20;

/// How long a body may take to arrive, from the first read.
const RECEIVE: Duration = Duration::from_secs(30);

/// Receives a small body before anything is answered: a refusal during the transfer would close
/// the connection, and a client that reuses connections would take this for a failure. A large body
/// that was not read is discarded as it arrives, so that its sender reads the answer.
pub async fn receive(
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    // With `Expect: 100-continue`, a body that was not read is not sent either.
    let waits_to_be_asked = parts.headers.contains_key(EXPECT);
    if body.is_end_stream() {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let (lent, mut rest) = Lent::new(body);
    let mut body = body::Body::from_stream(in_time(lent, peer));
    if length.is_some_and(|length: usize| length <= JSON) {
        let received = body::to_bytes(body, JSON).await;
        body = received.map_err(|_| too_late())?.into();
    }
    let response = next.run(Request::from_parts(parts, body)).await;
    if !waits_to_be_asked && let Ok(rest) = rest.try_recv() {
        tokio::spawn(throw_away(rest));
    }
    Ok(response)
}

/// A body that did not arrive in time, or broke off.
pub fn too_late() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        format!("the body was not there within {} s", RECEIVE.as_secs()),
    )
}

/// A body that fails when it takes too long.
fn in_time(mut body: Lent, peer: Arc<Peer>) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    async_stream::try_stream! {
        let end = Instant::now() + RECEIVE;
        peer.sends_a_body();
        while let Some(part) = timeout_at(end, body.next()).await.map_err(axum::Error::new)? {
            yield part?;
        }
        peer.is_served();
    }
}

/// Reads a body to its end, or until it has taken too long or is longer than a component.
async fn throw_away(mut body: BodyDataStream) {
    let end = Instant::now() + RECEIVE;
    let mut length = 0;
    while length <= COMPONENT
        && let Ok(Some(Ok(part))) = timeout_at(end, body.next()).await
    {
        length += part.len();
    }
}

/// A body that is returned through a channel if it was not read to its end.
struct Lent {
    body: Option<BodyDataStream>,
    back: Option<oneshot::Sender<BodyDataStream>>,
}

impl Lent {
    fn new(body: body::Body) -> (Lent, oneshot::Receiver<BodyDataStream>) {
        let (back, rest) = oneshot::channel();
        let lent = Lent {
            body: Some(body.into_data_stream()),
            back: Some(back),
        };
        (lent, rest)
    }
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let part = Pin::new(body).poll_next(context);
        if matches!(part, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        part
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            // The connection may have ended.
            let _ = back.send(body);
        }
    }
}
