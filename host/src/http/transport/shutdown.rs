//! The signal that the service stops.

use tokio::sync::watch;

/// Begins the shutdown.
pub struct Trigger(watch::Sender<bool>);

/// Notices that the shutdown has begun.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

pub fn shutdown() -> (Trigger, Shutdown) {
    let (trigger, shutdown) = watch::channel(false);
    (Trigger(trigger), Shutdown(shutdown))
}

impl Trigger {
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it has begun, or the trigger was dropped.
    pub async fn cancelled(&mut self) {
        let _ = self.0.wait_for(|cancelled| *cancelled).await;
    }
}
