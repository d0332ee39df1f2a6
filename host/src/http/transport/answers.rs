//! Large answers: the memory of those that were not read yet.
//!
//! Owns the sum. An answer's bytes are counted once, until the last byte is handed to the operating
//! system or the connection ends. Callers rely on this: clients that ask for much and read nothing
//! cannot use up the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use axum::http::StatusCode;

use super::problem::Problem;

/// Beyond this, connections that read nothing are ended early.
const MUCH: usize = 64 << 20;
/// Beyond this, no further large answer is made.
const MOST: usize = 192 << 20;

#[derive(Default)]
pub struct Answers {
    unread: Arc<AtomicUsize>,
}

/// The bytes of an answer, counted until they are dropped.
struct Counted {
    bytes: Vec<u8>,
    unread: Arc<AtomicUsize>,
}

impl Answers {
    /// Refuses a further large answer while too many are unread.
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

    /// Whether many bytes are unread.
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
