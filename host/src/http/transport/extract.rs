//! Extractors: a request's parts as types, or a [`Problem`].
//!
//! Owns the extractors, and how the fields of a body are read. Leaves the receiving to `body`.

use std::error::Error;
use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{
    BytesRejection, FormRejection, JsonRejection, PathRejection, QueryRejection,
};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::de::{self, DeserializeOwned, Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::problem::Problem;

/// A JSON body. A received one has to be an object.
pub struct Json<T>(pub T);

/// The fields of a form.
#[derive(FromRequest)]
#[from_request(via(axum::extract::Form), rejection(Problem))]
pub struct Form<T>(pub T);

/// The variable parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The query string.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Problem> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, state).await?;
        // serde would read an array as the fields in their order.
        let is_array = bytes.trim_ascii_start().starts_with(b"[");
        let request = Request::from_parts(parts, Body::from(bytes));
        let axum::Json(value) = axum::Json::from_request(request, state).await?;
        if is_array {
            return Err(Problem::invalid("the body is an array: send an object"));
        }
        Ok(Json(value))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A whole number. `1.0` is one, too: JSON Schema does not tell it from `1`.
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

/// An optional whole number.
pub fn maybe_whole<'de, D: Deserializer<'de>>(number: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "whole")] i64);
    Ok(Option::<Number>::deserialize(number)?.map(|Number(number)| number))
}

/// An optional point in time, as RFC 3339 has it.
pub fn maybe_time<'de, D: Deserializer<'de>>(time: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(time)? else {
        return Ok(None);
    };
    // A space may be a `+` that was not escaped.
    let time = text.parse().or_else(|_| text.replace(' ', "+").parse());
    time.map(Some)
        .map_err(|_| D::Error::custom("write a time such as `2026-11-28T06:00:00Z`"))
}

/// A claim's token. Older versions gave numbers, which are accepted as numbers and as text.
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

/// An optional token.
pub fn maybe_token<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Shown(#[serde(deserialize_with = "token")] String);
    Ok(Option::<Shown>::deserialize(value)?.map(|Shown(token)| token))
}

/// A value that may be left out. If it is given, it may be null only if `T` may.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

macro_rules! refused {
    ($($rejection:ident),*) => {
        $(impl From<$rejection> for Problem {
            fn from(rejection: $rejection) -> Problem {
                let status = rejection.status();
                Problem::new(status, reason(&rejection, rejection.body_text()))
            }
        })*
    };
}

/// What is wrong with the request. Where a rejection has a cause, its own text is only about Rust's
/// types.
fn reason(rejection: &dyn Error, text: String) -> String {
    match rejection.source() {
        Some(cause) => cause.to_string(),
        None => text,
    }
}

refused!(BytesRejection, JsonRejection, FormRejection, QueryRejection);

/// A path that does not fit names nothing, so this is always 404.
impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        let text = reason(&rejection, rejection.body_text());
        Problem::new(StatusCode::NOT_FOUND, text)
    }
}
