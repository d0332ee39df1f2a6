//! The serial gate: holds a task's first job until every earlier task of its repo is done, and
//! holds a repo after a bad deploy until an operator clears it.
//!
//! The rooms, each of which uses only rooms before it:
//!
//! - [`model`] is the contract (`wit/serial-gate.wit`) as Rust types.
//! - [`clause`] is the guard: it reads a policy's fragment and prints what may run.
//! - [`policy`] runs a WebAssembly component under limits. It knows no SQL.
//! - [`store`] is the database: schema, rows, the claim's transaction. It knows no policy.
//! - [`gate`] answers which clause holds now: settings, generation, reload, fallback.
//! - [`observe`] watches claims: shadow, decision log, agreement of `decide` and the clause.
//! - [`queue`] is what happens to jobs: claim, explain, the state of the queue.
//! - [`conform`] runs conformance cases through everything above, and checks policies.
//! - [`rollout`] brings a policy into use: check, swap, shadow, roll back, compare, replay.
//! - [`alerts`] tells people what happened, by Telegram or by a webhook.
//! - [`worker`] claims, cuts the task's branch, runs a command and ends the job.
//!
//! Small helpers for all of them: [`error`], [`printable`], [`ownership`] (whether other users can
//! have written a file), and [`remedy`] (what helps after an error).
//!
//! The library prints nothing, never reads the clock (time is passed in), and never panics on data.

pub mod model;

pub use serial_gate_clause as clause;
pub mod policy;
pub mod store;

pub mod gate;
pub mod observe;
pub mod queue;

pub mod conform;
pub mod rollout;

pub mod alerts;
pub mod worker;

pub mod error;
pub mod printable;
pub mod remedy;

mod backoff;
mod recent;

pub mod ownership;
