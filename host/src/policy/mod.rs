//! A policy: a WebAssembly component that was checked, and calls to it under limits.
//!
//! Owns the component's life in this process. It does not know what the answers are for, and never
//! judges a clause's text (see [`crate::clause`]). Callers rely on this: a call returns within its
//! time limit, and whatever a policy does, only its own call fails.

mod artefacts;
mod calls;
mod caps;
mod clock;
mod compiler;
mod compiling;
mod contract;
mod error;
mod limits;
mod native;
mod outline;
mod pool;
mod runtime;
mod stop;
pub mod texts;
mod ticker;
mod trust;
mod turns;
mod v0_1;
mod v0_2;
mod version;
mod wasi;

pub use calls::Calls;
pub use caps::Excess;
pub use compiler::{CompileLimits, Compiler, CompilerFailed, VERB as COMPILER_VERB};
pub use compiling::compile_and_answer;
pub use error::Error;
pub use limits::Limits;
pub use runtime::{Runtime, digest};
pub use stop::Stop;
pub use trust::{Distrust, Signer, Trust};

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::model::{self, Clause, Decision, Description, Dialect, Settings, Snapshot};
use calls::Tally;
use clock::Clock;
use limits::Meter;
use ticker::Ticker;
use version::{Ready, Running};

/// How long a call waits before it looks for room again.
const UNTIL_THERE_IS_ROOM: Duration = Duration::from_millis(1);

/// The policy that is built into this library: the rule of the reference.
pub const DEFAULT_POLICY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default-policy.wasm"));

/// A component that fulfils a version of the contract, ready to be called. A clone is the same
/// compiled component.
#[derive(Clone)]
pub struct Policy {
    component: Arc<Ready>,
    ticker: Ticker,
    tally: Tally,
    /// Once it is told, there are no more calls.
    until: Option<Stop>,
    limits: Limits,
    digest: String,
}

impl Policy {
    /// The SHA-256 of the component's bytes, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many parts of WASI the component imports, all of which are empty: none, if it is built
    /// without a standard library.
    pub fn imports(&self) -> usize {
        let component = self.component.component().component();
        component.component_type().imports(component.engine()).len()
    }

    /// Who the policy is, in its own words: see [`texts`].
    ///
    /// # Errors
    ///
    /// When the call breaks a limit or traps.
    pub fn describe(&self) -> Result<Description, Error> {
        self.call("describe", self.limits.clause_time, |component, store| {
            component.describe(store)
        })
    }

    /// One decision for each queued job of the snapshot, as it is `now`, with reasons in its own
    /// words: see [`texts`].
    ///
    /// # Errors
    ///
    /// When the call breaks a limit or traps, or the policy answers with an error.
    pub fn decide(
        &self,
        settings: &Settings,
        now: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Vec<Decision>, Error> {
        has_keys(settings, "decide")?;
        self.call("decide", self.limits.decide_time, |component, store| {
            component.decide(store, settings, now.as_second(), snapshot)
        })?
        .map_err(|error| answered("decide", error))
    }

    /// The rule from `now` on as a fragment of SQL, which is not to be trusted, with notes in its
    /// own words: see [`texts`].
    ///
    /// # Errors
    ///
    /// When the call breaks a limit or traps, or the policy answers with an error.
    pub fn claim_clause(
        &self,
        settings: &Settings,
        now: Timestamp,
        dialect: Dialect,
    ) -> Result<Clause, Error> {
        has_keys(settings, "claim-clause")?;
        self.call(
            "claim-clause",
            self.limits.clause_time,
            |component, store| component.claim_clause(store, settings, now.as_second(), dialect),
        )?
        .map_err(|error| answered("claim-clause", error))
    }

    fn call<T>(
        &self,
        export: &'static str,
        time: Duration,
        call: impl FnOnce(&Running, &mut Store<Meter>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        if self.until.as_ref().is_some_and(Stop::is_told) {
            return Err(Error::Stopped);
        }
        let begun = Instant::now();
        let answer = self.call_uncounted(export, time, call);
        self.tally.count(export, begun.elapsed(), &answer);
        answer
    }

    /// Every call gets a fresh instance: a trap poisons only its own, and no call can leave
    /// anything behind for the next one to answer differently.
    fn call_uncounted<T>(
        &self,
        export: &'static str,
        time: Duration,
        call: impl FnOnce(&Running, &mut Store<Meter>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        let ticking = self.ticker.start();
        let (mut store, instance) = loop {
            let mut store = self.limits.store(self.component.engine());
            store.set_epoch_deadline(ticking.ticks(time));
            let clock = Clock::start();
            store.epoch_deadline_callback(move |_| {
                Ok(match clock.left(time) {
                    Some(left) => UpdateDeadline::Continue(ticker::ticks(left)),
                    None => UpdateDeadline::Interrupt,
                })
            });
            match self.component.instantiate(&mut store) {
                // As many calls as there is room for are under way. Each of them ends.
                Err(cause) if cause.is::<PoolConcurrencyLimitError>() => sleep(UNTIL_THERE_IS_ROOM),
                instance => break (store, instance),
            }
        };
        let answer = match instance {
            Ok(component) => call(&component, &mut store),
            // What the policy did at its start is its own. Anything else is wasmtime's word on the
            // exports' types.
            Err(cause)
                if !cause.is::<Trap>()
                    && !cause.is::<wasi::Denied>()
                    && store.data().refused_memory().is_none() =>
            {
                return Err(contract::difference(&self.component, store, cause));
            }
            Err(cause) => Err(cause),
        };
        drop(ticking);
        if let Some(said) = store.data().said() {
            tracing::debug!("`{export}` of a policy said: {said}");
        }
        answer.map_err(|cause| Error::of_call(export, time, store.data(), cause))
    }
}

/// Refuses rules that are JSON and no object: the host reads some of their keys itself, and would
/// read a list in another way than the policy. What is no JSON at all is left to the policy, which
/// knows what is wrong with it.
fn has_keys(settings: &Settings, export: &'static str) -> Result<(), Error> {
    use serde_json::Value;
    let rules = settings.rules.as_deref().map(serde_json::from_str::<Value>);
    match rules {
        None | Some(Err(_) | Ok(Value::Object(_))) => Ok(()),
        Some(Ok(_)) => Err(Error::Rules { export }),
    }
}

fn answered(export: &'static str, error: model::PolicyError) -> Error {
    let (what, reason) = match error {
        model::PolicyError::InvalidRules(reason) => ("rules", reason),
        model::PolicyError::InvalidSnapshot(reason) => ("snapshot", reason),
    };
    let reason = texts::fit(&reason, texts::LETTERS);
    Error::Answered {
        export,
        what,
        reason,
    }
}
