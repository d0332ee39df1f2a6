//! Requests that a web page sends in somebody's name, and what an answer tells a browser.
//!
//! Owns the defence of a service that asks nobody for a token: a page of another origin can make a
//! browser on this machine send requests to it. Callers rely on this: such a request is refused
//! before anything else looks at it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Version};
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use super::access::IsOpen;
use super::problem::Problem;

/// Nothing is loaded from elsewhere, nothing runs that is not ours, nobody puts a frame around it.
const CONTENT: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; worker-src 'self'; img-src data:; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// What many proxies add: whoever asks it may be on any machine.
const FORWARDED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Refuses what another origin's page sends, and, from whoever needs no token, names that are not
/// this machine's.
pub async fn check(
    State(app): State<App>,
    path: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let is_safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    // What everybody may see tells nothing of the queue, and does not wait for its database.
    let is_public = is_safe
        && path.is_some_and(|path| {
            app.rules
                .role(request.method(), path.as_str())
                .is_some_and(|role| role.is_none())
        });
    let open = match is_public {
        true => None,
        false => Some(app.access.is_open().await?),
    };
    let headers = request.headers();
    // With tokens, a name that leads here is of no use to who has none; and a proxy asks by its
    // own.
    if let Some(IsOpen(true)) = open {
        if !host(headers).is_some_and(is_loopback) {
            return Err(Problem::forbidden(
                "the `Host` is not this machine: ask for `127.0.0.1` or `localhost`",
            ));
        }
        // A proxy need not add anything; many ask by the old version.
        let is_old = request.version() < Version::HTTP_11;
        if is_old || FORWARDED.iter().any(|name| headers.contains_key(*name)) {
            return Err(Problem::forbidden(
                "this came through a proxy, and nobody has a token: make one with `serial-gate token add NAME --role operator`",
            ));
        }
    }
    if !is_safe && comes_from_elsewhere(headers) {
        return Err(Problem::forbidden(
            "another site's page sent this: use the service's own",
        ));
    }
    if let Some(open) = open {
        request.extensions_mut().insert(open);
    }
    Ok(next.run(request).await)
}

/// What every answer tells a browser.
pub async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, CONTENT),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With none at all, some browsers do not say either where a form was sent from.
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

/// Whether a `Host` names this machine, in whatever spelling, with or without a port.
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

/// A browser says so with each request that changes something; a program says nothing.
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
