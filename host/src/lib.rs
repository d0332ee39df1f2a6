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
//! ```
//! use std::time::Duration;
//!
//! use jiff::Timestamp;
//! use serial_gate::gate::{Overrides, Rule, default_settings};
//! use serial_gate::queue::{Options, Queue};
//! use serial_gate::store::{Actor, NewTask};
//!
//! # let folder = tempfile::tempdir()?;
//! # let database = folder.path().join("queue.db");
//! let now = Timestamp::now();
//! let actor = Actor { now, who: "docs", why: "a new queue" };
//! Queue::init(&database, &default_settings(), actor)?;
//! let rule = Rule::Active(Overrides::default());
//! let mut queue = Queue::open(&database, rule, Options::default())?;
//!
//! for work_item in [Some("A-1"), Some("A-2")] {
//!     let task = NewTask { repo: "alpha", work_item, stage: "analysis", agent: "analyst", label: None };
//!     queue.store_mut().add_task(now, task)?;
//! }
//! let lease = Duration::from_secs(1800);
//! assert!(queue.claim(now, "worker-1", lease)?.is_some());
//! // The second task waits for the first one.
//! assert!(queue.claim(now, "worker-2", lease)?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
