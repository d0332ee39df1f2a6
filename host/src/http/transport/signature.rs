//! The signatures of the forges' webhooks.
//!
//! Owns how each forge signs. Leaves the secrets to `hooks`. Callers rely on this: how long a check
//! takes does not depend on how much of a signature is right.

use axum::http::HeaderMap;
use ct_codecs::{Base64, Decoder, Hex};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serial_gate::worker::branch::Forge;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The beginning of a secret with which GitLab signs, instead of sending it.
const SIGNING: &str = "whsec_";

/// How far the time in a signature may be from now, in seconds.
const RECENT: u64 = 300;

/// A header that must be there once.
pub fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether a body was signed with a secret.
pub fn is_right(
    forge: Forge,
    headers: &HeaderMap,
    body: &[u8],
    secret: &str,
    now: Timestamp,
) -> bool {
    match forge {
        Forge::GitHub => {
            let sent = only(headers, "x-hub-signature-256");
            let sent = sent.and_then(|sent| sent.strip_prefix("sha256="));
            is_of(secret.as_bytes(), &[body], hex(sent).as_deref())
        }
        Forge::Gitea => {
            // Forgejo sends both names, with one signature.
            let sent = only(headers, "x-forgejo-signature").or(only(headers, "x-gitea-signature"));
            is_of(secret.as_bytes(), &[body], hex(sent).as_deref())
        }
        Forge::GitLab => match secret.strip_prefix(SIGNING) {
            Some(key) => is_of_gitlab(headers, body, key, now),
            None => {
                let sent = only(headers, "x-gitlab-token").unwrap_or_default();
                Sha256::digest(sent).ct_eq(&Sha256::digest(secret)).into()
            }
        },
    }
}

/// The scheme of <https://www.standardwebhooks.com>: the id, the time and the body are signed.
fn is_of_gitlab(headers: &HeaderMap, body: &[u8], key: &str, now: Timestamp) -> bool {
    let Ok(key) = Base64::decode_to_vec(key, None) else {
        return false;
    };
    let text = |name| only(headers, name).unwrap_or_default();
    let (id, time) = (text("webhook-id"), text("webhook-timestamp"));
    let seconds = time.parse::<i64>().unwrap_or_default();
    let is_recent = seconds.abs_diff(now.as_second()) <= RECENT;
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body];
    let mut is_right = false;
    for sent in text("webhook-signature").split(' ').take(4) {
        let sent = sent.strip_prefix("v1,").unwrap_or_default();
        let sent = Base64::decode_to_vec(sent, None).ok();
        is_right |= is_of(&key, &signed, sent.as_deref());
    }
    is_right && is_recent
}

fn hex(sent: Option<&str>) -> Option<Vec<u8>> {
    Hex::decode_to_vec(sent?, None).ok()
}

/// Whether a signature is the HMAC of these parts. It is computed even if none was sent.
fn is_of(key: &[u8], parts: &[&[u8]], sent: Option<&[u8]>) -> bool {
    // HMAC takes a key of any length, so this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return false;
    };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(sent.unwrap_or_default()).is_ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let all = all.iter();
        all.map(|(name, value)| ((*name).try_into().unwrap(), value.parse().unwrap()))
            .collect()
    }

    /// The example of GitHub's documentation.
    #[test]
    fn github_s_own_example_is_right() {
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let headers = headers(&[("x-hub-signature-256", signature)]);
        let is_right = |secret, body: &[u8]| {
            is_right(Forge::GitHub, &headers, body, secret, Timestamp::UNIX_EPOCH)
        };
        assert!(is_right("It's a Secret to Everybody", b"Hello, World!"));
        assert!(!is_right("It's a Secret to Everybody", b"Hello, World?"));
        assert!(!is_right("another", b"Hello, World!"));
    }

    /// The example of the specification of standard webhooks.
    #[test]
    fn the_example_of_standard_webhooks_is_right_while_it_is_recent() {
        let headers = headers(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ]);
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let is_right = |seconds| {
            let now = Timestamp::from_second(seconds).unwrap();
            is_right(Forge::GitLab, &headers, body, secret, now)
        };
        assert!(is_right(1_614_265_330) && is_right(1_614_265_030));
        assert!(!is_right(1_614_265_631));
    }

    #[test]
    fn a_header_that_is_there_twice_does_not_count() {
        let mut both = headers(&[("x-gitlab-token", "s")]);
        let is_right =
            |headers: &HeaderMap| is_right(Forge::GitLab, headers, b"", "s", Timestamp::UNIX_EPOCH);
        assert!(is_right(&both));
        both.append("x-gitlab-token", "s".parse().unwrap());
        assert!(!is_right(&both));
    }
}
