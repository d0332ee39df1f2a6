//! Telegram's Bot API: one `sendMessage` an alert.
//!
//! Owns the request and what is read of the answer. The token is a part of the address, so the address
//! is a secret as a whole. Telegram knows no key of a message: one that is sent twice is seen twice.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::http::{Answer, Request};
use super::{Failure, Secret, text};
use crate::store::Alert;

/// What Telegram takes, in UTF-16 units, with room for what says that there was more.
const LONGEST: usize = 4_000;

/// A chat that a bot writes to.
#[derive(Debug, Clone)]
pub struct Telegram {
    /// The API's address; `https://api.telegram.org`.
    pub url: String,
    /// The bot's token.
    pub token: Secret,
    /// The chat: its number, or `@name` of a channel.
    pub chat: String,
}

/// What Telegram says beside the status.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    description: Option<String>,
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u64>,
}

impl Telegram {
    pub(super) fn address(&self) -> Secret {
        let base = self.url.trim_end_matches('/');
        Secret::new(format!("{base}/bot{}/sendMessage", self.token.reveal()))
    }

    pub(super) fn request(&self, alert: &Alert) -> Request {
        Request {
            url: self.address(),
            headers: Vec::new(),
            // Without a mode of parsing, nothing in a repo's name can be taken for markup.
            body: json!({ "chat_id": self.chat, "text": shortened(text(alert)) }).to_string(),
        }
    }

    pub(super) fn failure(&self, answer: Answer) -> Failure {
        let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
        let wish = said.parameters.retry_after.map(Duration::from_secs);
        let holds_secret = |said: &String| said.contains(self.token.reveal());
        Failure::Answered {
            status: answer.status,
            retry_after: answer.retry_after.or(wish),
            said: said
                .description
                .filter(|said| !holds_secret(said))
                .map(|said| said.chars().take(200).collect()),
        }
    }
}

fn shortened(text: String) -> String {
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units <= LONGEST
    };
    let short: String = text.chars().take_while(fits).collect();
    if short.len() < text.len() {
        format!("{short} …")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shortened_by_what_telegram_counts() {
        let short = shortened("🧊".repeat(3_000));
        assert_eq!(short.encode_utf16().count(), LONGEST + 2);
        assert_eq!(shortened("short".into()), "short");
    }
}
