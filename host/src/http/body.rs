//! What comes with a request: received within its limits, and refused as a [`Problem`] when it is
//! not what was asked for.
//!
//! Owns the limits on bodies, and what becomes of one that nobody reads. Leaves those of components
//! to `uploads`. Callers rely on this: a small body is there before anything is answered.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{self, BodyDataStream, Bytes, HttpBody};
use axum::extract::rejection::{
    BytesRejection, FormRejection, JsonRejection, PathRejection, QueryRejection,
};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Extension, Json};
use serde::de::{self, DeserializeOwned, Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_stream::{Stream, StreamExt};

use super::peer::Peer;
use super::problem::Problem;
use super::uploads::COMPONENT;

/// JSON is small.
pub const JSON: usize = 64 << 10;

/// How long a body may take to arrive, once it is asked for.
const RECEIVE: Duration = Duration::from_secs(30);

/// Receives a request's body, a small one before anything is answered: where a refusal came while
/// it is still on its way, the connection would have to be closed, which a client that keeps
/// connections takes for a failure. A large one that was not read is thrown away as it comes, so
/// that its sender reads the answer.
pub async fn receive(
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    // Such a client sends its body when it is asked for, and it was not.
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

/// A body that did not come, or not in time.
pub fn too_late() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        format!("the body was not there within {} s", RECEIVE.as_secs()),
    )
}

/// The same body, which fails when it takes too long.
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

/// Reads a body to its end, or for as long as it may take to arrive, or as long as a component.
async fn throw_away(mut body: BodyDataStream) {
    let end = Instant::now() + RECEIVE;
    let mut length = 0;
    while length <= COMPONENT
        && let Ok(Some(Ok(part))) = timeout_at(end, body.next()).await
    {
        length += part.len();
    }
}

/// A body that comes back if it was not read to its end.
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

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

/// A JSON body, which is an object.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, state).await?;
        // An array would be taken for the fields in their order.
        let is_array = bytes.trim_ascii_start().starts_with(b"[");
        let request = Request::from_parts(parts, body::Body::from(bytes));
        let Json(value) = Json::from_request(request, state).await?;
        if is_array {
            return Err(Problem::invalid("the body is an array: send an object"));
        }
        Ok(Body(value))
    }
}

/// A whole number, also one that is written as `1.0`: to JSON Schema these are the same.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(number: D) -> Result<T, D::Error> {
    struct Whole;
    impl Visitor<'_> for Whole {
        type Value = i64;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a whole number")
        }
        fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
            let unexpected = || E::invalid_value(Unexpected::Unsigned(number), &self);
            i64::try_from(number).map_err(|_| unexpected())
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
            // Beyond that, not every whole number has a float.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            if number.fract() == 0.0 && number.abs() <= EXACT {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it is whole, and that small"
                )]
                return Ok(number as i64);
            }
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }
    let number = number.deserialize_i64(Whole)?;
    let unexpected = || D::Error::invalid_value(Unexpected::Signed(number), &"one in its range");
    T::try_from(number).map_err(|_| unexpected())
}

/// The same where there may be none.
pub fn maybe_whole<'de, D: Deserializer<'de>>(number: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "whole")] i64);
    Ok(Option::<Number>::deserialize(number)?.map(|Number(number)| number))
}

/// A claim's token. Claims of an older version have a number, which may be sent as it was given.
pub fn token<'de, D: Deserializer<'de>>(token: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a token: the text that the claim gave")]
    enum Token {
        Text(String),
        Number(i64),
    }
    Ok(match Token::deserialize(token)? {
        Token::Text(text) => text,
        Token::Number(number) => number.to_string(),
    })
}

/// The same where there may be none.
pub fn maybe_token<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Shown(#[serde(deserialize_with = "token")] String);
    Ok(Option::<Shown>::deserialize(value)?.map(|Shown(token)| token))
}

/// A value that may be left out, and is none of those that may be null.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

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
