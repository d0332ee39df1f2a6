//! Extractors: a request's parts as types, or a [`Problem`].
//!
//! Owns the extractors, and what is said of a part that cannot be read. Leaves the receiving to
//! `body`, and single fields to `fields`.

use std::error::Error;

use axum::body::{Body, Bytes};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{
    BytesRejection, FormRejection, JsonRejection, PathRejection, QueryRejection,
};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::JSON;
use super::nul;
use super::problem::Problem;

/// A JSON body. A received one has to be an object.
pub struct Json<T>(pub T);

/// The fields of a form.
pub struct Form<T>(pub T);

/// The variable parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query<T>, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        nul::check_encoded(query.as_bytes(), "the address")?;
        let axum::extract::Query(value) =
            axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Query(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Problem> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, state).await?;
        nul::check_json(&bytes)?;
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

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Form<T>, Problem> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, state).await?;
        nul::check_encoded(&bytes, "the form")?;
        let request = Request::from_parts(parts, Body::from(bytes));
        let axum::extract::Form(fields) = axum::extract::Form::from_request(request, state).await?;
        Ok(Form(fields))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

macro_rules! refused {
    ($($rejection:ident),*) => {
        $(impl From<$rejection> for Problem {
            fn from(rejection: $rejection) -> Problem {
                let status = rejection.status();
                if status == StatusCode::PAYLOAD_TOO_LARGE {
                    let text = format!("the body is longer than {} KiB", JSON >> 10);
                    return Problem::new(status, text);
                }
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

refused!(BytesRejection, JsonRejection, FormRejection);

/// Only a value can be of the wrong form: the names were checked before.
impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::invalid(reason(&rejection, rejection.body_text()))
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        let PathRejection::FailedToDeserializePathParams(unread) = &rejection else {
            return Problem::bug(rejection);
        };
        match unread.kind() {
            ErrorKind::ParseError { value, .. } if is_number(value) => {
                Problem::invalid(format!("`{value}` is too high for an id"))
            }
            ErrorKind::ParseError { value, .. } => Problem::invalid(format!(
                "`{}` is not an id: send a whole number",
                value.escape_debug()
            )),
            ErrorKind::DeserializeError { message, .. } | ErrorKind::Message(message) => {
                Problem::invalid(message)
            }
            ErrorKind::InvalidUtf8InPathParam { .. } => {
                Problem::invalid("the path is not UTF-8: send it in UTF-8, percent-encoded")
            }
            _ => Problem::invalid(reason(&rejection, rejection.body_text())),
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
