//! The tests that need the real parts: the component, the database, the binary.
//!
//! One binary, one file for each topic. `harness` starts the binary and makes random states; the
//! fixtures are the reference's 416 cases and the clauses that the guard must tell apart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

mod harness;

mod adoption;
mod agreement;
mod agreement_check;
mod agreement_in_use;
mod alerts;
mod bad_input;
mod bombs;
mod browser;
mod claiming;
mod clause;
mod clause_version;
mod clocks;
mod command_line;
mod configuration;
mod conformance;
mod containment;
mod effects;
mod failure;
mod files;
mod flat;
mod freezes;
mod generations;
mod journal;
mod kept_policies;
mod lines;
mod old_contracts;
mod one_repo_s_failure;
mod plans;
mod policies;
mod policy_check;
mod policy_new;
#[cfg(target_os = "linux")]
mod power_cut;
mod processes;
mod promises;
mod refused_rows;
mod service;
mod signatures;
mod story;
mod streams;
mod stuck;
mod swapping;
mod tasks;
mod texts_of_policies;
mod tokens;
mod trials;
mod trusted_fallbacks;
mod users;
mod waiters;
mod wasi;
mod work;
