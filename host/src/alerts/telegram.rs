//! Telegram's Bot API: one `sendMessage` per alert.
//!
//! Owns the request, the reading of the answer, and the following of a chat that has moved. The
//! token is a part of the address, so the whole address is a secret. The API has no idempotency
//! key: an alert that is sent twice is shown twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::channel::Sent;
use super::http::{Answer, Request};
use super::{Failure, Secret, text};
use crate::store::Alert;

/// The longest text for a message, in UTF-16 units. Telegram accepts 4,096.
const LONGEST: usize = 4_000;

/// The most moves that one try follows. A group moves once, when it becomes a supergroup.
const MOST_MOVES: usize = 3;

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

/// The body of Telegram's answer. Each field is read on its own, so that an odd one does not hide
/// the others.
struct Said(Value);

impl Said {
    fn of(answer: &Answer) -> Said {
        Said(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Whether the message was accepted. For a body that breaks off, the status counts.
    fn is_ok(&self, answer: &Answer) -> bool {
        match (&self.0, self.0.get("ok")) {
            (_, Some(ok)) => *ok == Value::Bool(true),
            (Value::Object(_), None) => true,
            _ => {
                let text = answer.body.trim_ascii_start();
                text.is_empty() || text.starts_with(b"{\"ok\":true")
            }
        }
    }

    fn parameter(&self, name: &str) -> Option<&Value> {
        self.0.get("parameters")?.get(name)
    }

    /// The error code in the body, if the HTTP status is a success; otherwise the HTTP status.
    fn status(&self, answer: &Answer) -> u16 {
        let code = self.0.get("error_code").and_then(Value::as_u64);
        let code = code.and_then(|code| u16::try_from(code).ok());
        code.filter(|_| answer.is_success())
            .unwrap_or(answer.status)
    }
}

impl Telegram {
    /// The most requests of one try: to the chat, and after each move.
    pub(super) const REQUESTS: u32 = MOST_MOVES as u32 + 1;

    pub(super) fn address(&self) -> Secret {
        let base = self.url.trim_end_matches('/');
        Secret::new(format!("{base}/bot{}/sendMessage", self.token.reveal()))
    }

    /// Sends an alert to a chat, and follows the chat if it has moved.
    pub(super) fn send(
        &self,
        alert: &Alert,
        chat: &str,
        post: &dyn Fn(Request) -> Result<Answer, Failure>,
    ) -> Sent {
        let mut moves: Vec<String> = Vec::new();
        let result = loop {
            let at = moves.last().map_or(chat, String::as_str);
            let answer = match post(self.request(alert, at)) {
                Ok(answer) if answer.is_success() && Said::of(&answer).is_ok(&answer) => {
                    break Ok(());
                }
                Ok(answer) => answer,
                Err(failure) => break Err(failure),
            };
            match moved(&answer) {
                None => break Err(self.failure(answer)),
                Some(next)
                    if moves.len() < MOST_MOVES && next != chat && !moves.contains(&next) =>
                {
                    moves.push(next);
                }
                // A circle, or too many: none of these moves is stored.
                Some(_) => {
                    moves.clear();
                    break Err(self.failure(answer));
                }
            }
        };
        Sent {
            result,
            moved_to: moves.pop(),
        }
    }

    fn request(&self, alert: &Alert, chat: &str) -> Request {
        Request {
            url: self.address(),
            headers: Vec::new(),
            // Without `parse_mode`, nothing in a repo's name is read as markup.
            body: json!({ "chat_id": chat, "text": shortened(text(alert)) }).to_string(),
        }
    }

    fn failure(&self, answer: Answer) -> Failure {
        let said = Said::of(&answer);
        if answer.is_success() && said.0.get("ok").is_none() {
            return Failure::NotTelegram(answer.status);
        }
        let wish = said.parameter("retry_after").and_then(Value::as_u64);
        let holds_secret = |said: &&str| said.contains(self.token.reveal());
        let description = said.0.get("description").and_then(Value::as_str);
        Failure::Answered {
            status: said.status(&answer),
            retry_after: answer.retry_after.or(wish.map(Duration::from_secs)),
            said: description
                .filter(|said| !holds_secret(said))
                .map(|said| said.chars().take(200).collect()),
        }
    }
}

/// The chat's new id, if the answer names one. No chat has the id 0.
fn moved(answer: &Answer) -> Option<String> {
    let said = Said::of(answer);
    if !(400..500).contains(&said.status(answer)) {
        return None;
    }
    let number = match said.parameter("migrate_to_chat_id")? {
        Value::Number(number) => number.as_i64(),
        Value::String(number) => number.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number != 0)
        .map(|number| number.to_string())
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
