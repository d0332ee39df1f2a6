//! The shutdown of a worker: first it drains, then it cancels.

use std::sync::atomic::{AtomicBool, Ordering};

/// The state of a shutdown.
#[derive(Debug, Default)]
pub struct Shutdown {
    draining: AtomicBool,
    cancelled: AtomicBool,
}

impl Shutdown {
    /// The first call: the worker takes no more jobs. The second: it ends the commands and puts
    /// their jobs back.
    pub fn request(&self) {
        if self.draining.swap(true, Ordering::Relaxed) {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }

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
