//! A policy: a WebAssembly component that was checked, and calls to it under limits.
//!
//! Owns the component's life in this process. It does not know what the answers are for, and never
//! judges a clause's text (see [`crate::clause`]). Callers rely on this: a call returns within its
//! time limit, and whatever a policy does, only its own call fails.
//!
//! This file has the whole of a call. `limits` and `ticker` stop it, `wasi` is what it may import,
//! and [`crate::model`] has the generated types. The way from bytes to compiled code is in
//! `runtime`, `contract` and `compile`.

mod built_in;
mod calls;
mod compile;
mod contract;
mod engine;
mod error;
mod inspect;
mod limits;
mod runtime;
mod stop;
pub mod texts;
mod ticker;
mod trust;
mod wasi;

pub use built_in::{
    BUILT_IN, DEFAULT_POLICY, RuleFile, RuleFileError, is_built_in, of_rule_file, rule_file_in,
};
pub use calls::Calls;
pub use compile::{
    COMPILER_VERB, CompileLimits, Compiler, CompilerFailed, Excess, compile_and_answer,
};
pub use error::Error;
pub use inspect::{Inspected, inspect};
pub use limits::Allowance;
pub use runtime::{Runtime, digest};
pub use stop::Stop;
pub use trust::{Distrust, Signer, Trust};

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::model::{
    Clause, Component, ComponentPre, Decision, Description, Dialect, Exports, PolicyError,
    Settings, Snapshot,
};
use limits::Meter;
use ticker::Ticker;

/// How long a call waits before it looks for room again.
const UNTIL_THERE_IS_ROOM: Duration = Duration::from_millis(1);

/// The guard of the clause as a component, for hosts in other languages: see `wit/guard.wit`.
pub const GUARD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guard.wasm"));

/// The contract with JSON in the place of columns, a component that is composed with a policy: see
/// `wit/json-face.wit`.
pub const JSON_FACE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/json-face.wasm"));

/// A component that fulfils the contract, ready to be called. A clone is the same compiled
/// component.
///
/// ```
/// use serial_gate::gate::default_settings;
/// use serial_gate::model::Dialect;
/// use serial_gate::policy::{Allowance, DEFAULT_POLICY, Runtime};
///
/// let policy = Runtime::default().load(DEFAULT_POLICY, Allowance::default())?;
/// assert_eq!(policy.describe()?.name, "serial");
/// let now = jiff::Timestamp::now();
/// let clause = policy.claim_clause(&default_settings(), now, Dialect::Sqlite)?;
/// assert!(clause.text.starts_with("AND NOT ( jobs.agent = 'analyst'"));
/// # Ok::<(), serial_gate::policy::Error>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    component: Arc<ComponentPre<Meter>>,
    runtime: Runtime,
    ticker: Ticker,
    allowance: Allowance,
    digest: String,
}

impl Policy {
    /// The SHA-256 of the component's bytes, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether it is one of [`BUILT_IN`].
    pub fn is_built_in(&self) -> bool {
        built_in::is_digest(&self.digest)
    }

    /// How many parts of WASI the component imports, all of which are empty. A policy that is built
    /// without a standard library imports none.
    pub fn imports(&self) -> usize {
        let component = self.component.instance_pre().component();
        component.component_type().imports(component.engine()).len()
    }

    /// Who the policy is, in its own words: see [`texts`].
    ///
    /// # Errors
    ///
    /// When the call breaks a limit or traps.
    pub fn describe(&self) -> Result<Description, Error> {
        let time = self.allowance.clause_time();
        self.call("describe", time, |policy, store| {
            policy.call_describe(store)
        })
    }

    /// One decision for each queued job of the snapshot, as it is `now`, with reasons in the
    /// policy's own words: see [`texts`].
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
        check_rules(settings)?;
        let time = self.allowance.decide_time();
        self.call("decide", time, |policy, store| {
            policy.call_decide(store, settings, now.as_second(), snapshot)
        })?
        .map_err(|error| refused("decide", error))
    }

    /// The rule from `now` on as a fragment of SQL, which is not to be trusted, with notes in the
    /// policy's own words: see [`texts`].
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
        check_rules(settings)?;
        let time = self.allowance.clause_time();
        self.call("claim-clause", time, |policy, store| {
            policy.call_claim_clause(store, settings, now.as_second(), dialect)
        })?
        .map_err(|error| refused("claim-clause", error))
    }

    fn call<T>(
        &self,
        export: &'static str,
        time: Duration,
        call: impl FnOnce(&Exports, &mut Store<Meter>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        if self.runtime.is_told_to_stop() {
            return Err(Error::Stopped);
        }
        let begun = Instant::now();
        let ticking = self.ticker.start();
        let (mut store, instance) = self.instantiate_when_there_is_room(time);
        let answer = match instance {
            Ok(policy) => {
                let answer = call(policy.serial_gate_policy_serial_gate(), &mut store);
                if let Some(printed) = store.data().printed() {
                    tracing::debug!("`{export}` of a policy printed: {printed}");
                }
                answer.map_err(|cause| Error::of_call(export, time, &self.allowance, &store, cause))
            }
            Err(cause) => Err(self.blame(export, time, store, cause)),
        };
        drop(ticking);
        self.runtime.tally().count(export, begun.elapsed(), &answer);
        answer
    }

    /// A fresh instance for one call: a trap poisons only its own, and no call can influence the
    /// next one.
    fn instantiate_when_there_is_room(
        &self,
        time: Duration,
    ) -> (Store<Meter>, wasmtime::Result<Component>) {
        loop {
            let mut store = self.allowance.store(self.component.engine());
            ticker::limit(&mut store, time);
            match self.component.instantiate(&mut store) {
                // The pool is full. Each call under way ends, and makes room.
                Err(cause) if cause.is::<PoolConcurrencyLimitError>() => sleep(UNTIL_THERE_IS_ROOM),
                instance => return (store, instance),
            }
        }
    }

    /// Why there is no instance: what the policy's own code did at its start, or else what wasmtime
    /// says of the exports' types.
    fn blame(
        &self,
        export: &'static str,
        time: Duration,
        store: Store<Meter>,
        cause: wasmtime::Error,
    ) -> Error {
        let is_of_its_code =
            cause.is::<Trap>() || cause.is::<wasi::Denied>() || store.data().refused_memory();
        match is_of_its_code {
            true => Error::of_call(export, time, &self.allowance, &store, cause),
            false => contract::difference(&self.component, store, cause),
        }
    }
}

/// Refuses rules that are not a JSON object, before any policy reads them: the host reads some of
/// their keys itself.
fn check_rules(settings: &Settings) -> Result<(), Error> {
    let rules = settings.rules.as_deref().unwrap_or("{}");
    match serde_json::from_str::<Map<String, Value>>(rules) {
        Ok(_) => Ok(()),
        Err(cause) => Err(Error::Rules(cause)),
    }
}

fn refused(export: &'static str, error: PolicyError) -> Error {
    let (what, reason) = match error {
        PolicyError::InvalidRules(reason) => ("rules", reason),
        PolicyError::InvalidSnapshot(reason) => ("snapshot", reason),
    };
    let reason = texts::fit(&reason, texts::LETTERS);
    Error::Answered {
        export,
        what,
        reason,
    }
}
