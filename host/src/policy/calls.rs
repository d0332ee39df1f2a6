//! The counts of policy calls in this process, for its metrics.
//!
//! Owns the counts; the metrics' names are the service's. Callers rely on this: counts only grow,
//! and each call of a policy is counted once, when it has ended.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Error;

/// The calls of one function of the contract.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many there were.
    pub count: u64,
    /// How long they took together, in the time of day.
    pub time: Duration,
    /// How many of them broke a limit or trapped, by [`Error::failure`].
    pub failures: BTreeMap<&'static str, u64>,
}

/// All calls, by the function's name.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<&'static str, Calls>>);

impl Tally {
    pub(super) fn count<T>(&self, function: &'static str, time: Duration, end: &Result<T, Error>) {
        let mut all = self.lock();
        let calls = all.entry(function).or_default();
        calls.count = calls.count.saturating_add(1);
        calls.time = calls.time.saturating_add(time);
        if let Some(failure) = end.as_ref().err().and_then(Error::failure) {
            let failures = calls.failures.entry(failure).or_default();
            *failures = failures.saturating_add(1);
        }
    }

    pub(super) fn read(&self) -> BTreeMap<&'static str, Calls> {
        self.lock().clone()
    }

    /// The counts are whole at every moment, so a poisoned lock means nothing here.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
