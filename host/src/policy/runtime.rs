//! The engine that compiles and runs policies: one for a process.
//!
//! Owns the way from bytes to a component that may be called. A component that was loaded before,
//! or whose compiled form is on the disk, is used. Any other is checked, compiled in a separate
//! process or in this one, and has its types checked. Callers rely on this: the engine starts with
//! the first policy, so that a command that needs none does not pay for it; and a compilation in a
//! separate process ends within a few milliseconds of `Stop`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::calls::{Calls, Tally};
use super::compile::{Artefact, Artefacts, Compiler, Turns, border};
use super::limits::Meter;
use super::stop::Stop;
use super::ticker::Ticker;
use super::{Allowance, Error, Policy, contract, engine, is_built_in, wasi};
use crate::model::ComponentPre;
use crate::printable::hex;

/// Compiles policies and runs them. A clone is the same runtime.
#[derive(Clone, Default)]
pub struct Runtime {
    shared: Arc<Shared>,
    /// Ends the compilations and calls of this clone.
    until: Option<Stop>,
}

#[derive(Default)]
struct Shared {
    /// None compiles in this process.
    compiler: Option<Compiler>,
    started: OnceLock<Started>,
    loaded: Mutex<Vec<Loaded>>,
    tally: Tally,
    turns: Turns,
    /// Ends all compilations.
    stop: Stop,
}

struct Started {
    engine: Engine,
    ticker: Ticker,
    artefacts: Artefacts,
}

/// A component that was checked and compiled, by the digest of its bytes.
struct Loaded {
    digest: String,
    component: Arc<ComponentPre<Meter>>,
}

/// How many components are kept compiled: the active policy of a queue, the one before, a candidate
/// and a shadow. Many queues of one process share them.
const KEPT: usize = 4;

impl Runtime {
    /// Starts the engine at once. Policies are compiled in this process: the caps on their parts
    /// hold, and nothing else ends a compilation.
    ///
    /// # Errors
    ///
    /// When this machine cannot run WebAssembly, or has no thread left.
    pub fn new() -> Result<Runtime, Error> {
        let runtime = Runtime::default();
        runtime.start()?;
        Ok(runtime)
    }

    /// A runtime that compiles every policy but the built-in one in a separate process, as a host
    /// should that accepts policies from strangers; without a compiler, in this process. The engine
    /// starts when it is needed.
    pub fn with_compiler(compiler: Option<Compiler>) -> Runtime {
        let shared = Shared {
            compiler,
            ..Shared::default()
        };
        Runtime {
            shared: Arc::new(shared),
            until: None,
        }
    }

    /// Starts the engine, if it has not started.
    ///
    /// # Errors
    ///
    /// As [`Runtime::new`].
    pub fn start(&self) -> Result<(), Error> {
        self.started().map(drop)
    }

    /// The same runtime for one piece of work: once `stop` is given, its compilations end, and its
    /// policies are no longer called. It tries again what could not be compiled lately.
    pub fn until(&self, stop: Stop) -> Runtime {
        Runtime {
            until: Some(stop),
            ..self.clone()
        }
    }

    /// Ends every compilation that is under way in a separate process, and begins no other.
    /// Policies that are loaded are called as before.
    pub fn stop_compiling(&self) {
        self.shared.stop.tell();
    }

    /// Checks and compiles a policy: size, imports and contract. Its code does not run yet.
    ///
    /// # Errors
    ///
    /// When the bytes are not a component, are too large, import what is not WASI's, or lack a part
    /// of the contract; when the compiler ends without a result.
    pub fn load(&self, bytes: &[u8], allowance: Allowance) -> Result<Policy, Error> {
        let started = self.started()?;
        let digest = digest(bytes);
        if let Some(policy) = self.load_kept(&digest, allowance) {
            return Ok(policy);
        }
        let goes_on = || self.goes_on();
        let turn = self.shared.turns.wait(&digest, &goes_on);
        let _turn = turn.ok_or(Error::Stopped)?;
        let component = match self.kept(&digest) {
            Some(component) => component,
            None => self.keep(&digest, self.ready(started, bytes, &digest)?),
        };
        Ok(self.policy(started, component, &digest, allowance))
    }

    /// A policy that was loaded before and is still compiled, by the digest of its bytes.
    pub fn load_kept(&self, digest: &str, allowance: Allowance) -> Option<Policy> {
        let started = self.shared.started.get()?;
        Some(self.policy(started, self.kept(digest)?, digest, allowance))
    }

    /// What the calls of this runtime's policies came to, by the function's name.
    pub fn calls(&self) -> BTreeMap<&'static str, Calls> {
        self.shared.tally.read()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Whether the work that this clone is for is no longer wanted.
    pub(super) fn is_told_to_stop(&self) -> bool {
        self.until.as_ref().is_some_and(Stop::is_told)
    }

    fn goes_on(&self) -> bool {
        !self.shared.stop.is_told() && !self.is_told_to_stop()
    }

    fn started(&self) -> Result<&Started, Error> {
        if let Some(started) = self.shared.started.get() {
            return Ok(started);
        }
        let engine = engine::start().map_err(Error::Engine)?;
        let started = Started {
            ticker: Ticker::spawn(&engine).map_err(|cause| Error::Engine(cause.into()))?,
            artefacts: Artefacts::open(&engine),
            engine,
        };
        // Of two threads that start it together, one drops its own.
        Ok(self.shared.started.get_or_init(|| started))
    }

    fn policy(
        &self,
        started: &Started,
        component: Arc<ComponentPre<Meter>>,
        digest: &str,
        allowance: Allowance,
    ) -> Policy {
        Policy {
            component,
            runtime: self.clone(),
            ticker: started.ticker.clone(),
            allowance,
            digest: digest.into(),
        }
    }

    /// From the disk or from a compiler.
    fn ready(
        &self,
        started: &Started,
        bytes: &[u8],
        digest: &str,
    ) -> Result<ComponentPre<Meter>, Error> {
        let Started {
            engine, artefacts, ..
        } = started;
        contract::check_is_component(bytes)?;
        if let Some(artefact) = artefacts.read(digest)
            && let Ok(component) = artefact.load(engine)
        {
            return linked(engine, &component);
        }
        contract::check_border(&border(bytes)?)?;
        let artefact = match &self.shared.compiler {
            Some(compiler) if !is_built_in(bytes) => {
                self.compile_outside(compiler, bytes, digest)?
            }
            _ => {
                let artefact = engine.precompile_component(bytes);
                Artefact::of_our_compiler(artefact.map_err(Error::Compile)?)
            }
        };
        let component = artefact.load(engine).map_err(Error::Compile)?;
        let ready = linked(engine, &component)?;
        artefacts.keep(digest, &artefact);
        Ok(ready)
    }

    fn compile_outside(
        &self,
        compiler: &Compiler,
        bytes: &[u8],
        digest: &str,
    ) -> Result<Artefact, Error> {
        let turns = &self.shared.turns;
        if self.until.is_none()
            && let Some(failure) = turns.failed_before(digest)
        {
            return Err(failure.into());
        }
        let compiled = compiler.compile(bytes, &|| self.goes_on());
        if let Err(Error::Compiler(failure)) = &compiled
            && failure.is_likely_to_repeat()
        {
            turns.remember(digest, failure);
        }
        compiled
    }

    /// A component by its digest, which is now the most recently used one.
    fn kept(&self, digest: &str) -> Option<Arc<ComponentPre<Meter>>> {
        let mut loaded = self.loaded();
        let place = loaded.iter().position(|loaded| loaded.digest == digest)?;
        let found = loaded.remove(place);
        let component = Arc::clone(&found.component);
        loaded.push(found);
        Some(component)
    }

    /// Keeps a component, and forgets the least recently used one.
    fn keep(&self, digest: &str, component: ComponentPre<Meter>) -> Arc<ComponentPre<Meter>> {
        let component = Arc::new(component);
        let mut loaded = self.loaded();
        if loaded.len() == KEPT {
            loaded.remove(0);
        }
        loaded.push(Loaded {
            digest: digest.into(),
            component: Arc::clone(&component),
        });
        component
    }

    /// A list of whole values, so a poisoned lock means nothing here.
    fn loaded(&self) -> MutexGuard<'_, Vec<Loaded>> {
        let loaded = self.shared.loaded.lock();
        loaded.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The component with what it may import, once its names are the contract's.
fn linked(engine: &Engine, component: &Component) -> Result<ComponentPre<Meter>, Error> {
    contract::check(engine, component)?;
    let mut linker = Linker::new(engine);
    wasi::define(&mut linker, engine, &component.component_type()).map_err(Error::Wasi)?;
    let component = linker.instantiate_pre(component).map_err(Error::Wasi)?;
    ComponentPre::new(component).map_err(|cause| Error::Contract {
        part: "the interface".into(),
        cause,
    })
}

/// The SHA-256 of some bytes, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
