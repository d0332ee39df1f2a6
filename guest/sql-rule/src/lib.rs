//! A policy from one file: a clause with parameters.
//!
//! A rule file is the clause of a policy, with comments on lines of their own. The first comments
//! say who the policy is, and which parameters it has with which defaults:
//!
//! ```sql
//! -- name: two-at-once
//! -- version: 1.0.0
//! -- summary: a task waits while `limit` earlier tasks of its repo are unfinished
//! -- rules: {"limit": 2, "agents": ["analyst"]}
//! AND NOT ( jobs.agent IN :agents AND (
//!     (SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id
//!         AND t.stage != 'done') >= :limit
//!     OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )
//! ```
//!
//! A parameter is a whole number, a text, `true` or `false`, or a list of numbers or of texts for
//! `IN :name`. The document `rules` of the settings may replace each default by a value of the same
//! type. Its key `repos` narrows the scope, as in every policy of this project. The kill switch,
//! the scope and `freeze_enabled` need no line in the file: see `clause`.
//!
//! Owns the file's form, and `decide`: the filled clause is evaluated over the snapshot, so the two
//! answers are one by construction. Leaves the language of clauses to `serial-gate-clause`.
//!
//! Dependencies point one way: `slot` → `file` → `clause` → `fill` → `scan`,
//! `parameters`; `decide` → `truth`, `blame` → `tables` → `value`.

#![no_std]

extern crate alloc;

mod blame;
mod clause;
mod decide;
mod fill;
mod parameters;
mod scan;
mod tables;
mod truth;
mod value;

mod error;
mod file;
pub mod slot;

pub use decide::{Decision, Fault, Hold};
pub use error::Error;
pub use file::{Answer, RuleFile, Settings};
pub use tables::{Rows, State};

#[cfg(all(target_arch = "wasm32", feature = "component"))]
mod component;

#[cfg(test)]
mod tests;
