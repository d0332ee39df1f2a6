//! Access: who the caller is, and whether it has the role.
//!
//! Owns the one place where a caller is admitted or refused. A handler names the role that it needs
//! by taking a [`Viewer`], a [`Worker`] or an [`Operator`], and runs only for a caller that has it.
//! A test compares the role with the operation's `security`. Leaves the rows to `keys`, and a
//! browser's cookie to `cookies`. Callers rely on this: nothing here waits for the database on a
//! thread that serves connections.

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

/// Wrong tokens per minute and address.
const WRONG_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How long the look-up of a token may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes extractors, each of which admits only callers with a role or a greater one.
macro_rules! admitted {
    ($($name:ident: $role:ident),*) => {
        $(
            #[doc = concat!("A caller that has at least [`Role::", stringify!($role), "`].")]
            pub struct $name(pub Caller);

            impl<S: Send + Sync> FromRequestParts<S> for $name
            where
                Arc<Access>: FromRef<S>,
            {
                type Rejection = Problem;

                async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                    let access = Arc::from_ref(state);
                    access.admit(Role::$role, parts).await.map($name)
                }
            }
        )*
    };
}

admitted!(Viewer: Reader, Worker: Worker, Operator: Operator);

#[derive(Debug, Clone)]
pub struct Caller {
    pub name: String,
    pub role: Role,
    /// The token that admitted it.
    pub key: Key,
    /// Whether the token came from a browser's cookie.
    pub has_cookie: bool,
}

/// Whether callers need no token. Found once for each request.
#[derive(Debug, Clone, Copy)]
pub struct IsOpen(pub bool);

impl Caller {
    /// An action of this caller now, for the history.
    pub fn actor<'a>(&'a self, why: &'a str) -> Actor<'a> {
        Actor {
            now: Timestamp::now(),
            who: &self.name,
            why,
        }
    }

    /// The name in the history. A caller may act for another person, but is named as well.
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
    /// Whether there ever was a token. Once true, it stays true.
    had_tokens: AtomicBool,
    wrong: DefaultKeyedRateLimiter<IpAddr>,
    /// The proxies whose `X-Forwarded-For` is believed.
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

    /// Whether callers need no token, because there never was one.
    pub async fn is_open(&self) -> Result<IsOpen, Problem> {
        if self.had_tokens.load(Ordering::Relaxed) {
            return Ok(IsOpen(false));
        }
        let had_tokens = self.ask(Keys::had_tokens).await?;
        self.had_tokens.store(had_tokens, Ordering::Relaxed);
        Ok(IsOpen(!had_tokens))
    }

    /// Checks that the database's files are in place.
    pub async fn check_files(&self) -> Result<(), Problem> {
        self.ask(Keys::check_files).await
    }

    /// Waits until a caller is no longer admitted: its token was revoked, or the first token was
    /// made and it has none.
    pub async fn revoked(&self, key: Key) {
        let mut revoked = loop {
            let key = key.clone();
            match self.keys.run(move |keys| keys.watch(key)).await {
                Ok(revoked) => break revoked,
                Err(Refused::Busy) => tokio::time::sleep(PATIENCE).await,
                Err(_) => return pending().await,
            }
        };
        if revoked.wait_for(|is_revoked| *is_revoked).await.is_err() {
            // The service stops; its shutdown ends this wait.
            pending().await
        }
    }

    /// The owner of a token.
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

    /// The caller. While the database never had a token, every caller on this machine is an
    /// operator.
    async fn caller(
        &self,
        headers: &HeaderMap,
        from: SocketAddr,
        open: Option<IsOpen>,
    ) -> Result<Caller, Problem> {
        let bearer = bearer(headers);
        // A cookie is not read here: it may be of another service on this machine.
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
                "no token: send one as `Authorization: Bearer TOKEN`, `serial-gate token add` \
                 makes it",
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
                "this needs the role `{}`, and the token `{}` has `{}`",
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
        // The limiter keeps an entry for each address.
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
