//! `Idempotency-Key`: a client's name for a request that it may repeat.
//!
//! Owns the format of a key, and when two requests are the same: when their routes and the values
//! in their bodies are equal. Leaves to the store that the second one changes nothing.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use serial_gate::policy;
use serial_gate::store::Repeatable;
use utoipa::IntoParams;

use crate::http::transport::access::Caller;
use crate::http::transport::problem::Problem;

const HEADER: &str = "idempotency-key";

const LONGEST: usize = 255;

/// The header of a request that may be repeated.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes the header, which `Key` reads")]
pub struct MayBeRepeated {
    /// The client's name for this request. For 24 h, the same request with the same key gets the
    /// same answer and adds nothing, and a different request with this key is refused
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]([ -~]*[!-~])?$",
        example = "add-ORCH-88"
    )]
    idempotency_key: Option<String>,
}

/// The key of a request, if it has one.
pub struct Key(Option<String>);

/// A request with a key.
pub struct Keyed {
    caller: String,
    key: String,
    request: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Key, Problem> {
        let mut keys = parts.headers.get_all(HEADER).into_iter();
        let Some(key) = keys.next() else {
            return Ok(Key(None));
        };
        let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
        let bytes = key.as_bytes();
        let is_a_key = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(is_printable);
        match key.to_str() {
            Ok(key) if is_a_key && keys.next().is_none() => Ok(Key(Some(key.into()))),
            _ => Err(Problem::invalid(format!(
                "the header `Idempotency-Key` is not a key: give it once, with 1 to {LONGEST} \
                 printable ASCII characters"
            ))),
        }
    }
}

impl Key {
    /// Binds the key to its request.
    pub fn of(
        self,
        caller: &Caller,
        route: &str,
        body: &impl Serialize,
    ) -> Result<Option<Keyed>, Problem> {
        let Key(Some(key)) = self else {
            return Ok(None);
        };
        let request = serde_json::to_vec(&(route, body)).map_err(Problem::bug)?;
        Ok(Some(Keyed {
            caller: caller.name.clone(),
            key,
            request: policy::digest(&request),
        }))
    }
}

impl Keyed {
    pub fn as_repeatable(&self) -> Repeatable<'_> {
        Repeatable {
            caller: &self.caller,
            key: &self.key,
            request: &self.request,
        }
    }
}
