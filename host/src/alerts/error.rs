//! Errors and failures of sending.
//!
//! Callers rely on this: no text holds an address, because an address may hold a token.

use std::time::Duration;

use crate::store;

/// Why alerts cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The outbox cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// No channel is configured.
    #[error("no channel is configured")]
    NoChannel,
    /// The named channel is not configured.
    #[error("`{0}` is not configured")]
    NotConfigured(String),
    /// The address of the named channel cannot be parsed.
    #[error(
        "the address of `{0}` is not an `http://` or `https://` address: correct it, or the token \
         in it, in the configuration file or the environment"
    )]
    Address(&'static str),
    /// The operating system starts no thread.
    #[error("cannot start a thread to send to `{channel}`")]
    Thread {
        /// The channel.
        channel: &'static str,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A sender's thread panicked.
    #[error("the sender to `{0}` ended early")]
    SenderEnded(&'static str),
}

/// Why a channel did not accept an alert. The alert is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It answered with an error.
    #[error(
        "it answered {status}{}",
        said.as_ref().map_or(String::new(), |said| format!(": {said}"))
    )]
    Answered {
        /// The HTTP status.
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
        /// Its own words, if they are known to hold no secret.
        said: Option<String>,
    },
    /// It did not answer in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// Its host name does not resolve.
    #[error("its host is not known")]
    UnknownHost,
    /// The connection was not made, or broke.
    #[error("the connection failed: {0}")]
    Connection(std::io::ErrorKind),
    /// The certificate is wrong, or the other side does not speak TLS.
    #[error("no secure connection")]
    Tls,
    /// Its answer is not HTTP.
    #[error("its answer is not understood")]
    Answer,
    /// It answered with success, but not with Telegram's document.
    #[error("it answered {0}, and not as Telegram does")]
    NotTelegram(u16),
    /// All tries are used up; the last one failed for this reason.
    #[error("{0}")]
    Before(String),
    /// All tries are used up; each sender died before it wrote down an answer.
    #[error("each sender ended before there was an answer")]
    Abandoned,
}
