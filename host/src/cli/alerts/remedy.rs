//! What to do about a channel that did not accept an alert.
//!
//! Owns the texts. They name keys and variables, and never their values.

use serial_gate::alerts::{Channel, Failure};

pub fn of(channel: &Channel, failure: &Failure) -> &'static str {
    match failure {
        Failure::Answered { status, .. } => of_status(channel, *status),
        Failure::Timeout(_) => {
            "check whether this machine reaches it, or give it more time: `timeout` in `[alerts]`"
        }
        Failure::UnknownHost => "correct the name in its address, or this machine's name servers",
        Failure::Connection(_) => {
            "check whether something listens at its address, and whether a firewall is in between"
        }
        Failure::Tls => "check its certificate, and `https` in its address",
        Failure::Answer => "check whether an HTTP server is at its address",
        Failure::NotTelegram(_) => {
            "check whether `url` in `[alerts.telegram]` is the address of Telegram's API, and \
             whether something else answers in its place"
        }
        Failure::Abandoned | Failure::Before(_) => "send it again: `serial-gate alerts retry`",
    }
}

fn of_status(channel: &Channel, status: u16) -> &'static str {
    match (channel, status) {
        (_, 300..=399) => {
            "give the address that it redirects to: redirects are not followed, because a request \
             carries a secret"
        }
        (_, 429) => "it had too many messages: test again later",
        (_, 500..) => "the receiver itself failed: look into its log, and test again",
        (Channel::Telegram(_), 401 | 404) => {
            "correct the bot's token, which @BotFather shows: `SERIAL_GATE_TELEGRAM_TOKEN`, or \
             `token_file` in `[alerts.telegram]`"
        }
        (Channel::Telegram(_), 403) => "add the bot to the chat, and allow it to write there",
        (Channel::Telegram(_), _) => {
            "correct `chat` in `[alerts.telegram]`: the number of a chat that the bot is in, or \
             `@name` of a channel"
        }
        (Channel::Webhook(_), 401 | 403) => {
            "give both ends the same secret: `SERIAL_GATE_WEBHOOK_SECRET`, or `secret_file` in \
             `[alerts.webhook]`"
        }
        (Channel::Webhook(_), 404 | 405 | 410) => {
            "correct the address: `SERIAL_GATE_WEBHOOK_URL`, or `url` in `[alerts.webhook]`"
        }
        (Channel::Webhook(_), _) => "the receiver refused the document: look into its log",
    }
}
