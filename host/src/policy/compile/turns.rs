//! One compilation of a component at a time: others that need the same one wait for its result.
//!
//! Owns the list of what is being compiled, and of what lately took too long. Callers rely on this:
//! two different components never wait for each other, and a policy that cannot be compiled does
//! not take the time of each claim that asks for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::process::CompilerFailed;

/// How soon a wait ends when the turn is no longer wanted.
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

/// The turns of one runtime.
#[derive(Default)]
pub(in crate::policy) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

/// A component's turn; it ends when this is dropped.
pub(in crate::policy) struct Turn<'a> {
    turns: &'a Turns,
    digest: &'a str,
}

impl Turns {
    /// Waits until no other thread compiles this component; none if it is no longer wanted.
    pub(in crate::policy) fn wait<'a>(
        &'a self,
        digest: &'a str,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<Turn<'a>> {
        let mut state = self.lock();
        while state.under_way.iter().any(|other| other == digest) {
            if !goes_on() {
                return None;
            }
            let waited = self.changed.wait_timeout(state, LOOK);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.under_way.push(digest.into());
        Some(Turn {
            turns: self,
            digest,
        })
    }

    /// Why this component could not be compiled lately.
    pub(in crate::policy) fn failed_before(&self, digest: &str) -> Option<CompilerFailed> {
        let state = self.lock();
        let found = state
            .failed
            .iter()
            .find(|(failed, at, _)| failed == digest && at.elapsed() < REMEMBERED)?;
        Some(found.2.clone())
    }

    /// Remembers a failure.
    pub(in crate::policy) fn remember(&self, digest: &str, failure: &CompilerFailed) {
        let mut state = self.lock();
        state.failed.retain(|(failed, ..)| failed != digest);
        if state.failed.len() >= FAILURES {
            state.failed.remove(0);
        }
        state
            .failed
            .push((digest.into(), Instant::now(), failure.clone()));
    }

    /// Lists of whole values, so a poisoned lock means nothing here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.under_way.retain(|other| other != self.digest);
        drop(state);
        self.turns.changed.notify_all();
    }
}
