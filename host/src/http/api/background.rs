//! What takes long: done in its turn, in the background, on its own queue.
//!
//! Owns the turns. Callers rely on this: work that nobody waits for any more is stopped, and so
//! is all work once the service is to end.

use std::sync::Arc;

use serial_gate::policy::Stop;
use serial_gate::queue::Queue;

use crate::http::app::App;
use crate::http::transport::actor::Refused;
use crate::http::transport::problem::Problem;

/// How many steps that check nothing are made at a time.
pub const STEPS: usize = 8;

/// What a request waits for.
pub enum Lane {
    /// Checks of components, one at a time.
    Checks,
    /// Everything else.
    Steps,
}

/// Stops work when the request that it is for is dropped.
struct WhileWanted(Stop);

impl Drop for WhileWanted {
    fn drop(&mut self) {
        self.0.tell();
    }
}

/// Makes a step in its turn. Until it is done, its caller may have gone.
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
            // What it has found by then is its answer.
            wanted.0.tell();
            done.await
        }
    };
    done.map_err(|_| Refused::Stopped)?
}
