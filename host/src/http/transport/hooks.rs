//! The forges' webhooks: received within limits, and admitted by their signatures.
//!
//! Owns the limits, and which projects a request may speak for. Leaves what a body means to `api`.
//! Callers rely on this: nothing of a body is trusted before its signature was checked; and a
//! repository that is not known takes the same steps and gets the same answer as a wrong
//! signature.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serial_gate::worker::branch::{Forge, Hooked};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_stream::StreamExt;

use super::body::{JSON, too_late};
use super::problem::Problem;
use super::signature;

/// The most bytes of a body. A forge sends at most 25 MB, and that for huge pushes only.
pub const LONGEST: usize = 5 << 20;

/// How many long bodies are in memory.
const PLACES: usize = 4;

/// How long a long body waits for its place. Forges wait for 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads a file with a secret.
pub type ReadSecret = fn(&Path) -> Result<String, String>;

/// The projects that take webhooks.
pub struct Hooks {
    projects: Vec<Hooked>,
    read: ReadSecret,
    places: Semaphore,
}

impl Hooks {
    pub fn new(projects: Vec<Hooked>, read: ReadSecret) -> Hooks {
        Hooks {
            projects,
            read,
            places: Semaphore::new(PLACES),
        }
    }

    /// Receives a body.
    pub async fn receive(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
        let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
        let is_json =
            kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"));
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body of a webhook has to be JSON: choose the content type \
                 `application/json` at the forge",
            ));
        }
        let length = headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > LONGEST) {
            return Err(too_large());
        }
        let _place = match length {
            Some(length) if length <= JSON => None,
            _ => Some(self.place().await?),
        };
        let mut bytes = Vec::new();
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| too_late())?;
            if bytes.len() + part.len() > LONGEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        let place = timeout(PATIENCE, self.places.acquire()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            Problem::later(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many long webhooks arrive at once: try again in 10 s",
                10,
            )
        })
    }

    /// The projects for which a body speaks. `named` is the repository that it names.
    fn admitted(
        &self,
        forge: Forge,
        headers: &HeaderMap,
        body: &[u8],
        named: Option<&str>,
    ) -> Vec<Hooked> {
        let now = Timestamp::now();
        let is_named = |project: &&Hooked| {
            let is_its_repo =
                named.is_some_and(|name| name.eq_ignore_ascii_case(&project.forge_repo));
            project.forge == forge && is_its_repo
        };
        let is_right = |project: &&Hooked| {
            let secret = (self.read)(&project.secret).unwrap_or_else(|error| {
                let repo = project.repo.escape_debug();
                tracing::error!("a webhook of `{repo}` cannot be checked: {error}");
                String::new()
            });
            let is_right = signature::is_right(forge, headers, body, &secret, now);
            is_right && !secret.is_empty()
        };
        let mut named = self.projects.iter().filter(is_named).peekable();
        if named.peek().is_none() {
            // As long as a wrong signature takes.
            match self.projects.first() {
                Some(any) => drop(is_right(&any)),
                None => drop(signature::is_right(forge, headers, body, "no secret", now)),
            }
            return Vec::new();
        }
        named.filter(is_right).cloned().collect()
    }
}

/// Refuses a body that speaks for no project. `repo_of` reads the repository that a body names, which
/// is written to `named`, for the log.
pub async fn admit(
    hooks: &Arc<Hooks>,
    forge: Forge,
    headers: HeaderMap,
    body: Vec<u8>,
    repo_of: fn(Forge, &[u8]) -> Option<String>,
    named: &mut Option<String>,
) -> Result<(Vec<Hooked>, Vec<u8>), Problem> {
    let hooks = Arc::clone(hooks);
    // It reads a file, and a long body takes milliseconds.
    let admitted = tokio::task::spawn_blocking(move || {
        let named = repo_of(forge, &body);
        let projects = hooks.admitted(forge, &headers, &body, named.as_deref());
        (projects, body, named)
    });
    let (projects, body, repository) = admitted.await.map_err(Problem::bug)?;
    *named = repository;
    if projects.is_empty() {
        return Err(refused());
    }
    Ok((projects, body))
}

/// The same for an unknown repository and for a wrong signature.
fn refused() -> Problem {
    Problem::unauthorized(
        "no project here has this repository, or the signature is wrong: compare `forge_repo` and \
         `hook_secret` with the forge's settings",
    )
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a webhook has at most {} MiB", LONGEST >> 20),
    )
}
