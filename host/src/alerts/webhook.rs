//! A webhook: each alert is one signed JSON document.
//!
//! Owns the document, its headers and the signature. `X-Serial-Gate-Signature` is `v1=` and an
//! HMAC-SHA256 in lower-case hex. It signs `X-Serial-Gate-Timestamp`, a dot, and the exact bytes of
//! the body, with the shared secret. A receiver checks it, and that the timestamp, in Unix seconds,
//! is recent. `Idempotency-Key` is the alert's key, the same for each try.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde_json::json;
use sha2::Sha256;

use super::http::{Answer, Request};
use super::{Failure, Secret, text};
use crate::printable::hex;
use crate::store::Alert;

/// An address that accepts alerts.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The address, which often holds a token.
    pub url: Secret,
    /// The key that signs, shared with the receiver.
    pub secret: Secret,
}

impl Webhook {
    pub(super) fn request(&self, alert: &Alert, now: Timestamp) -> Request {
        let mut document = json!(alert);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("text".into(), text(alert).into());
        }
        let body = document.to_string();
        let seconds = now.as_second();
        Request {
            url: self.url.clone(),
            headers: vec![
                ("Idempotency-Key", alert.key.clone()),
                ("X-Serial-Gate-Timestamp", seconds.to_string()),
                (
                    "X-Serial-Gate-Signature",
                    signature(&self.secret, seconds, &body),
                ),
            ],
            body,
        }
    }

    pub(super) fn taken(answer: Answer) -> Result<(), Failure> {
        if answer.is_success() {
            return Ok(());
        }
        Err(Failure::Answered {
            status: answer.status,
            retry_after: answer.retry_after,
            // The body may repeat what the request sent.
            said: None,
        })
    }
}

/// The signature of a body that is sent at a time, in Unix seconds.
pub fn signature(secret: &Secret, seconds: i64, body: &str) -> String {
    // HMAC takes a key of any length, so this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `printf '1700000000.{"id":1}' | openssl dgst -sha256 -hmac 'a shared secret'`.
    #[test]
    fn another_program_finds_the_same_signature() {
        assert_eq!(
            signature(
                &Secret::new("a shared secret"),
                1_700_000_000,
                r#"{"id":1}"#
            ),
            "v1=b061eae8e3c25e91efadc44638d745d82ce29e700121fbb6389184ea70956ecb"
        );
    }
}
