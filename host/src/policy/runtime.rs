//! The engine that compiles and runs policies: one for a process.
//!
//! Owns wasmtime's configuration and the checks that come before a component is ever run. Compiled
//! code is kept on disk by wasmtime's own cache, so that a second process does not compile again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine};

use super::calls::{Calls, Tally};
use super::ticker::Ticker;
use super::version::Ready;
use super::{Error, Limits, Policy, contract, pool, wasi};

/// Compiles policies and runs them. A clone is the same runtime.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    ticker: Ticker,
    tally: Tally,
    loaded: Arc<Mutex<Vec<Loaded>>>,
}

/// A component that was checked and compiled, by the digest of its bytes.
struct Loaded {
    digest: String,
    component: Arc<Ready>,
}

/// How many components are kept compiled: the active policy of a queue, the one before, a candidate
/// and a shadow. Many queues of one process go by the same ones.
const KEPT: usize = 4;

impl Runtime {
    /// Starts the engine, and the thread that watches over the time limits.
    ///
    /// # Errors
    ///
    /// When this machine cannot run WebAssembly, or has no thread left.
    pub fn new() -> Result<Runtime, Error> {
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
            .concurrency_support(false)
            .cache(cache());
        let engine = pool::engine(&mut config).map_err(Error::Engine)?;
        let ticker = Ticker::spawn(&engine).map_err(|cause| Error::Engine(cause.into()))?;
        Ok(Runtime {
            engine,
            ticker,
            tally: Tally::default(),
            loaded: Arc::default(),
        })
    }

    /// Checks and compiles a policy: contract and imports. Its code does not run yet.
    ///
    /// # Errors
    ///
    /// When the bytes are not a component, import what is not WASI's, or lack a part of the contract.
    pub fn load(&self, bytes: &[u8], limits: Limits) -> Result<Policy, Error> {
        let digest = digest(bytes);
        let component = match self.kept(&digest) {
            Some(component) => component,
            None => self.keep(&digest, self.compile(bytes)?),
        };
        Ok(Policy {
            component,
            ticker: self.ticker.clone(),
            tally: self.tally.clone(),
            limits,
            digest,
        })
    }

    /// A policy that was loaded before and is still compiled, by the digest of its bytes.
    pub fn load_kept(&self, digest: &str, limits: Limits) -> Option<Policy> {
        Some(Policy {
            component: self.kept(digest)?,
            ticker: self.ticker.clone(),
            tally: self.tally.clone(),
            limits,
            digest: digest.into(),
        })
    }

    /// What the calls of this runtime's policies came to, by the function's name.
    pub fn calls(&self) -> BTreeMap<&'static str, Calls> {
        self.tally.read()
    }

    fn compile(&self, bytes: &[u8]) -> Result<Ready, Error> {
        contract::check_is_component(bytes)?;
        let component = Component::new(&self.engine, bytes).map_err(Error::Compile)?;
        let version = contract::check(&self.engine, &component)?;
        let mut linker = Linker::new(&self.engine);
        wasi::define(&mut linker, &self.engine, &component.component_type())
            .map_err(Error::Wasi)?;
        let component = linker.instantiate_pre(&component).map_err(Error::Wasi)?;
        Ready::new(component, version).map_err(|cause| contract::of_all(version, cause))
    }

    fn kept(&self, digest: &str) -> Option<Arc<Ready>> {
        let loaded = self.loaded();
        let found = loaded.iter().find(|loaded| loaded.digest == digest)?;
        Some(Arc::clone(&found.component))
    }

    /// Keeps a component, and forgets the one that was kept longest.
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

/// Without a cache everything works, only slower, so a home that cannot be written is no error.
fn cache() -> Option<Cache> {
    let mut config = CacheConfig::new();
    // A command's start is mostly the unpacking of its policy, which is fastest at the lowest level.
    // A file is packed once more, and harder, after many uses: that would make it slower again.
    config
        .with_baseline_compression_level(1)
        .with_optimized_compression_usage_counter_threshold(u64::MAX);
    Cache::new(config)
        .inspect_err(|error| tracing::debug!("compiled policies are not kept on disk: {error:#}"))
        .ok()
}
