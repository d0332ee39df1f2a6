//! Who asks, and whether they may.
//!
//! Owns the look of a token, and the one place where a request is let through or refused. What role
//! an operation asks for stands in its OpenAPI description, which is what [`Rules`] is made of: an
//! operation without one does not start. Leaves the rows to `keys`, and what a browser keeps to
//! `cookies`. Callers rely on this: a handler runs only for a caller of its role, and nothing here
//! waits for the database on a thread that serves connections.

use std::collections::HashMap;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Extension;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{ACCEPT, ALLOW, AUTHORIZATION};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serial_gate::store::{self, Act, Role};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::openapi::{OpenApi, path::Operation};

use super::App;
use super::client::asker;
use super::cookies;
use super::keys::{Key, Keys, Token};
use super::owner::{Owner, Refused};
use super::peer::Peer;
use super::problem::Problem;

/// Tokens begin so, so that one that leaked is found.
const PREFIX: &str = "sgt";
const SECRET_BYTES: usize = 32;
/// The name of the security scheme in the OpenAPI document.
pub const SCHEME: &str = "token";

/// How often a caller may be wrong in a minute.
const WRONG_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How long a token may take to be looked up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The one who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    pub name: String,
    pub role: Role,
    /// By what it was let in.
    pub key: Key,
    /// Whether its token is kept by a browser.
    pub has_cookie: bool,
}

/// Whether nobody needs a token, as it was when this request was looked at first.
#[derive(Debug, Clone, Copy)]
pub struct IsOpen(pub bool);

impl Caller {
    /// What it does now, and why, for the history.
    pub fn act<'a>(&'a self, why: &'a str) -> Act<'a> {
        Act {
            now: Timestamp::now(),
            who: &self.name,
            why,
        }
    }

    /// The name in the history. Whoever has a token may act for somebody, and is named all the
    /// same.
    pub fn named(&self, who: Option<&str>) -> String {
        match who.filter(|who| !who.is_empty()) {
            Some(who) => format!("{who} ({})", self.name),
            None => self.name.clone(),
        }
    }
}

/// The tokens of the queue's database.
pub struct Access {
    keys: Owner<Keys>,
    /// Whether there was a token: then there was one for ever.
    had_tokens: AtomicBool,
    wrong: DefaultKeyedRateLimiter<IpAddr>,
    /// Who is believed about the addresses of its clients.
    proxies: Vec<IpAddr>,
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
    pub fn new(keys: Owner<Keys>, proxies: Vec<IpAddr>) -> Access {
        Access {
            keys,
            had_tokens: AtomicBool::new(false),
            wrong: RateLimiter::keyed(Quota::per_minute(WRONG_PER_MINUTE)),
            proxies,
        }
    }

    /// Asks the thread that reads tokens.
    async fn ask<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Keys) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(PATIENCE, self.keys.run(step)).await {
            Ok(answer) => Ok(answer??),
            Err(_) => Err(Problem::later(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "the queue's database did not answer within {} s: another program may hold it locked, try again",
                    PATIENCE.as_secs()
                ),
                1,
            )),
        }
    }

    /// Whether nobody needs a token, because there never was one.
    pub async fn is_open(&self) -> Result<IsOpen, Problem> {
        if self.had_tokens.load(Ordering::Relaxed) {
            return Ok(IsOpen(false));
        }
        let had_tokens = self.ask(Keys::had_tokens).await?;
        self.had_tokens.store(had_tokens, Ordering::Relaxed);
        Ok(IsOpen(!had_tokens))
    }

    /// Looks whether the database's files are in place.
    pub async fn check_files(&self) -> Result<(), Problem> {
        self.ask(Keys::check_files).await
    }

    /// Waits until a caller is no longer let in: its token was revoked, or the first token was made
    /// and it has none.
    pub async fn revoked(&self, key: Key) {
        let mut told = loop {
            let key = key.clone();
            match self.keys.run(move |keys| keys.watch(key)).await {
                Ok(told) => break told,
                Err(Refused::Busy) => tokio::time::sleep(PATIENCE).await,
                Err(_) => return pending().await,
            }
        };
        if told.wait_for(|is_revoked| *is_revoked).await.is_err() {
            // The service stops, which is told in other ways.
            pending().await
        }
    }

    /// Whose token this is.
    pub async fn check(
        &self,
        token: &str,
        headers: &HeaderMap,
        from: SocketAddr,
    ) -> Result<Caller, Problem> {
        let found = match read_token(token) {
            Some((id, hash)) => self.ask(move |keys| known(keys, id, &hash)).await?,
            None => None,
        };
        found.ok_or_else(|| self.wrong_token(asker(from, headers, &self.proxies)))
    }

    /// Who asks. Without any token in the database, everybody on this machine may do everything.
    async fn caller(
        &self,
        headers: &HeaderMap,
        from: SocketAddr,
        open: Option<IsOpen>,
    ) -> Result<Caller, Problem> {
        let bearer = bearer(headers);
        // A browser may keep the cookie of another service on this machine.
        if bearer.is_none() && from.ip().is_loopback() {
            let IsOpen(is_open) = match open {
                Some(open) => open,
                None => self.is_open().await?,
            };
            if is_open {
                return Ok(Caller {
                    name: "somebody".into(),
                    role: Role::Operator,
                    key: None,
                    has_cookie: false,
                });
            }
        }
        if let Some(token) = bearer {
            return self.check(token, headers, from).await;
        }
        let Some(token) = cookies::kept(headers) else {
            return Err(Problem::unauthorized(
                "no token: send one as `Authorization: Bearer TOKEN`, `serial-gate token add` makes it",
            ));
        };
        let caller = self.check(token, headers, from).await?;
        Ok(Caller {
            has_cookie: true,
            ..caller
        })
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

fn known(keys: &mut Keys, id: i64, hash: &[u8]) -> Result<Option<Caller>, store::Error> {
    let kept = keys.token(id)?;
    Ok(kept
        .filter(|kept| bool::from(kept.hash.ct_eq(hash)))
        .map(|kept| Caller {
            name: kept.name,
            role: kept.role,
            key: Some(Token {
                id,
                hash: Arc::from(kept.hash),
            }),
            has_cookie: false,
        }))
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

    /// The role that an operation asks for: none if there is no such operation, or if it asks for
    /// nothing.
    pub fn role(&self, method: &Method, path: &str) -> Option<Option<Role>> {
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
    Extension(peer): Extension<Arc<Peer>>,
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
        let open = request.extensions().get::<IsOpen>().copied();
        let caller = app.access.caller(request.headers(), from, open).await;
        peer.set_known(caller.is_ok());
        let caller = match caller {
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
