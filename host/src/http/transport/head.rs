//! The head of a request: refused if it is ambiguous.
//!
//! Owns the refusal of heads that a proxy and the service, or two parts of the service, could read
//! as different requests. Leaves `Content-Length` to hyper, which refuses two different lengths,
//! and closes the connection after a request that also has a `Transfer-Encoding`. Callers rely on
//! this: each header of [`SINGLE`] is there at most once.

use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderName, ORIGIN, TRANSFER_ENCODING,
};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Headers that decide something, and are ambiguous with two values.
const SINGLE: [HeaderName; 7] = [
    HOST,
    AUTHORIZATION,
    ORIGIN,
    CONTENT_TYPE,
    EXPECT,
    TRANSFER_ENCODING,
    HeaderName::from_static("sec-fetch-site"),
];

/// Why a head is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unclear {
    #[error("there are {count} `{name}` lines: send one")]
    Repeated { name: HeaderName, count: usize },
    #[error("there is no `Host` line: HTTP/1.1 asks for one")]
    NoHost,
    #[error("the `Host` is not a name or an address: send `NAME` or `NAME:PORT`")]
    Host,
    #[error("the request's address names another host than the `Host` line: send the same in both")]
    OtherHost,
    #[error("only `Expect: 100-continue` is supported: leave the line out")]
    Expect,
    #[error("only `Transfer-Encoding: chunked` is supported: use it, or send a `Content-Length`")]
    Encoding,
}

impl Unclear {
    fn status(&self) -> StatusCode {
        match self {
            Unclear::Expect => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Refuses an ambiguous request, and ends its connection.
pub async fn check(request: Request, next: Next) -> Response {
    match look(&request) {
        Ok(()) => next.run(request).await,
        Err(unclear) => {
            let close = [(CONNECTION, HeaderValue::from_static("close"))];
            (close, Problem::new(unclear.status(), unclear)).into_response()
        }
    }
}

fn look(request: &Request) -> Result<(), Unclear> {
    let headers = request.headers();
    for name in SINGLE {
        let count = headers.get_all(&name).into_iter().count();
        if count > 1 {
            return Err(Unclear::Repeated { name, count });
        }
    }
    let expected = headers.get(EXPECT);
    if expected.is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Unclear::Expect);
    }
    let encoding = headers.get(TRANSFER_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Unclear::Encoding);
    }
    let Some(host) = headers.get(HOST) else {
        return match request.version() {
            Version::HTTP_10 => Ok(()),
            _ => Err(Unclear::NoHost),
        };
    };
    let host = host.to_str().map_err(|_| Unclear::Host)?;
    if !is_host(host) {
        return Err(Unclear::Host);
    }
    let named = request.uri().authority().map(Authority::as_str);
    match named.is_none_or(|named| named.eq_ignore_ascii_case(host)) {
        true => Ok(()),
        false => Err(Unclear::OtherHost),
    }
}

/// A name or an address, with a port or without.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The last colon of an IPv6 address belongs to it.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_name = match name.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !name.is_empty() && name.bytes().all(is_part)
        }
    };
    is_name && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for host in [
            "localhost",
            "127.0.0.1:7070",
            "[::1]",
            "[::1]:7070",
            "gate.example.com",
            "my_host:1",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "",
            ":7070",
            "a b",
            "a,b",
            "user@localhost",
            "localhost:",
            "localhost:x",
            "localhost:70700",
            "localhost:+1",
            "localhost/",
            "[::1",
            "::1",
            "[localhost]",
            "a\\b",
            "localhost#",
            "a:1:2",
            "%31",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}
