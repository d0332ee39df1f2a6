//! Large answers: how much memory those take that were not read yet.
//!
//! Owns the sum, whichever way an answer is kept: it is counted once, until its last byte was
//! handed to the system or its connection has ended. Callers rely on this: clients that ask for
//! much and read nothing cannot take all memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use axum::http::StatusCode;

use super::problem::Problem;

/// Beyond this, those who read nothing are cut early.
const MUCH: usize = 64 << 20;
/// Beyond this, no further large answer is made.
const MOST: usize = 192 << 20;

/// The answers that wait to be read.
#[derive(Default)]
pub struct Answers {
    unread: Arc<AtomicUsize>,
}

/// The bytes of an answer, counted while they are there.
struct Counted {
    bytes: Vec<u8>,
    unread: Arc<AtomicUsize>,
}

impl Answers {
    /// Refuses a large answer while too many wait to be read.
    pub fn check(&self) -> Result<(), Problem> {
        if self.unread.load(Ordering::Relaxed) < MOST {
            return Ok(());
        }
        Err(Problem::later(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many large answers wait to be read: read them, or try again in a second",
            1,
        ))
    }

    /// Counts an answer's bytes from here on.
    pub fn hold(&self, bytes: impl Into<Vec<u8>>) -> Bytes {
        let bytes = bytes.into();
        self.unread.fetch_add(bytes.len(), Ordering::Relaxed);
        Bytes::from_owner(Counted {
            bytes,
            unread: Arc::clone(&self.unread),
        })
    }

    /// Whether much waits to be read.
    pub fn are_many(&self) -> bool {
        self.unread.load(Ordering::Relaxed) > MUCH
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.unread.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}
