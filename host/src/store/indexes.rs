//! The indexes that a statement names, and what they cover.
//!
//! Owns the names. Leaves to the schema how each is made. Callers rely on this: a statement whose
//! condition has the same words as an index can use that index.

/// The queue in claim order. The claim is pinned to it.
pub(crate) const QUEUED: &str = "serial_gate_jobs_queued";

/// The queued jobs of a repo and an agent, by id.
pub(crate) const PARTITIONS: &str = "serial_gate_jobs_partitions";

/// The same by task.
pub(crate) const LINES: &str = "serial_gate_jobs_lines";

/// The queued jobs of an agent, by id. SQLite needs none: there each agent has its heads.
#[cfg(feature = "postgres")]
pub(crate) const AGENTS: &str = "serial_gate_jobs_agents";

/// The jobs that failed, of each task and agent the newest at the end.
pub(crate) const FAILED: &str = "serial_gate_jobs_failed";

// No `status IS NULL`: where a column is NOT NULL, SQLite removes it from a statement, but not from
// the index, which the statement then cannot use.
macro_rules! is_foreign {
    () => {
        "coalesce(status, '') NOT IN ('queued', 'running', 'failed', 'done', 'cancelled')
            AND lower(trim(coalesce(status, ''))) NOT IN ('done', 'complete', 'completed', \
            'finished', 'success', 'succeeded', 'canceled', 'cancelled', 'skipped', 'closed')"
    };
}

macro_rules! is_open {
    () => {
        "status IN ('queued', 'running')"
    };
}

pub(crate) use {is_foreign, is_open};

/// The same for jobs with another program's status, unless that status ends a job.
pub(crate) const FOREIGN: &str = "serial_gate_jobs_foreign";

/// What the index of them covers.
pub(crate) const IS_FOREIGN: &str = is_foreign!();

/// The jobs of each task that run or wait.
pub(crate) const OPEN: &str = "serial_gate_jobs_open";

/// What the index of them covers. No rule is written like this, so no rule's plan uses the index.
pub(crate) const IS_OPEN: &str = is_open!();

/// The tasks of each repo that the default rules do not finish.
pub(crate) const UNFINISHED: &str = "serial_gate_tasks_unfinished";

/// The jobs that the gate has ended, of each repo by time, with what the pictures of the history
/// need. Partial, so that no other statement takes it.
pub(crate) const ENDED: &str = "serial_gate_jobs_ended";

/// The running jobs, by the end of their leases.
pub(crate) const LEASED: &str = "serial_gate_jobs_leased";
