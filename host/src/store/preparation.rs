//! What a preparation is asked for, and what it comes to.
//!
//! Owns the words. Leaves the preparation to each engine.

use std::time::Duration;

use super::{Actor, Change, NewGeneration, Proof, Risk, Trial};

/// How a database is to be prepared.
#[derive(Clone, Copy)]
pub struct Preparation<'a> {
    /// The generation to make active, unless there are generations already.
    pub first: NewGeneration<'a>,
    /// Who does it.
    pub actor: Actor<'a>,
    /// What to try, under the active generation's settings.
    pub trial: &'a dyn Fn(&str) -> Trial,
    /// Whether to make new tables although the database has others of almost their names.
    pub new_tables: bool,
    /// Whether to roll everything back in the end.
    pub dry_run: bool,
}

/// What a database was before it was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// There was nothing.
    Nothing,
    /// Another program's database, without `tasks` and `jobs`.
    OtherTables,
    /// A database with another program's `tasks` or `jobs`.
    Orchestrator,
    /// A queue that was prepared already.
    Queue,
}

/// A database that was prepared.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What it was before.
    pub before: Before,
    /// What was added or changed.
    pub changes: Vec<Change>,
    /// The result of the trial.
    pub proof: Proof,
    /// What was tried.
    pub trial: Trial,
    /// Tables of other programs that the gate does not read, although they have almost the names of
    /// its own.
    pub unread: Vec<String>,
    /// Why an acknowledged change may be lost there.
    pub risks: Vec<Risk>,
    /// How long every other writer had to wait.
    pub locked: Duration,
}
