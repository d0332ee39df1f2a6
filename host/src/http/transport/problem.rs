//! A refused request, as `application/problem+json` (RFC 9457).
//!
//! Owns the form of a refusal. A cause inside the service is logged when the refusal is sent, not
//! when it is made. Leaves to `status` which error gets which status.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serial_gate::error::with_causes;
use serial_gate::remedy;
use utoipa::ToSchema;

/// A request that was refused. Nothing was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The status, once more.
    #[schema(example = 409)]
    status: u16,
    /// The status in words.
    #[schema(example = "Conflict")]
    title: &'static str,
    /// What is wrong, and what to do about it.
    detail: String,
    /// The detail without routes and fields, for people who look at the page.
    #[serde(skip)]
    #[schema(ignore)]
    for_people: Option<String>,
    /// Seconds after which the same request may succeed.
    #[serde(skip)]
    retry_after: Option<u64>,
    /// For the log only.
    #[serde(skip)]
    #[schema(ignore)]
    cause: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl ToString) -> Problem {
        Problem {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            detail: detail.to_string(),
            for_people: None,
            retry_after: None,
            cause: None,
        }
    }

    /// Adds what the caller may send next.
    pub fn with_advice(self, advice: &str) -> Problem {
        let wrong = self.detail;
        let detail = remedy::with_advice(&wrong, advice);
        Problem {
            detail,
            for_people: Some(wrong),
            ..self
        }
    }

    pub fn unauthorized(detail: &str) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// For a request whose token was revoked while it waited.
    pub fn revoked() -> Problem {
        Problem::unauthorized(
            "the token was revoked while this request waited, or a first token was made: send a \
             valid one",
        )
    }

    pub fn forbidden(detail: impl ToString) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// For a value that cannot be used.
    pub fn invalid(detail: impl ToString) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// The same request may succeed later.
    pub fn later(status: StatusCode, detail: impl ToString, seconds: u64) -> Problem {
        Problem {
            retry_after: Some(seconds),
            ..Problem::new(status, detail)
        }
    }

    /// For a failure of the queue, its database or this machine. The cause is only logged, because
    /// it may name things that the caller should not learn.
    pub fn inside(error: &dyn std::error::Error) -> Problem {
        let detail = "the queue cannot be used now: the service's log says why";
        Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 1).because(with_causes(error))
    }

    /// For a bug in the service.
    pub fn bug(cause: impl ToString) -> Problem {
        let detail = "the service failed at this request: its log says how";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).because(cause)
    }

    /// Logs the cause as well.
    pub fn because(self, cause: impl ToString) -> Problem {
        Problem {
            cause: Some(cause.to_string()),
            ..self
        }
    }

    /// What the caller is told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The text, for an answer that is a page. Logs the cause.
    pub fn for_people(self) -> String {
        self.log();
        self.for_people.unwrap_or(self.detail)
    }

    fn log(&self) {
        if let Some(cause) = &self.cause {
            tracing::error!("a request failed: {cause}");
        }
    }
}

/// The text of a refusal for people, which its answer carries as an extension.
#[derive(Clone)]
pub struct ForPeople(pub String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.log();
        let for_people = self.for_people.clone();
        let for_people = ForPeople(for_people.unwrap_or_else(|| self.detail.clone()));
        let status = self.status();
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        response.extensions_mut().insert(for_people);
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
