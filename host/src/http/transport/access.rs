//! Who asks, and whether they may.
//!
//! Owns the one place where a caller is let in or refused: a handler names the role that it needs
//! by taking a [`Viewer`], a [`Worker`] or an [`Operator`], and runs only for a caller that has it.
//! The same role is in the operation's `security`, which a test compares. Leaves the rows to
//! `keys`, and what a browser keeps to `cookies`. Callers rely on this: nothing here waits for the
//! database on a thread that serves connections.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serial_gate::store::{self, Actor, Role};
use subtle::ConstantTimeEq;

use super::actor::{Handle, Refused};
use super::client::asker;
use super::cookies;
use super::keys::{Key, Keys, Token};
use super::peer::Peer;
use super::problem::Problem;
use super::secret;

/// How often a caller may be wrong in a minute.
const WRONG_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How long a token may take to be looked up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A caller with the role `reader` or a greater one.
pub struct Viewer(pub Caller);
/// A caller with the role `worker` or a greater one.
pub struct Worker(pub Caller);
/// A caller with the role `operator`.
pub struct Operator(pub Caller);

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
    pub fn actor<'a>(&'a self, why: &'a str) -> Actor<'a> {
        Actor {
            now: Timestamp::now(),
            who: &self.name,
            why,
        }
    }

    /// The name in the history. A caller with a token may act for another person, and is named all
    /// the same.
    pub fn named(&self, who: Option<&str>) -> String {
        match who.filter(|who| !who.is_empty()) {
            Some(who) => format!("{who} ({})", self.name),
            None => self.name.clone(),
        }
    }
}

/// The tokens of the queue's database.
pub struct Access {
    keys: Handle<Keys>,
    /// Whether there was a token: then there was one for ever.
    had_tokens: AtomicBool,
    wrong: DefaultKeyedRateLimiter<IpAddr>,
    /// The proxies that are believed about the addresses of their clients.
    proxies: Vec<IpAddr>,
}

impl Access {
    pub fn new(keys: Handle<Keys>, proxies: Vec<IpAddr>) -> Access {
        Access {
            keys,
            had_tokens: AtomicBool::new(false),
            wrong: RateLimiter::keyed(Quota::per_minute(WRONG_PER_MINUTE)),
            proxies,
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Keys) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(PATIENCE, self.keys.run(step)).await {
            Ok(answer) => Ok(answer??),
            Err(_) => Err(Problem::later(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "the queue's database did not answer within {} s: another program may hold it \
                     locked, try again",
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
            // The service stops, which is noticed in other ways.
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
        let found = match secret::read(token) {
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

    /// The caller of a request, if it has the role.
    async fn admit(&self, needed: Role, parts: &Parts) -> Result<Caller, Problem> {
        let open = parts.extensions.get::<IsOpen>().copied();
        let Some(peer) = parts.extensions.get::<Arc<Peer>>() else {
            return Err(Problem::bug("a request has no connection"));
        };
        let caller = self.caller(&parts.headers, peer.address, open).await;
        peer.set_known(caller.is_ok());
        let caller = caller?;
        if caller.role < needed {
            return Err(Problem::forbidden(format!(
                "this asks for the role `{}`, and the token `{}` has `{}`",
                needed.name(),
                caller.name,
                caller.role.name()
            )));
        }
        Ok(caller)
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

impl<S: Send + Sync> FromRequestParts<S> for Viewer
where
    Arc<Access>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Viewer, Problem> {
        let access = Arc::from_ref(state);
        access.admit(Role::Reader, parts).await.map(Viewer)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Worker
where
    Arc<Access>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Worker, Problem> {
        let access = Arc::from_ref(state);
        access.admit(Role::Worker, parts).await.map(Worker)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator
where
    Arc<Access>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operator, Problem> {
        let access = Arc::from_ref(state);
        access.admit(Role::Operator, parts).await.map(Operator)
    }
}
