//! The defence against other sites' pages, and the security headers.
//!
//! A page of another origin can make a browser on this machine send requests to the service, which
//! may need no token. Owns the refusal of such requests, before a handler sees them, and the
//! headers that every answer has.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Version};
use axum::middleware::Next;
use axum::response::Response;

use super::access::{Access, IsOpen};
use super::problem::Problem;

/// Nothing is loaded from another origin, no foreign script runs, and no page can frame ours.
const CONTENT: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; worker-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Headers that many proxies add: such a request may come from any machine.
const FORWARDED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// As [`check`], for routes that need no token. Safe methods pass without the database: these
/// routes show nothing of the queue.
pub async fn check_public(
    access: State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match is_safe(&request) {
        true => Ok(next.run(request).await),
        false => check(access, request, next).await,
    }
}

/// Refuses changes that another origin's page sends. While callers need no token, also refuses
/// requests through a proxy, and hosts other than this machine.
pub async fn check(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let open = access.is_open().await?;
    let headers = request.headers();
    // With tokens, any `Host` is fine: a proxy asks by its own name, and a page that rebinds a name
    // to this machine has no token.
    if let IsOpen(true) = open {
        if !host(headers).is_some_and(is_loopback) {
            return Err(Problem::forbidden(
                "the `Host` is not this machine: ask for `127.0.0.1` or `localhost`",
            ));
        }
        // A proxy need not add a header; many use the old version.
        let is_old = request.version() < Version::HTTP_11;
        if is_old || FORWARDED.iter().any(|name| headers.contains_key(*name)) {
            return Err(Problem::forbidden(
                "this came through a proxy, and nobody has a token: make one with `serial-gate \
                 token add NAME --role operator`",
            ));
        }
    }
    if !is_safe(&request) && comes_from_elsewhere(headers) {
        return Err(Problem::forbidden(
            "another site's page sent this: use the service's own page",
        ));
    }
    request.extensions_mut().insert(open);
    Ok(next.run(request).await)
}

fn is_safe(request: &Request) -> bool {
    matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    )
}

/// Adds the security headers to every answer.
pub async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, CONTENT),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer`, some browsers send no origin with a form either.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

/// Whether a `Host` names this machine, in any spelling, with or without a port.
fn is_loopback(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = without_port.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || host
            .parse::<SocketAddr>()
            .is_ok_and(|ip| ip.ip().is_loopback())
}

/// Browsers send these headers with each request that changes something; programs do not.
fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_none() || authority != host(headers)
}
