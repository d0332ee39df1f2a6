//! Why a change could not be written, if that was the disk.

use super::{Error, Problem};

/// Why the disk does not accept writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// There is no space left.
    Full,
    /// It failed, or does not let this process write.
    Failed,
}

impl NoRoom {
    /// The failure of the disk in an error, if that is its cause.
    pub(crate) fn of(error: &Error) -> Option<NoRoom> {
        match error.problem()? {
            Problem::Full => Some(NoRoom::Full),
            Problem::Disk(_) | Problem::NotFlushed(_) | Problem::ReadOnly => Some(NoRoom::Failed),
            _ => None,
        }
    }
}
