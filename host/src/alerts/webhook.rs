//! A webhook: one JSON document an alert, signed.
//!
//! Owns the document, its headers and the signature. A receiver checks that
//! `X-Serial-Gate-Signature` is `v1=` and the HMAC-SHA256, in lower-case hex, under the shared
//! secret, of `X-Serial-Gate-Timestamp`, a dot, and the body byte by byte; and that the timestamp,
//! in Unix seconds, is of the last minutes. `Idempotency-Key` is the alert's key: each try has the
//! same one.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde_json::json;
use sha2::Sha256;

use super::http::{Answer, Request};
use super::{Failure, Secret, text};
use crate::printable::hex;
use crate::store::{Alert, from_sql_time};

/// An address that takes alerts.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The address, which often has a token in it.
    pub url: Secret,
    /// What the receiver checks signatures with.
    pub secret: Secret,
}

impl Webhook {
    pub(super) fn request(&self, alert: &Alert, now: Timestamp) -> Request {
        let mut document = json!(alert);
        if let Some(fields) = document.as_object_mut() {
            // With its time zone, unlike the database's.
            let at = from_sql_time(&alert.at).map(|at| at.to_string());
            fields.insert("at".into(), json!(at));
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

    pub(super) fn failure(answer: &Answer) -> Failure {
        Failure::Answered {
            status: answer.status,
            retry_after: answer.retry_after,
            // It may repeat what it was sent.
            said: None,
        }
    }
}

/// The signature of a body that is sent at a time, in Unix seconds.
pub fn signature(secret: &Secret, seconds: i64, body: &str) -> String {
    // A key of any length is one, so there is no error to tell of.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `printf '1700000000.{"id":1}' | openssl dgst -sha256 -hmac 'a shared secret'`.
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
