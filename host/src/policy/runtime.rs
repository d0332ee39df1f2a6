//! The engine that compiles and runs policies: one for a process.
//!
//! Owns wasmtime's configuration, and the way from bytes to a component that may be called: what
//! was loaded before, what is on the disk (`artefacts`), and else the checks that come before a
//! compiler sees it (`outline`, `contract`), the compiler in a separate process or in this one, and
//! the checks of its types. Callers rely on this: a compilation of a stranger's component that
//! nobody wants any more ends within a few milliseconds, where it has a process of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

use super::artefacts::Artefacts;
use super::calls::{Calls, Tally};
use super::compiler::Compiler;
use super::native::Artefact;
use super::outline::Outline;
use super::stop::Stop;
use super::ticker::Ticker;
use super::turns::Turns;
use super::version::Ready;
use super::{DEFAULT_POLICY, Error, Limits, Policy, contract, pool, wasi};

/// Compiles policies and runs them. A clone is the same runtime.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    ticker: Ticker,
    tally: Tally,
    loaded: Arc<Mutex<Vec<Loaded>>>,
    artefacts: Arc<Artefacts>,
    turns: Turns,
    /// None compiles in this process.
    compiler: Option<Compiler>,
    /// Ends all compilations.
    stop: Stop,
    /// Ends the compilations and calls of this clone.
    until: Option<Stop>,
}

/// A component that was checked and compiled, by the digest of its bytes.
struct Loaded {
    digest: String,
    component: Arc<Ready>,
}

/// How many components are kept compiled: the active policy of a queue, the one before, a candidate
/// and a shadow. Many queues of one process share them.
const KEPT: usize = 4;

impl Runtime {
    /// Starts the engine, and the thread that watches over the time limits. Policies are compiled
    /// in this process: the caps on their parts hold, and nothing else ends a compilation. A host
    /// that takes policies of strangers gives it a compiler: see [`Runtime::with_compiler`].
    ///
    /// # Errors
    ///
    /// When this machine cannot run WebAssembly, or has no thread left.
    pub fn new() -> Result<Runtime, Error> {
        let engine = pool::engine(&mut config()).map_err(Error::Engine)?;
        let ticker = Ticker::spawn(&engine).map_err(|cause| Error::Engine(cause.into()))?;
        Ok(Runtime {
            artefacts: Arc::new(Artefacts::open(&engine)),
            engine,
            ticker,
            tally: Tally::default(),
            loaded: Arc::default(),
            turns: Turns::default(),
            compiler: None,
            stop: Stop::default(),
            until: None,
        })
    }

    /// The same, where every policy but the built-in one is compiled by a separate process.
    ///
    /// # Errors
    ///
    /// As [`Runtime::new`].
    pub fn with_compiler(compiler: Compiler) -> Result<Runtime, Error> {
        Ok(Runtime {
            compiler: Some(compiler),
            ..Runtime::new()?
        })
    }

    /// The same runtime for one piece of work: once `stop` is told, its compilations end, and its
    /// policies are not called any more. It tries again what could not be compiled lately.
    pub fn until(&self, stop: Stop) -> Runtime {
        Runtime {
            until: Some(stop),
            ..self.clone()
        }
    }

    /// Ends every compilation that is under way in a separate process, and begins no other.
    /// Policies that are loaded are called as before.
    pub fn stop_compiling(&self) {
        self.stop.tell();
    }

    /// Checks and compiles a policy: size, imports and contract. Its code does not run yet.
    ///
    /// # Errors
    ///
    /// When the bytes are not a component, are too large, import what is not WASI's, or lack a part
    /// of the contract; when the compiler ends without a result.
    pub fn load(&self, bytes: &[u8], limits: Limits) -> Result<Policy, Error> {
        let digest = digest(bytes);
        if let Some(policy) = self.load_kept(&digest, limits) {
            return Ok(policy);
        }
        let goes_on = || self.goes_on();
        let _turn = self.turns.wait(&digest, &goes_on).ok_or(Error::Stopped)?;
        let component = match self.kept(&digest) {
            Some(component) => component,
            None => self.keep(&digest, self.ready(bytes, &digest)?),
        };
        Ok(self.policy(component, &digest, limits))
    }

    /// A policy that was loaded before and is still compiled, by the digest of its bytes.
    pub fn load_kept(&self, digest: &str, limits: Limits) -> Option<Policy> {
        Some(self.policy(self.kept(digest)?, digest, limits))
    }

    /// What the calls of this runtime's policies came to, by the function's name.
    pub fn calls(&self) -> BTreeMap<&'static str, Calls> {
        self.tally.read()
    }

    fn policy(&self, component: Arc<Ready>, digest: &str, limits: Limits) -> Policy {
        Policy {
            component,
            ticker: self.ticker.clone(),
            tally: self.tally.clone(),
            until: self.until.clone(),
            limits,
            digest: digest.into(),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.is_told() && !self.until.as_ref().is_some_and(Stop::is_told)
    }

    /// From the disk or from a compiler.
    fn ready(&self, bytes: &[u8], digest: &str) -> Result<Ready, Error> {
        contract::check_is_component(bytes)?;
        if let Some(artefact) = self.artefacts.read(digest)
            && let Ok(component) = artefact.load(&self.engine)
        {
            return self.checked(&component);
        }
        contract::check_names(&Outline::read(bytes)?)?;
        let artefact = match &self.compiler {
            Some(compiler) if bytes != DEFAULT_POLICY => {
                self.compile_outside(compiler, bytes, digest)?
            }
            _ => {
                let artefact = self.engine.precompile_component(bytes);
                Artefact::of_our_compiler(artefact.map_err(Error::Compile)?)
            }
        };
        let component = artefact.load(&self.engine).map_err(Error::Compile)?;
        let ready = self.checked(&component)?;
        self.artefacts.keep(digest, &artefact);
        Ok(ready)
    }

    fn compile_outside(
        &self,
        compiler: &Compiler,
        bytes: &[u8],
        digest: &str,
    ) -> Result<Artefact, Error> {
        if self.until.is_none()
            && let Some(failure) = self.turns.failed_before(digest)
        {
            return Err(failure.into());
        }
        let compiled = compiler.compile(bytes, &|| self.goes_on());
        if let Err(Error::Compiler(failure)) = &compiled
            && failure.is_likely_to_repeat()
        {
            self.turns.remember(digest, failure);
        }
        compiled
    }

    fn checked(&self, component: &Component) -> Result<Ready, Error> {
        let version = contract::check(&self.engine, component)?;
        let mut linker = Linker::new(&self.engine);
        wasi::define(&mut linker, &self.engine, &component.component_type())
            .map_err(Error::Wasi)?;
        let component = linker.instantiate_pre(component).map_err(Error::Wasi)?;
        Ready::new(component, version).map_err(|cause| contract::of_all(version, cause))
    }

    /// What was used last is kept longest.
    fn kept(&self, digest: &str) -> Option<Arc<Ready>> {
        let mut loaded = self.loaded();
        let place = loaded.iter().position(|loaded| loaded.digest == digest)?;
        let found = loaded.remove(place);
        let component = Arc::clone(&found.component);
        loaded.push(found);
        Some(component)
    }

    /// Keeps a component, and forgets the one that was not used for longest.
    fn keep(&self, digest: &str, component: Ready) -> Arc<Ready> {
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
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The SHA-256 of some bytes, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// How policies are compiled, by every process alike.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // The same answer on every machine: no NaN bits that depend on the processor.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Nobody reads a policy's backtrace, and a command has to load what describes it.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        // A call is one function at a time, and its store needs nothing for more.
        .concurrency_support(false);
    config
}
