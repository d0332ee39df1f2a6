//! What a long-running reader keeps an engine from tidying up, which makes it slower.
//!
//! Owns which figure each engine has. Leaves the reading to the engines, and the words to those who
//! show it.

/// From how many transactions on the oldest snapshot is worth a word: with a thousand claims a
/// second, some minutes.
const LONG: i64 = 1_000_000;

/// What is not tidied up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// The length of SQLite's log, in bytes.
    Log(u64),
    /// How many transactions the server has begun since the oldest snapshot that is still in use.
    /// Rows that were deleted since then are still read.
    Snapshot(i64),
}

impl Backlog {
    /// Whether it is more than usual.
    pub fn is_long(self) -> bool {
        match self {
            Backlog::Log(bytes) => bytes > u64::from(super::LOG_BYTES),
            Backlog::Snapshot(age) => age > LONG,
        }
    }
}
