//! Why a step of a rollout was not made.

use std::path::PathBuf;

use crate::remedy::Remedy;
use crate::{conform, policy, queue, store};

/// A step that was not made. The active generation is what it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a policy, or not a trusted one. Nothing was stored of it.
    #[error("not a usable policy")]
    NoPolicy(#[source] policy::Error),
    /// The same policy with the same settings is active.
    #[error(
        "generation {generation} is this policy with these settings already: nothing was changed"
    )]
    NothingNew {
        /// The active generation.
        generation: i64,
    },
    /// Nothing to go back to.
    #[error("there is no generation before the active one")]
    NothingBefore,
    /// A generation that claims never used was never checked to the end.
    #[error("generation {generation} was never active, so it cannot be rolled back to")]
    NeverActive {
        /// The generation.
        generation: i64,
    },
    /// There is no shadow.
    #[error("there is no shadow")]
    NoShadow,
    /// A generation that this host cannot run.
    #[error("generation {generation} cannot be used, the active one stays")]
    Unusable {
        /// The generation.
        generation: i64,
        /// Why.
        #[source]
        cause: queue::Error,
    },
    /// A decision log cannot be read.
    #[error("cannot read `{}`", path.display())]
    ReadLog {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A line is not one of a decision log.
    #[error("line {line} of `{}` is not one of a decision log", path.display())]
    LogLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// The policy has no answer to a recorded state.
    #[error("the policy failed on line {line} of `{}`", path.display())]
    Replay {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        #[source]
        cause: policy::Error,
    },
    /// The queue.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The check.
    #[error(transparent)]
    Check(#[from] conform::Error),
}

impl Error {
    /// What to do about it, where a command or a route does that.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Error::NothingBefore => Some(Remedy::ListGenerations),
            Error::NeverActive { .. } => Some(Remedy::SwapFile),
            Error::NoShadow => Some(Remedy::StartShadow),
            Error::Queue(error) | Error::Check(conform::Error::Queue(error)) => error.remedy(),
            Error::Store(error) => error.remedy(),
            _ => None,
        }
    }
}
