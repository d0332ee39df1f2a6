//! The clock that stops a policy which runs too long: one thread that advances the engine's epoch.
//!
//! It ticks only while a call is under way, so that a host that waits for work uses no processor.
//! Ticks are counted from the first of the calls under way and made up for when the thread comes
//! late, so that their errors do not add up. Callers rely on this: a call gets at least its time,
//! and at most one tick more, as far as the machine lets this thread run.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::Engine;

/// One millisecond, which the counts below rely on.
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
    /// When the first of the calls under way began.
    since: Option<Instant>,
    /// How often the clock has ticked since.
    ticks: u64,
}

/// One call under way.
pub(super) struct Ticking<'a> {
    calls: &'a Calls,
    /// Ticks that would have come until the call began, had the thread not been late.
    behind: u64,
}

impl Ticker {
    pub(super) fn spawn(engine: &Engine) -> std::io::Result<Ticker> {
        let calls = Arc::new(Calls::default());
        let (engine, ticking) = (engine.weak(), Arc::clone(&calls));
        thread::Builder::new()
            .name("policy-ticker".into())
            .spawn(move || {
                while let Some(next) = ticking.wait_for_a_call() {
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    for _ in 0..ticking.lock().due() {
                        engine.increment_epoch();
                    }
                }
            })?;
        Ok(Ticker(Arc::new(Owner(calls))))
    }

    pub(super) fn start(&self) -> Ticking<'_> {
        let calls = &*self.0.0;
        let mut state = calls.lock();
        if state.under_way == 0 {
            state.since = Some(Instant::now());
            state.ticks = 0;
        }
        state.under_way += 1;
        let behind = state.elapsed().saturating_sub(state.ticks);
        drop(state);
        calls.changed.notify_one();
        Ticking { calls, behind }
    }
}

impl Ticking<'_> {
    /// A time as a number of ticks from the call's beginning on.
    pub(super) fn ticks(&self, time: Duration) -> u64 {
        ticks(time).saturating_add(self.behind)
    }
}

/// A time as a number of ticks, with one more because the first may come at once.
pub(super) fn ticks(time: Duration) -> u64 {
    let ticks = u64::try_from(time.as_millis()).unwrap_or(LONGEST);
    ticks.min(LONGEST).saturating_add(1)
}

/// A day, so that no sum of ticks overflows. A call that goes on is asked again then.
const LONGEST: u64 = 86_400_000;

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.calls.lock().under_way -= 1;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_one();
    }
}

impl State {
    /// The whole ticks since the first of the calls began.
    fn elapsed(&self) -> u64 {
        let elapsed = self.since.map(|since| since.elapsed()).unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// How many ticks are to come now. They count as having come.
    fn due(&mut self) -> u64 {
        let elapsed = self.elapsed();
        let due = elapsed.saturating_sub(self.ticks);
        self.ticks = elapsed;
        due
    }

    /// When the next tick is due, should a call be under way.
    fn next(&self) -> Option<Instant> {
        let ticks = u32::try_from(self.ticks).unwrap_or(u32::MAX);
        self.since?
            .checked_add(TICK.saturating_mul(ticks.saturating_add(1)))
    }
}

impl Calls {
    /// The time of the next tick, once there is a call to tick for; none once no ticker is left.
    fn wait_for_a_call(&self) -> Option<Instant> {
        let idle = |state: &mut State| state.under_way == 0 && !state.ended;
        let state = self
            .changed
            .wait_while(self.lock(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        if state.ended { None } else { state.next() }
    }

    /// The state is plain values, whole at every moment, so a poisoned lock means nothing here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
