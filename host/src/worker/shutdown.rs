//! How a worker is told to end: gently, and then at once.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a worker was told from outside.
#[derive(Debug, Default)]
pub struct Shutdown {
    draining: AtomicBool,
    cancelled: AtomicBool,
}

impl Shutdown {
    /// The first time: take no more jobs. The second time: end the commands, and give their jobs
    /// back.
    pub fn request(&self) {
        if self.draining.swap(true, Ordering::Relaxed) {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Takes no more jobs.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
