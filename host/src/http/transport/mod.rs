//! From the socket to an admitted caller, and back to the answer.
//!
//! - Connections: `listen`, `connections`, `limits`, `peer`, `socket`.
//! - A request, in the order in which it passes them: `counters`, `head`, `body`, `origin`,
//!   `access` (with `client`, `cookies`, `keys`, `secret`), `extract`, `uploads`, `hooks` (with
//!   `signature`).
//! - Answers: `answers`, `problem`, `status`, `document`.
//! - Threads: `actor`, `reader`, `writer` (with `change`, `waiter`).
//!
//! Callers rely on this: nothing here knows an operation of the API or a page, and a thread that
//! serves connections never waits for the database.

pub mod access;
pub mod actor;
pub mod answers;
pub mod body;
mod change;
mod client;
pub mod connections;
pub mod cookies;
pub mod counters;
pub mod document;
pub mod extract;
pub mod fields;
pub mod head;
pub mod hooks;
pub mod kept;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod nul;
pub mod origin;
pub mod parameters;
pub mod peer;
pub mod problem;
pub mod reader;
pub mod secret;
pub mod shutdown;
pub mod signature;
mod socket;
mod status;
pub mod uploads;
pub mod waiter;
pub mod writer;
