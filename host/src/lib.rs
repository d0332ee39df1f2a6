//! The serial gate: holds a task's first job until every earlier task of its repo is done, and
//! holds a repo after a bad deploy until an operator clears it.
//!
//! The rooms, in the order in which they use each other:
//!
//! - [`work`] is a worker: it claims, prepares, runs a command and ends the job.
//! - [`branch`] cuts a task's branch when its turn comes.
//! - [`alerts`] tells people what happened, by Telegram or by a webhook.
//! - [`life`] is the life of a policy: check, swap, shadow, roll back, compare, replay.
//! - [`conform`] runs conformance cases through everything below, and checks policies.
//! - [`queue`] is where policy and store meet: claim, explain, the state of the queue.
//! - [`store`] is the database: schema, rows, the claim's transaction. It knows no policy.
//! - [`policy`] runs a WebAssembly component under limits. It knows no SQL.
//! - [`clause`] is the wall between them: it reads a policy's fragment and prints what may run.
//! - [`printable`] is text that can be shown on one line.
//! - [`ownership`] says whether other users can have written a file.
//! - [`model`] is the contract (`wit/serial-gate.wit`) as Rust types.
//!
//! The library prints nothing, never reads the clock (time is passed in), and never panics on data.

pub mod model;

pub mod clause;
pub mod policy;
pub mod store;

pub mod queue;

pub mod conform;

pub mod life;

pub mod alerts;

mod backoff;
mod child;
pub mod ownership;

pub mod printable;

pub mod branch;
pub mod work;
