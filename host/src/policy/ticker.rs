//! What stops a policy that runs too long.
//!
//! Owns one thread, which advances the engine's epoch every millisecond while a call is under way
//! and sleeps otherwise; and the time that a call is charged for. That is the processor's time of
//! its own thread, so that a busy machine does not stop a good policy, which would then be rolled
//! back for nothing. Callers rely on this: a call gets at least its time, and at most one tick
//! more, as far as the machine lets the thread run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::{Engine, Store, UpdateDeadline};

const TICK: Duration = Duration::from_millis(1);

/// By how much the time of day may exceed the processor's: a call on a starved machine ends, too.
const PATIENCE: u32 = 20;

/// Ticks for the calls of one engine. The thread ends with the last clone.
#[derive(Clone)]
pub(super) struct Ticker(Arc<Owner>);

struct Owner {
    calls: Arc<Calls>,
    thread: Thread,
}

#[derive(Default)]
struct Calls {
    under_way: AtomicUsize,
    /// The ticker was dropped.
    ended: AtomicBool,
}

/// One call under way.
pub(super) struct Ticking<'a>(&'a Calls);

impl Ticker {
    pub(super) fn spawn(engine: &Engine) -> std::io::Result<Ticker> {
        let calls = Arc::new(Calls::default());
        let (engine, watched) = (engine.weak(), Arc::clone(&calls));
        let thread = thread::Builder::new()
            .name("policy-ticker".into())
            .spawn(move || {
                while !watched.ended.load(Ordering::Acquire) {
                    if watched.under_way.load(Ordering::Acquire) == 0 {
                        thread::park();
                        continue;
                    }
                    thread::sleep(TICK);
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                }
            })?;
        let thread = thread.thread().clone();
        Ok(Ticker(Arc::new(Owner { calls, thread })))
    }

    /// Ticks until what this returns is dropped.
    pub(super) fn start(&self) -> Ticking<'_> {
        let Owner { calls, thread } = &*self.0;
        if calls.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
            thread.unpark();
        }
        Ticking(calls)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.calls.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Has the calls in a store stopped once this thread has used up a time. Each tick asks.
pub(super) fn limit<T>(store: &mut Store<T>, time: Duration) {
    let (begun, before) = (Instant::now(), thread_time());
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        let elapsed = begun.elapsed();
        let used = before
            .and_then(|before| thread_time()?.checked_sub(before))
            .unwrap_or(elapsed);
        let goes_on = used < time && elapsed < time.saturating_mul(PATIENCE);
        Ok(match goes_on {
            true => UpdateDeadline::Continue(1),
            false => UpdateDeadline::Interrupt,
        })
    });
}

/// The processor's time of this thread, where the system tells it.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ThreadCPUTime).try_into().ok()
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}
