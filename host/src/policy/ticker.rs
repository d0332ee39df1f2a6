//! The clock that stops a policy which runs too long: one thread that advances the engine's epoch.
//!
//! It ticks only while a call is under way, so that a host that waits for work uses no processor.
//! Callers rely on this: a call gets at least its time, and at most two ticks more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

const TICK: Duration = Duration::from_millis(1);

/// Starts the clock for a call. The thread ends when the last clone is gone.
#[derive(Clone)]
pub(super) struct Ticker(Arc<Owner>);

/// Dropped with the last ticker: tells the thread to end.
struct Owner(Arc<Calls>);

#[derive(Default)]
struct Calls {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    under_way: usize,
    ended: bool,
}

/// One call under way.
pub(super) struct Ticking<'a>(&'a Calls);

impl Ticker {
    pub(super) fn spawn(engine: &Engine) -> std::io::Result<Ticker> {
        let calls = Arc::new(Calls::default());
        let (engine, ticking) = (engine.weak(), Arc::clone(&calls));
        thread::Builder::new()
            .name("policy-ticker".into())
            .spawn(move || {
                while ticking.wait_for_a_call() {
                    thread::sleep(TICK);
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                }
            })?;
        Ok(Ticker(Arc::new(Owner(calls))))
    }

    pub(super) fn start(&self) -> Ticking<'_> {
        self.0.0.change(|state| state.under_way += 1);
        Ticking(&self.0.0)
    }
}

impl Ticking<'_> {
    /// A time as a number of ticks, with one more because the first may come at once.
    pub(super) fn ticks(&self, time: Duration) -> u64 {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.under_way -= 1);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}

impl Calls {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// Whether there is a call to tick for; false once no ticker is left.
    fn wait_for_a_call(&self) -> bool {
        let idle = |state: &mut State| state.under_way == 0 && !state.ended;
        let state = self
            .changed
            .wait_while(self.lock(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        !state.ended
    }

    /// The state is two plain values, whole at every moment, so a poisoned lock means nothing here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
