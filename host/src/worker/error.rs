//! Why a worker stops, or does not start.
//!
//! What goes wrong with one job is that job's error, and not here.

use std::ffi::OsString;
use std::io;

use super::branch;
use super::child::cannot_start;
use crate::{queue, store};

/// A worker that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The projects.
    #[error(transparent)]
    Branch(#[from] branch::Error),
    /// The command cannot be started for any job.
    #[error("{}; no job was lost", cannot_start(program, cause))]
    Command {
        /// The program.
        program: OsString,
        /// Why.
        cause: io::Error,
    },
    /// The operating system starts no thread.
    #[error("cannot start a thread for the worker")]
    Thread(#[source] io::Error),
    /// A thread of the worker panicked.
    #[error("a part of the worker ended early: its job comes back when its lease expires")]
    Ended,
}
