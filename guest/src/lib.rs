//! The serial gate's default policy.
//!
//! A task's first job (agent `analyst`) is held while an earlier task of its repo is unfinished,
//! or while the repo is frozen. The rule is plain Rust over plain data and runs natively, which is
//! how it is tested; `component` wraps it for WebAssembly. Other policies build on it as a library.
//!
//! Dependencies point one way: `component` → `decide`, `clause` → `settings` → `snapshot`.

#![no_std]

extern crate alloc;

/// The policy's name.
pub const NAME: &str = "serial";

/// The policy's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub mod snapshot;

pub mod scope;
pub mod settings;

pub mod clause;
pub mod decide;

#[cfg(target_arch = "wasm32")]
mod runtime;

#[cfg(all(target_arch = "wasm32", feature = "component"))]
mod component;
