//! The cookie that keeps a token in a browser: no script can read it, and no other site's page can
//! send it.
//!
//! Owns its names and attributes. Leaves to `access` whether the token is valid. Callers rely on
//! this: over TLS, the cookie is never sent in plain text, and no other host can set it.

use axum::http::header::{COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderName};

/// Over TLS. Browsers accept the prefix `__Host-` only from the host itself, for all its paths.
const SECURE: &str = "__Host-serial_gate_token";
/// Without TLS, as on this machine.
const PLAIN: &str = "serial_gate_token";

const WEEK: u32 = 604_800;

/// Whether the browser speaks TLS, to a proxy. Every client is believed: a false claim only gets it
/// a cookie that its browser does not send back.
pub fn is_over_tls(headers: &HeaderMap) -> bool {
    let value = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = value(HeaderName::from_static("x-forwarded-proto"));
    let standard = value(HeaderName::from_static("forwarded"));
    let is_https = |proto: &str| proto.trim().trim_matches('"').eq_ignore_ascii_case("https");
    // The first proxy is the one that the browser speaks to.
    forwarded.is_some_and(|list| list.split(',').next().is_some_and(is_https))
        || standard.is_some_and(|list| {
            let mut parts = list
                .split([',', ';'])
                .filter_map(|part| part.split_once('='));
            parts.any(|(name, value)| name.trim().eq_ignore_ascii_case("proto") && is_https(value))
        })
        || value(ORIGIN).is_some_and(|origin| origin.starts_with("https://"))
}

/// The header that keeps a token.
pub fn keep(token: &str, over_tls: bool) -> String {
    // Only a token's characters, so that nothing can be injected into the header.
    let token: String = token
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    match over_tls {
        true => cookie(SECURE, &token, WEEK, "; Secure"),
        false => cookie(PLAIN, &token, WEEK, ""),
    }
}

/// The headers that forget a token, over TLS and without.
pub fn forget() -> [String; 2] {
    [cookie(SECURE, "", 0, "; Secure"), cookie(PLAIN, "", 0, "")]
}

fn cookie(name: &str, token: &str, seconds: u32, secure: &str) -> String {
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// The token that a browser keeps.
pub fn kept(headers: &HeaderMap) -> Option<&str> {
    // A proxy may split cookies into several lines.
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
