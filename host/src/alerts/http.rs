//! One POST, with limits.
//!
//! Owns the HTTP client and its time limits. It follows no redirect, which would carry a token or a
//! signed body to another host. Callers rely on this: a failure holds no text of the client's
//! errors, because they may name the address.

use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ureq::Agent;

use super::{Failure, Secret};

/// How much of an answer is read.
const ANSWER: u64 = 64 * 1024;

pub(super) struct Request {
    pub url: Secret,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

pub(super) struct Answer {
    pub status: u16,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

pub(super) fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(timeout / 2))
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("serial-gate/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

pub(super) fn post(
    agent: &Agent,
    timeout: Duration,
    now: Timestamp,
    request: Request,
) -> Result<Answer, Failure> {
    let failure = |error| failure(error, timeout);
    let mut post = agent
        .post(request.url.reveal())
        .content_type("application/json");
    for (name, value) in request.headers {
        post = post.header(name, value);
    }
    let mut response = post.send(request.body).map_err(failure)?;
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| wait(value.to_str().ok()?, now));
    let mut body = Vec::new();
    // The status decides. It has arrived, even if the body breaks off.
    let _ = response
        .body_mut()
        .as_reader()
        .take(ANSWER)
        .read_to_end(&mut body);
    Ok(Answer {
        status: response.status().as_u16(),
        retry_after,
        body,
    })
}

/// `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3).
fn wait(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = rfc2822::parse(value.trim()).ok()?.timestamp();
    // A date in the past asks for no delay.
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

fn failure(error: ureq::Error, timeout: Duration) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::Timeout(timeout),
        ureq::Error::HostNotFound => Failure::UnknownHost,
        ureq::Error::Io(error) => Failure::Connection(error.kind()),
        ureq::Error::ConnectionFailed => Failure::Connection(std::io::ErrorKind::NotConnected),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Failure::Tls,
        _ => Failure::Answer,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        assert_eq!(wait("120", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(wait(date, now), Some(Duration::from_secs(30)));
        assert_eq!(wait(date, Timestamp::now()), Some(Duration::ZERO));
        assert_eq!(wait("soon", now), None);
    }
}
