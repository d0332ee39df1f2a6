//! The cookie that keeps a token in a browser: no script reads it, and no other site's page sends
//! it.
//!
//! Owns its names and what a browser may do with it. Leaves to `access` whether the token is good.
//! Callers rely on this: where the browser speaks TLS, the cookie is never sent without, and no
//! other host can put one of its name in place.

use axum::http::header::{COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderName};

/// Over TLS. Browsers keep a cookie of such a name only from the host itself, for all its paths.
const SECURE: &str = "__Host-serial_gate_token";
/// Without TLS, as on this machine.
const PLAIN: &str = "serial_gate_token";

const WEEK: u32 = 604_800;

/// Whether the browser speaks TLS, to a proxy then. Every client is believed: a false claim gets a
/// cookie that is not sent back.
pub fn is_over_tls(headers: &HeaderMap) -> bool {
    let value = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = value(HeaderName::from_static("x-forwarded-proto"));
    let standard = value(HeaderName::from_static("forwarded"));
    let is_https = |proto: &str| proto.trim().trim_matches('"').eq_ignore_ascii_case("https");
    let elements = |value: &str| {
        value
            .split([',', ';'])
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // The first proxy is the one that the browser speaks to.
    forwarded.is_some_and(|list| list.split(',').next().is_some_and(is_https))
        || standard.is_some_and(|list| {
            let mut parts = elements(list).into_iter();
            parts.any(|part| match part.split_once('=') {
                Some((name, value)) => name.trim().eq_ignore_ascii_case("proto") && is_https(value),
                None => false,
            })
        })
        || value(ORIGIN).is_some_and(|origin| origin.starts_with("https://"))
}

/// Keeps a token.
pub fn keep(token: &str, over_tls: bool) -> String {
    // Only what a token is made of: nothing can be added to the cookie.
    let token: String = token
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    match over_tls {
        true => cookie(SECURE, &token, WEEK, "; Secure"),
        false => cookie(PLAIN, &token, WEEK, ""),
    }
}

/// Forgets a token, whichever way it was kept.
pub fn forget() -> [String; 2] {
    [cookie(SECURE, "", 0, "; Secure"), cookie(PLAIN, "", 0, "")]
}

fn cookie(name: &str, token: &str, seconds: u32, secure: &str) -> String {
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// The token that a browser keeps.
pub fn kept(headers: &HeaderMap) -> Option<&str> {
    // A proxy may split them into several lines.
    let lines = headers.get_all(COOKIE).into_iter();
    let cookies: Vec<(&str, &str)> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .collect();
    let find = |wanted| {
        let found = cookies.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, token)| *token)
    };
    find(SECURE).or_else(|| find(PLAIN))
}
