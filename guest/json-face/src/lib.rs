//! The contract of policies with JSON in the place of columns, as a WebAssembly component that is
//! composed with a policy.
//!
//! Owns the calls. `request` reads what was asked, `columns` makes the contract's tables of its
//! rows, `answer` writes what the policy said. The manual is `wit/json-face.wit`.

#![no_std]
#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "only a component calls it")
)]

extern crate alloc;

mod answer;
mod columns;
mod object;
mod request;

#[cfg(target_arch = "wasm32")]
mod component;
