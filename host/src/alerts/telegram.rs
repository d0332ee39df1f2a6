//! Telegram's Bot API: one `sendMessage` an alert.
//!
//! Owns the request, what is read of the answer, and that a chat is followed to where it has moved.
//! The token is a part of the address, so the address is a secret as a whole. Telegram knows no key
//! of a message: a message that is sent twice is seen twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::channel::Sent;
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

/// What Telegram says beside the status. Each part is read separately, so that an odd one spoils no
/// other.
struct Said(Value);

impl Said {
    fn of(answer: &Answer) -> Said {
        Said(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// Whether it says that it took the message. What breaks off has said so by its status.
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

    /// The status, or what the body says where the status is one of success.
    fn status(&self, answer: &Answer) -> u16 {
        let code = self.0.get("error_code").and_then(Value::as_u64);
        let code = code.and_then(|code| u16::try_from(code).ok());
        code.filter(|_| answer.is_success())
            .unwrap_or(answer.status)
    }
}

impl Telegram {
    /// How many chats one try goes to at most. A group moves once, when it becomes a supergroup.
    pub(super) const REQUESTS: u32 = 4;

    pub(super) fn address(&self) -> Secret {
        let base = self.url.trim_end_matches('/');
        Secret::new(format!("{base}/bot{}/sendMessage", self.token.reveal()))
    }

    /// Sends an alert to a chat, or to where it has moved.
    pub(super) fn send(
        &self,
        alert: &Alert,
        chat: &str,
        post: &dyn Fn(Request) -> Result<Answer, Failure>,
    ) -> Sent {
        let mut chats = vec![chat.to_owned()];
        let most = usize::try_from(Telegram::REQUESTS).unwrap_or(usize::MAX);
        loop {
            let chat = chats.last().cloned().unwrap_or_default();
            let moved_to = Some(chat.clone()).filter(|_| chats.len() > 1);
            let answer = match post(self.request(alert, &chat)) {
                Ok(answer) if answer.is_success() && Said::of(&answer).is_ok(&answer) => {
                    let result = Ok(());
                    return Sent { result, moved_to };
                }
                Ok(answer) => answer,
                Err(failure) => {
                    let result = Err(failure);
                    return Sent { result, moved_to };
                }
            };
            match moved(&answer) {
                // Chats that send one another round have not moved.
                Some(next) if chats.len() >= most || chats.contains(&next) => {
                    let result = Err(self.failure(answer));
                    return Sent {
                        result,
                        moved_to: None,
                    };
                }
                Some(next) => chats.push(next),
                None => {
                    let result = Err(self.failure(answer));
                    return Sent { result, moved_to };
                }
            }
        }
    }

    fn request(&self, alert: &Alert, chat: &str) -> Request {
        Request {
            url: self.address(),
            headers: Vec::new(),
            // Without a mode of parsing, nothing in a repo's name can be taken for markup.
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

/// Where a chat has moved to, if the answer is about that. No chat has the number 0.
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
