//! The serial gate's default policy, and what other policies share with it.
//!
//! A task's first job (agent `analyst`) is held while an earlier task of its repo is unfinished,
//! or while the repo is frozen. The rule is plain Rust over plain data and runs natively, which is
//! how it is tested; `component` wraps it for WebAssembly. Another policy implements [`rule::Rule`]
//! and exports itself by `component`: `wip-limit/`, `freeze-window/` and `hotfix-lane/` do.
//!
//! Dependencies point one way: `component` → `serial` → `decide`, `clause` → `rule`, `settings` →
//! `scope`, `snapshot`; `rows` makes snapshots for tests.

#![no_std]

extern crate alloc;

/// The policy's name.
pub const NAME: &str = "serial";

/// The policy's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub mod rows;
pub mod snapshot;

pub mod rule;
pub mod scope;
pub mod settings;

pub mod clause;
pub mod decide;

pub mod serial;

#[cfg(target_arch = "wasm32")]
mod runtime;

#[cfg(target_arch = "wasm32")]
pub mod component;
