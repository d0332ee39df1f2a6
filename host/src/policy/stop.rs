//! A sign that work on a policy is no longer wanted.
//!
//! Owns the sign. Those who work look at it: a compilation every few milliseconds, a call of a
//! policy when it begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether to stop. A clone is the same sign, and it is never taken back.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Gives the sign.
    pub fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the sign was given.
    pub fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
