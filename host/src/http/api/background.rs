//! Long work: done in turn, in the background, on its own queue.
//!
//! Owns the turns. Callers rely on this: work is stopped when its caller has gone, and when the
//! service stops.

use std::sync::Arc;

use serial_gate::policy::Stop;
use serial_gate::queue::Queue;

use crate::http::app::App;
use crate::http::transport::actor::Refused;
use crate::http::transport::problem::Problem;

/// How many steps of [`Lane::Steps`] run at a time.
pub const STEPS: usize = 8;

/// What a request waits for.
pub enum Lane {
    /// Checks of components, one at a time.
    Checks,
    /// Everything else.
    Steps,
}

/// Stops the work when its request is dropped.
struct WhileWanted(Stop);

impl Drop for WhileWanted {
    fn drop(&mut self) {
        self.0.tell();
    }
}

/// Runs a step in its turn.
pub async fn in_background<T: Send + 'static>(
    app: &App,
    lane: Lane,
    step: impl FnOnce(&App, &mut Queue) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let mut shutdown = app.shutdown.clone();
    let (check, other) = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Err(Refused::Stopped.into()),
        check = Arc::clone(&app.checks).lock_owned(), if matches!(lane, Lane::Checks) => {
            (Some(check), None)
        }
        other = Arc::clone(&app.steps).acquire_owned(), if matches!(lane, Lane::Steps) => {
            (None, other.ok())
        }
    };
    let stop = Stop::default();
    let wanted = WhileWanted(stop.clone());
    let owned = app.clone();
    let mut done = tokio::task::spawn_blocking(move || {
        let _turn = (check, other);
        step(&owned, &mut owned.open_queue(stop)?)
    });
    let done = tokio::select! {
        done = &mut done => done,
        () = shutdown.cancelled() => {
            // A step that ends before it sees the stop still has its answer.
            wanted.0.tell();
            done.await
        }
    };
    done.map_err(|_| Refused::Stopped)?
}
