//! What can go wrong with an alert, in words without an address.

use std::time::Duration;

use crate::store;

/// Alerts that cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The outbox cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Nobody is to be told.
    #[error(
        "no channel is configured: add `[alerts.telegram]` or `[alerts.webhook]` to `serial-gate.toml`"
    )]
    NoChannel,
    /// This channel is not one of them.
    #[error("`{channel}` is not configured: add `[alerts.{channel}]` to `serial-gate.toml`")]
    NotConfigured {
        /// The channel.
        channel: String,
    },
    /// An address is not an address.
    #[error(
        "the address of `{channel}` is no `http://` or `https://` address: correct it, or the token in it, in `serial-gate.toml` or the environment"
    )]
    Address {
        /// The channel.
        channel: &'static str,
    },
    /// There is no thread left to send from.
    #[error("no thread can be started to send to `{channel}`")]
    Thread {
        /// The channel.
        channel: &'static str,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A sender's thread ended before it was done.
    #[error("the sender to `{channel}` ended before it was done")]
    SenderEnded {
        /// The channel.
        channel: &'static str,
    },
}

/// Why a channel has not taken an alert. It is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It answered, and not with success.
    #[error("it answered {status}{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Answered {
        /// The HTTP status.
        status: u16,
        /// For how long it wants to be left alone.
        retry_after: Option<Duration>,
        /// What else it said, if that is known to hold no secret.
        said: Option<String>,
    },
    /// It did not answer in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// Its name has no address.
    #[error("its host is not known")]
    UnknownHost,
    /// The connection was not made, or broke.
    #[error("the connection failed: {0}")]
    Connection(std::io::ErrorKind),
    /// The other side is not who it says, or speaks no TLS.
    #[error("no secure connection")]
    Tls,
    /// Whatever it sent is no HTTP.
    #[error("its answer is not understood")]
    Answer,
    /// It answered with success, and with something that Telegram does not say.
    #[error("it answered {0}, and not as Telegram does")]
    NotTelegram(u16),
    /// It was tried often enough, and this came of it.
    #[error("{0}")]
    Before(String),
    /// The sender that took it before ended without a word, too often.
    #[error("each sender ended before there was an answer")]
    Abandoned,
}
