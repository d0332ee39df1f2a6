//! The tests that need the real parts: the component, the database, the binary.
//!
//! One binary. Each folder holds the tests of one room of the host, `e2e/` those of several rooms
//! at once, and `support/` what more than one of them uses. `fixtures/` are the reference's 416
//! cases, `policies/` components of the tests' own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

mod support;

mod alerts;
mod clause;
mod cli;
mod conform;
mod e2e;
mod gate;
mod http;
mod observe;
mod policy;
mod queue;
mod rollout;
mod rooms;
mod store;
mod worker;
