//! The serial gate's default policy, and what other policies share with it.
//!
//! A task's first job (agent `analyst`) is held while an earlier task of its repo is unfinished,
//! or while the repo is frozen. The rule is plain Rust over plain data and runs natively, which is
//! how it is tested; `component` wraps it for WebAssembly. Another policy implements [`rule::Rule`]
//! and exports itself by `component`: `wip-limit/`, `freeze-window/` and `hotfix-lane/` do.
//!
//! The document `rules` is a JSON object, each key of which may be left out:
//!
//! ```json
//! {"gated_agents": ["analyst"], "finished_stages": ["done"], "repos": ["org/app"]}
//! ```
//!
//! `gated_agents` are the agents whose jobs the gate may hold, `finished_stages` the stages in
//! which a task is finished. With `repos` the gate acts in these repos only. They are compared as
//! exact text, so they may have names that the setting `repos` (a list with commas) cannot hold; a
//! repo is in scope when both admit it. A list must not be empty, and holds printable ASCII.
//!
//! Dependencies point one way: `component` → `serial` → `decide`, `clause` → `rule` → `settings` →
//! `scope`; all of them use `snapshot`. `rows` makes snapshots for tests.

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

// A policy that links this library imports nothing.
#[cfg(target_arch = "wasm32")]
use serial_gate_guest_runtime as _;

#[cfg(target_arch = "wasm32")]
pub mod component;
