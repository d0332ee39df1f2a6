//! The error of a verb.
//!
//! Owns the texts about this command's own files and output. Leaves the rest to the rooms whose
//! errors it passes on, and the remedies to `error_remedy`. Callers rely on this: a problem that
//! only one verb knows is a text where it occurs, not a variant here; and the causes behind an
//! error are printed with it.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

use serial_gate::worker::{self, branch};
use serial_gate::{alerts, conform, gate, policy, queue, rollout, store};

use crate::http;

/// A verb that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Queue(#[from] queue::Error),
    #[error(transparent)]
    Gate(#[from] gate::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Policy(#[from] policy::Error),
    #[error(transparent)]
    Life(#[from] rollout::Error),
    #[error(transparent)]
    Alerts(#[from] alerts::Error),
    #[error(transparent)]
    Conform(#[from] conform::Error),
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error(transparent)]
    Work(#[from] worker::Error),
    #[error(transparent)]
    Branch(#[from] branch::Error),
    #[error("cannot write the result to the standard output: any change that it reports was made")]
    Print(#[from] io::Error),
    /// A text of this command, with the cause if there is one.
    #[error("{text}")]
    Said {
        /// What is wrong and what to do.
        text: String,
        /// Why.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    /// The text says what is wrong and what to do about it.
    pub fn new(text: impl Into<String>) -> Error {
        Error::Said {
            text: text.into(),
            cause: None,
        }
    }

    /// The same, with the error behind it.
    pub fn because(
        text: impl Into<String>,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        Error::Said {
            text: text.into(),
            cause: Some(Box::new(cause)),
        }
    }

    /// A file that cannot be read.
    pub fn read(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |cause| {
            let hint = Error::hint_to_read(&cause).map(|hint| format!(": {hint}"));
            let hint = hint.unwrap_or_default();
            Error::because(format!("cannot read `{}`{hint}", path.display()), cause)
        }
    }

    /// What helps to read a file.
    pub fn hint_to_read(cause: &io::Error) -> Option<&'static str> {
        match cause.kind() {
            ErrorKind::NotFound => Some("check the path"),
            ErrorKind::PermissionDenied => Some("let this user read it"),
            ErrorKind::IsADirectory => Some("name a file in this folder"),
            ErrorKind::NotADirectory => Some("name a folder"),
            ErrorKind::InvalidData => Some("save it as UTF-8"),
            _ => None,
        }
    }

    /// A file that cannot be written.
    pub fn write(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |cause| {
            let hint = match cause.kind() {
                ErrorKind::NotFound => ": make its folder first",
                ErrorKind::PermissionDenied => ": let this user write there",
                ErrorKind::IsADirectory => ": name a file in this folder",
                _ => "",
            };
            Error::because(format!("cannot write `{}`{hint}", path.display()), cause)
        }
    }

    /// A policy file that cannot be used.
    pub fn policy_file(source: &impl Display) -> impl FnOnce(policy::Error) -> Error {
        move |cause| Error::because(format!("`{source}` is no policy"), cause)
    }
}
