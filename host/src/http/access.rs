//! Who asks, and whether they may.
//!
//! Owns the look of a token, and the one place where a request is let through or refused. What role an operation
//! asks for stands in its OpenAPI description, which is what [`Rules`] is made of: an operation without one does not
//! start. Callers rely on this: a handler runs only for a caller of its role.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{ACCEPT, ALLOW, AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serial_gate::store::{self, Act, Role, Store};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::openapi::{OpenApi, path::Operation};

use super::App;
use super::problem::Problem;

/// Tokens begin so, so that one that leaked is found.
const PREFIX: &str = "sgt";
const KEPT_AS: &str = "serial_gate_token";
const SECRET_BYTES: usize = 32;
/// The name of the security scheme in the OpenAPI document.
pub const SCHEME: &str = "token";

/// How often a caller may be wrong in a minute.
const WRONG_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Whoever asks.
#[derive(Debug, Clone)]
pub struct Caller {
    pub name: String,
    pub role: Role,
}

impl Caller {
    /// What it does now, and why, for the history.
    pub fn act<'a>(&'a self, why: &'a str) -> Act<'a> {
        Act {
            now: Timestamp::now(),
            who: &self.name,
            why,
        }
    }

    /// The name in the history. Whoever has a token may act for somebody, and is named all the same.
    pub fn named(&self, who: Option<&str>) -> String {
        match who.filter(|who| !who.is_empty()) {
            Some(who) => format!("{who} ({})", self.name),
            None => self.name.clone(),
        }
    }
}

/// The tokens of the queue's database.
pub struct Access {
    store: Mutex<Store>,
    /// Whether there was a token: then there was one for ever.
    had_tokens: AtomicBool,
    wrong: DefaultKeyedRateLimiter<IpAddr>,
}

/// A secret that was made, and how it is kept.
pub struct Secret {
    text: String,
    pub hash: Vec<u8>,
}

impl Secret {
    pub fn make() -> Result<Secret, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        let text = Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default();
        Ok(Secret {
            hash: Sha256::digest(bytes).to_vec(),
            text,
        })
    }

    /// The token, which nobody can be told again.
    pub fn token(&self, id: i64) -> String {
        format!("{PREFIX}_{id}_{}", self.text)
    }
}

/// The number of a token, and the hash of its secret.
fn read_token(token: &str) -> Option<(i64, Vec<u8>)> {
    let (id, secret) = token
        .strip_prefix(PREFIX)?
        .strip_prefix('_')?
        .split_once('_')?;
    let secret = Base64UrlSafeNoPadding::decode_to_vec(secret, None).ok()?;
    Some((id.parse().ok()?, Sha256::digest(secret).to_vec()))
}

impl Access {
    pub fn new(store: Store) -> Access {
        Access {
            store: Mutex::new(store),
            had_tokens: AtomicBool::new(false),
            wrong: RateLimiter::keyed(Quota::per_minute(WRONG_PER_MINUTE)),
        }
    }

    /// Whether nobody needs a token, because there never was one.
    pub fn is_open(&self) -> Result<bool, Problem> {
        if self.had_tokens.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let had_tokens = self.store().had_access_tokens()?;
        self.had_tokens.store(had_tokens, Ordering::Relaxed);
        Ok(!had_tokens)
    }

    /// Looks whether the database's files are in place.
    pub fn check_files(&self) -> Result<(), Problem> {
        Ok(self.store().check_files()?)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // It holds connections and no state of ours.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose token this is.
    pub fn check(&self, token: &str, from: SocketAddr) -> Result<Caller, Problem> {
        let mut store = self.store();
        let found = known(&mut store, token)?;
        drop(store);
        found.ok_or_else(|| self.wrong_token(from.ip()))
    }

    /// Who asks. Without any token in the database, everybody on this machine may do everything.
    fn caller(&self, headers: &HeaderMap, from: SocketAddr) -> Result<Caller, Problem> {
        let bearer = bearer(headers);
        // A browser may keep the cookie of another service on this machine.
        if bearer.is_none() && from.ip().is_loopback() && self.is_open()? {
            return Ok(Caller {
                name: "somebody".into(),
                role: Role::Operator,
            });
        }
        let Some(given) = bearer.or_else(|| kept_token(headers)) else {
            return Err(Problem::unauthorized(
                "no token: send one as `Authorization: Bearer TOKEN`, `serial-gate token add` makes it",
            ));
        };
        self.check(given, from)
    }

    fn wrong_token(&self, from: IpAddr) -> Problem {
        if self.wrong.check_key(&from).is_err() {
            return Problem::later(
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong tokens from this address: wait a minute",
                60,
            );
        }
        // The limiter keeps a row for each address.
        if self.wrong.len() > 10_000 {
            self.wrong.retain_recent();
        }
        Problem::unauthorized("this token is not known, or was revoked")
    }
}

fn known(store: &mut Store, given: &str) -> Result<Option<Caller>, store::Error> {
    let Some((id, hash)) = read_token(given) else {
        return Ok(None);
    };
    let kept = store.access_token(id)?;
    Ok(kept
        .filter(|kept| bool::from(kept.hash.ct_eq(&hash)))
        .map(|kept| Caller {
            name: kept.name,
            role: kept.role,
        }))
}

/// The cookie that keeps a token in a browser: no script reads it, and no other site's page sends it.
pub fn cookie(token: &str) -> String {
    // Only what a token is made of: nothing can be added to the cookie.
    let token: String = token
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    format!("{KEPT_AS}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800")
}

fn kept_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    let mut cookies = cookies.split(';').map(str::trim);
    cookies.find_map(|cookie| cookie.strip_prefix(KEPT_AS)?.strip_prefix('='))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Which role each operation asks for; none if it asks for nothing.
#[derive(Debug)]
pub struct Rules(HashMap<(Method, String), Option<Role>>);

/// An operation whose description does not say who may call it.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` does not say who may call it")]
pub struct NoRole(String);

impl Rules {
    /// Reads the roles out of the document.
    pub fn of(document: &OpenApi) -> Result<Rules, NoRole> {
        let mut rules = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::PUT, &item.put),
                (Method::DELETE, &item.delete),
            ] {
                if let Some(operation) = operation {
                    let role = role(operation).ok_or_else(|| NoRole(format!("{method} {path}")))?;
                    rules.insert((method, path.clone()), role);
                }
            }
        }
        Ok(Rules(rules))
    }

    /// What can be done at a path, as a header says it.
    fn methods(&self, path: &str) -> String {
        let here = self.0.keys().filter(|(_, other)| other == path);
        let mut methods: Vec<&str> = here.map(|(method, _)| method.as_str()).collect();
        methods.sort_unstable();
        methods.join(", ")
    }

    fn role(&self, method: &Method, path: &str) -> Option<Option<Role>> {
        // A HEAD is a GET whose body nobody reads.
        let method = if method == Method::HEAD {
            Method::GET
        } else {
            method.clone()
        };
        self.0.get(&(method, path.to_owned())).copied()
    }
}

/// None if the operation says nothing, or what is no role.
fn role(operation: &Operation) -> Option<Option<Role>> {
    let requirements = operation.security.as_ref()?;
    let document = serde_json::to_value(requirements).ok()?;
    let [requirement] = document.as_array()?.as_slice() else {
        return None;
    };
    if requirement.as_object()?.is_empty() {
        return Some(None);
    }
    let [role] = requirement.get(SCHEME)?.as_array()?.as_slice() else {
        return None;
    };
    Role::of_name(role.as_str()?).map(Some)
}

/// Lets a request through to its handler, with its [`Caller`], or refuses it.
pub async fn admit(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(needed) = app.rules.role(request.method(), path.as_str()) else {
        let problem = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this cannot be done here: `/openapi.json` lists what can",
        );
        return Ok(([(ALLOW, app.rules.methods(path.as_str()))], problem).into_response());
    };
    if let Some(needed) = needed {
        let caller = match app.access.caller(request.headers(), from) {
            // A browser cannot send what nobody has asked for.
            Err(problem)
                if problem.status() == StatusCode::UNAUTHORIZED
                    && path.as_str() == "/"
                    && is_browser(request.headers()) =>
            {
                return Ok(Redirect::to("/login").into_response());
            }
            caller => caller?,
        };
        if caller.role < needed {
            return Err(Problem::forbidden(format!(
                "this asks for the role `{}`, and the token `{}` has `{}`",
                needed.name(),
                caller.name,
                caller.role.name()
            )));
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

fn is_browser(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}
