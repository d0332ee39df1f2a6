//! What went wrong, as `application/problem+json` (RFC 9457).
//!
//! Owns which error is which status, and what of it is public: what the caller can mend is told,
//! what went wrong inside goes to the log.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serial_gate::error::with_causes;
use serial_gate::worker::branch;
use serial_gate::{conform, gate, queue, rollout, store};
use utoipa::ToSchema;

use super::owner::Refused;

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
    /// Seconds after which it may go better.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl ToString) -> Problem {
        Problem {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            detail: detail.to_string(),
            retry_after: None,
        }
    }

    /// The caller has to say who it is.
    pub fn unauthorized(detail: &str) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// The caller has waited under a token that is good no longer.
    pub fn revoked() -> Problem {
        Problem::unauthorized(
            "the token was revoked while this request waited, or a first token was made: send one that is good",
        )
    }

    /// Whoever it is, it may not do this.
    pub fn forbidden(detail: impl ToString) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// A value is none that can be used.
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

    /// What went wrong is nothing that the caller could mend, and may name what is none of its
    /// business.
    pub fn inside(error: &dyn std::error::Error) -> Problem {
        tracing::error!("a request failed: {}", with_causes(error));
        let detail = "the queue cannot be used now: the service's log says why";
        Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 1)
    }
}

impl Problem {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What is wrong, and what to do about it.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
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

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        match refused {
            Refused::Lost(error) if matches!(*error, store::Error::Moved { .. }) => moved(),
            Refused::Lost(error) => Problem::inside(&*error),
            Refused::Busy | Refused::Stopped => {
                Problem::later(StatusCode::SERVICE_UNAVAILABLE, refused, 1)
            }
        }
    }
}

/// The file's path is not the caller's business.
fn moved() -> Problem {
    let detail = "the queue's database was replaced, renamed or removed while the service had it open, and the change \
                  may be lost: look at what is there now, and try again";
    Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 1)
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Problem {
        use store::Error as E;
        let status = match &error {
            E::NoTask { .. } | E::NoJob { .. } | E::NoGeneration { .. } | E::NoFixture { .. } => {
                StatusCode::NOT_FOUND
            }
            E::Empty { .. } | E::Nul { .. } | E::KeyOfAnother { .. } | E::ForcedWithoutReason => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            E::Status { .. }
            | E::StaleToken { .. }
            | E::TokenOfAnother { .. }
            | E::FrozenAgain { .. }
            | E::OtherFreeze { .. }
            | E::NotClaimedHere { .. }
            | E::Ended { .. }
            | E::TaskIsFinished { .. }
            | E::TaskRuns { .. }
            | E::AlreadyIn { .. }
            | E::BranchOf { .. }
            | E::BranchBeside { .. }
            | E::Meanwhile
            | E::NoActiveGeneration => StatusCode::CONFLICT,
            E::Moved { .. } | E::OldLog { .. } | E::OldIndex { .. } => {
                tracing::error!("{error}");
                return moved();
            }
            _ => return Problem::inside(&error),
        };
        Problem::new(status, error)
    }
}

/// A task whose branch could never be cut.
impl From<branch::Error> for Problem {
    fn from(error: branch::Error) -> Problem {
        match error {
            branch::Error::Store(error) => error.into(),
            error if error.is_for_good() => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error),
            error => Problem::inside(&error),
        }
    }
}

impl From<queue::Error> for Problem {
    fn from(error: queue::Error) -> Problem {
        match error {
            queue::Error::Gate(error) => error.into(),
            queue::Error::FreezeOff { .. } => Problem::new(StatusCode::CONFLICT, error),
            queue::Error::UnknownRepo { .. } => {
                let detail = format!("{error}; if the repo is new, send `\"new\": true`");
                Problem::new(StatusCode::NOT_FOUND, detail)
            }
            queue::Error::NotInScope { .. }
            | queue::Error::NoNameInScope { .. }
            | queue::Error::NothingInScope { .. } => Problem::invalid(error),
        }
    }
}

impl From<gate::Error> for Problem {
    fn from(error: gate::Error) -> Problem {
        match error {
            gate::Error::Store(error) => error.into(),
            // The policy's own words: an operator who swaps policies has to read them.
            gate::Error::Policy(_) | gate::Error::Clause(_) | gate::Error::NoPolicy => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, with_causes(&error))
            }
            gate::Error::Unreadable { .. }
            | gate::Error::NoComponent { .. }
            | gate::Error::Altered { .. }
            | gate::Error::Thread(_)
            | gate::Error::LoaderEnded => Problem::inside(&error),
        }
    }
}

impl From<rollout::Error> for Problem {
    fn from(error: rollout::Error) -> Problem {
        use rollout::Error as E;
        let status = match error {
            E::Queue(error) => return error.into(),
            // It says nothing about the policy.
            E::NoPolicy(error) if error.is_a_stop() => return gate::Error::from(error).into(),
            E::Store(error) => return error.into(),
            E::NoPolicy(_) => StatusCode::BAD_REQUEST,
            E::NothingNew { .. }
            | E::NothingBefore
            | E::NeverActive { .. }
            | E::NoShadow
            | E::Unusable { .. } => StatusCode::CONFLICT,
            _ => return Problem::inside(&error),
        };
        Problem::new(status, with_causes(&error))
    }
}

impl From<conform::Error> for Problem {
    fn from(error: conform::Error) -> Problem {
        Problem::inside(&error)
    }
}
