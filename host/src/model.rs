//! The contract as Rust types, generated from `wit/serial-gate.wit`, which documents every field.
//!
//! Owns nothing but names: no rule, no I/O. The types are the generated ones and not copies of
//! them, so that a snapshot goes to a policy without a conversion.

mod generated {
    #![allow(
        missing_docs,
        reason = "generated: the contract is documented in wit/serial-gate.wit"
    )]
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "generated"
    )]

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "policy",
        additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) use generated::{Policy as Component, PolicyPre as ComponentPre};

pub use generated::exports::serial_gate::policy::serial_gate::{
    Clause, Decision, Description, Dialect, Freeze, Hold, Job, PolicyError, Settings, Snapshot,
    Symbol, Task, TaskRef, Verdict,
};

/// The interface that a policy exports, with its version.
pub const INTERFACE: &str = "serial-gate:policy/serial-gate@0.2.0";
