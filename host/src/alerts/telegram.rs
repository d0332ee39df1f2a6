//! Telegram's Bot API: one `sendMessage` an alert.
//!
//! Owns the request, what is read of the answer, and that a chat is followed to where it has moved. The token is a part of the address, so the address
//! is a secret as a whole. Telegram knows no key of a message: one that is sent twice is seen twice.

use std::time::Duration;

use serde::Deserialize;
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
    /// A number that may need more than 32 bits.
    migrate_to_chat_id: Value,
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
                Ok(answer) if answer.is_success() => {
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

/// Where a chat has moved to, if the answer is about that.
fn moved(answer: &Answer) -> Option<String> {
    if !(400..500).contains(&answer.status) {
        return None;
    }
    let said: Said = serde_json::from_slice(&answer.body).ok()?;
    match said.parameters.migrate_to_chat_id {
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        Value::String(number) => number.parse().ok().map(|number: i64| number.to_string()),
        _ => None,
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
