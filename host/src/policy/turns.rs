//! One compilation of a component at a time: who wants the same one waits for its result.
//!
//! Owns the list of what is being compiled, and of what lately took too long. Callers rely on this:
//! two different components never wait for each other; and a policy that cannot be compiled does
//! not take the time of each claim that asks for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::compiler::CompilerFailed;

/// How soon a turn that is waited for is given up when it is no longer wanted.
const LOOK: Duration = Duration::from_millis(20);

/// For how long a failure is not tried again, unless an operator asks for it.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// How many failures are remembered.
const FAILURES: usize = 16;

#[derive(Default)]
struct State {
    under_way: Vec<String>,
    failed: Vec<(String, Instant, CompilerFailed)>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The turns of one runtime. A clone has the same ones.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Shared>);

/// A component's turn; it ends when this is dropped.
pub(super) struct Turn<'a> {
    shared: &'a Shared,
    digest: &'a str,
}

impl Turns {
    /// Waits until nobody else compiles this component; none if it is no longer wanted.
    pub(super) fn wait<'a>(
        &'a self,
        digest: &'a str,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<Turn<'a>> {
        let shared = &*self.0;
        let mut state = shared.lock();
        while state.under_way.iter().any(|other| other == digest) {
            if !goes_on() {
                return None;
            }
            let waited = shared.changed.wait_timeout(state, LOOK);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.under_way.push(digest.into());
        Some(Turn { shared, digest })
    }

    /// Why this component could not be compiled lately.
    pub(super) fn failed_before(&self, digest: &str) -> Option<CompilerFailed> {
        let state = self.0.lock();
        let found = state
            .failed
            .iter()
            .find(|(failed, at, _)| failed == digest && at.elapsed() < REMEMBERED)?;
        Some(found.2.clone())
    }

    /// Remembers a failure.
    pub(super) fn remember(&self, digest: &str, failure: &CompilerFailed) {
        let mut state = self.0.lock();
        state.failed.retain(|(failed, ..)| failed != digest);
        if state.failed.len() >= FAILURES {
            state.failed.remove(0);
        }
        state
            .failed
            .push((digest.into(), Instant::now(), failure.clone()));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.shared
            .lock()
            .under_way
            .retain(|other| other != self.digest);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Lists of whole values, so a poisoned lock means nothing here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
