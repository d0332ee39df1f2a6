//! The tables, as data: what a table must have, what is added to it, and how an absent one is made.
//!
//! Owns every name in the database. Only tables, nullable columns and indexes are in these lists,
//! so an orchestrator's statements that name their columns keep working. `triggers` has the
//! triggers, and `migrate` brings a database there.

use crate::store::indexes::{
    ENDED, FAILED, FOREIGN, LINES, OPEN, PARTITIONS, QUEUED, UNFINISHED, is_foreign, is_open,
};
use crate::store::records::tasks::LABEL;

/// A table that is shared with the orchestrator. Each has an `id`, which gives the order.
pub(crate) struct Shared {
    pub name: &'static str,
    /// The rule needs these. They are compared as this type.
    pub required: &'static [(&'static str, Affinity)],
    /// Added when missing; nullable, so that other programs need not know them.
    pub added: &'static [(&'static str, &'static str)],
    pub create: &'static str,
}

/// What SQLite makes of a value that is stored in a column or compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    Integer,
    Text,
}

pub(crate) const SHARED: [Shared; 3] = [
    Shared {
        name: "tasks",
        required: &[("repo", Affinity::Text), ("stage", Affinity::Text)],
        added: &[
            ("work_item_id", "TEXT"),
            ("created_at", "TEXT"),
            // The stage that was last set through the gate, and when. Another program that sets
            // `stage` leaves them behind, so the time counts only while the stage is the same.
            ("gate_stage", "TEXT"),
            ("gate_stage_at", "TEXT"),
            (LABEL, "TEXT"),
            // The branch that is cut for the task, and from where. Until it is cut it is only
            // planned.
            ("gate_branch", "TEXT"),
            ("gate_base", "TEXT"),
            ("gate_base_commit", "TEXT"),
            ("gate_cut_at", "TEXT"),
        ],
        create: "CREATE TABLE tasks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            work_item_id TEXT,
            repo TEXT,
            stage TEXT,
            created_at TEXT DEFAULT (datetime('now')),
            gate_stage TEXT,
            gate_stage_at TEXT,
            gate_label TEXT,
            gate_branch TEXT,
            gate_base TEXT,
            gate_base_commit TEXT,
            gate_cut_at TEXT
        )",
    },
    Shared {
        name: "jobs",
        required: &[
            ("task_id", Affinity::Integer),
            ("repo", Affinity::Text),
            ("agent", Affinity::Text),
            ("status", Affinity::Text),
        ],
        added: &[
            ("created_at", "TEXT"),
            ("gate_worker", "TEXT"),
            ("gate_claimed_at", "TEXT"),
            ("gate_lease_until", "TEXT"),
            ("gate_attempt", "INTEGER"),
            ("gate_token", "TEXT"),
            ("gate_error", "TEXT"),
            // The generation that the job was claimed under.
            ("gate_generation", "INTEGER"),
            // How often the job was put off because its branch could not be cut; 0 if only because
            // an attempt failed.
            ("gate_put_off", "INTEGER"),
            // A number that grows with every claim, for other systems.
            ("gate_fence", "INTEGER"),
            // How the claim of this token ended, until the job is claimed anew.
            ("gate_outcome", "TEXT"),
            // How long the lease, or the delay, was when it was written, in seconds.
            ("gate_lease", "INTEGER"),
            // How many attempts have failed, while there are more.
            ("gate_failures", "INTEGER"),
            // What the worker is told of the end of its claim, besides its outcome.
            ("gate_answer", "TEXT"),
            // When the gate ended the job, UTC; nothing while it waits or runs.
            ("gate_ended_at", "TEXT"),
        ],
        create: "CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            task_id INTEGER,
            repo TEXT,
            agent TEXT,
            status TEXT DEFAULT 'queued',
            created_at TEXT DEFAULT (datetime('now')),
            gate_worker TEXT,
            gate_claimed_at TEXT,
            gate_lease_until TEXT,
            gate_attempt INTEGER,
            gate_token TEXT,
            gate_error TEXT,
            gate_generation INTEGER,
            gate_put_off INTEGER,
            gate_fence INTEGER,
            gate_outcome TEXT,
            gate_lease INTEGER,
            gate_failures INTEGER,
            gate_answer TEXT,
            gate_ended_at TEXT
        )",
    },
    Shared {
        name: "repo_freeze",
        required: &[("repo", Affinity::Text), ("cleared_at", Affinity::Text)],
        added: &[
            ("frozen_at", "TEXT"),
            ("reason", "TEXT"),
            ("work_item_id", "TEXT"),
            // The generation that was active then.
            ("gate_generation", "INTEGER"),
            // What people know the freeze by. A trigger gives it, and it never comes again, which
            // an id may.
            ("gate_number", "INTEGER"),
        ],
        create: "CREATE TABLE repo_freeze (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            repo TEXT NOT NULL,
            frozen_at TEXT DEFAULT (datetime('now')),
            cleared_at TEXT,
            reason TEXT,
            work_item_id TEXT,
            gate_generation INTEGER,
            gate_number INTEGER
        )",
    },
];

/// Indexes that keep a state to one generation and a delivery to one row, each with its table and what it covers.
pub(crate) const UNIQUE: [(&str, &str, &str); 3] = [
    (
        "serial_gate_generation_active",
        "serial_gate_generation",
        "(state) WHERE state = 'active'",
    ),
    (
        "serial_gate_generation_shadow",
        "serial_gate_generation",
        "(state) WHERE state = 'shadow'",
    ),
    (
        "serial_gate_hook_mark",
        "serial_gate_hook",
        "(forge, repo, mark)",
    ),
];

/// Indexes, each with its table and what it covers.
pub(crate) const INDEXES: [(&str, &str, &str); 25] = [
    (QUEUED, "jobs", "(id) WHERE status = 'queued'"),
    (PARTITIONS, "jobs", "(repo, agent) WHERE status = 'queued'"),
    (
        LINES,
        "jobs",
        "(repo, agent, task_id) WHERE status = 'queued'",
    ),
    (
        "serial_gate_jobs_leased",
        "jobs",
        "(gate_lease_until) WHERE status = 'running'",
    ),
    (FAILED, "jobs", "(task_id, agent) WHERE status = 'failed'"),
    (
        FOREIGN,
        "jobs",
        concat!("(task_id, agent) WHERE ", is_foreign!()),
    ),
    (OPEN, "jobs", concat!("(task_id) WHERE ", is_open!())),
    (
        ENDED,
        "jobs",
        "(repo, gate_ended_at, gate_claimed_at, created_at, status) WHERE gate_ended_at IS NOT NULL",
    ),
    ("serial_gate_attempt_job", "serial_gate_attempt", "(job)"),
    (
        "serial_gate_attempt_repo",
        "serial_gate_attempt",
        "(repo, ended_at)",
    ),
    (
        "serial_gate_deploy_healthy",
        "serial_gate_deploy",
        "(repo, work_item_id) WHERE verdict = 'healthy' AND deploy IS NULL",
    ),
    ("serial_gate_deploy_repo", "serial_gate_deploy", "(repo)"),
    ("serial_gate_jobs_repo", "jobs", "(repo)"),
    // From one agent to the next. An expression, so that no statement takes it that was not written
    // for it: on `agent` it would look better to SQLite than the partial ones above, and lead
    // through all finished jobs.
    ("serial_gate_jobs_agent", "jobs", "(agent || '')"),
    ("serial_gate_jobs_task", "jobs", "(task_id)"),
    // Finished tasks are many and never matter to the default rule.
    (UNFINISHED, "tasks", "(repo, id) WHERE stage != 'done'"),
    // For other rules. Not on `id`: SQLite would take it instead of the one above, for any rule.
    ("serial_gate_tasks_repo", "tasks", "(repo, stage)"),
    (
        "serial_gate_tasks_branch",
        "tasks",
        "(repo, gate_branch) WHERE gate_branch IS NOT NULL",
    ),
    // An expression, so that no rule's statement takes it.
    (
        "serial_gate_tasks_work_item",
        "tasks",
        "(CAST(work_item_id AS TEXT)) WHERE work_item_id IS NOT NULL",
    ),
    (
        "serial_gate_freezes_active",
        "repo_freeze",
        "(repo) WHERE cleared_at IS NULL",
    ),
    ("serial_gate_freezes_repo", "repo_freeze", "(repo)"),
    (
        "serial_gate_freeze_term_due",
        "serial_gate_freeze_term",
        "(until) WHERE reminded_at IS NULL",
    ),
    (
        "serial_gate_partition_job",
        "serial_gate_partition",
        "(idx, job)",
    ),
    (
        "serial_gate_partition_agent",
        "serial_gate_partition",
        "(idx, agent, job)",
    ),
    (
        "serial_gate_idempotency_at",
        "serial_gate_idempotency",
        "(at)",
    ),
];
