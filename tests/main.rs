//! The tests that need the real parts: the component, the database, the binary.
//!
//! They are one binary. A folder holds the tests of one room of the host, `e2e/` tests of several
//! rooms, and `support/` what they share. `fixtures/` has the reference's 416 cases, `policies/` a
//! component for tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and prints what it measured"
)]

mod support;

mod alerts;
mod clause;
mod cli;
mod conform;
mod docs;
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
