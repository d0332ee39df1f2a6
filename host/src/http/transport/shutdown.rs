//! The end of the service, for those who have to notice it.

use tokio::sync::watch;

/// Asks for the end.
pub struct Trigger(watch::Sender<bool>);

/// Notices that the end was asked for.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A shutdown, and what begins it.
pub fn shutdown() -> (Trigger, Shutdown) {
    let (trigger, shutdown) = watch::channel(false);
    (Trigger(trigger), Shutdown(shutdown))
}

impl Trigger {
    /// Begins the shutdown.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether it has begun.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it has begun. A service that has ended without it counts as well.
    pub async fn cancelled(&mut self) {
        let _ = self.0.wait_for(|cancelled| *cancelled).await;
    }
}
