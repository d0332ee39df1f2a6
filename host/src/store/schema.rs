//! The tables, as data: what a table must have, what is added to it, and how an absent one is made.
//!
//! Owns every name in the database. Only tables, nullable columns and indexes are in these lists,
//! so an orchestrator's statements that name their columns keep working. `triggers` has the
//! triggers, and `migrate` brings a database there.

/// A table that is shared with the orchestrator. Each has an `id`, which gives the order.
pub(super) struct Shared {
    pub name: &'static str,
    /// Without these, the rule has nothing to go by. They are compared as this type.
    pub required: &'static [(&'static str, Affinity)],
    /// Added when missing; nullable, so that other programs need not know them.
    pub added: &'static [(&'static str, &'static str)],
    pub create: &'static str,
}

/// What SQLite makes of a value that is stored in a column or compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
}

/// A mark on a task, which a rule may go by.
pub(super) const LABEL: &str = "gate_label";

pub(super) const SHARED: [Shared; 3] = [
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
            // How often the job was put off, because its branch could not be cut.
            ("gate_put_off", "INTEGER"),
            // A number that grows with every claim, for other systems.
            ("gate_fence", "INTEGER"),
            // How the claim of this token ended, until the job is claimed anew.
            ("gate_outcome", "TEXT"),
            // How long the lease, or the delay, was when it was written, in seconds.
            ("gate_lease", "INTEGER"),
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
            gate_lease INTEGER
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

/// Tables of the gate's own, each with the statements that make it.
pub(super) const OWN: [(&str, &str); 27] = [
    // The last clause that each policy gave for each settings, for the day when it gives none.
    (
        "serial_gate_clause",
        "CREATE TABLE serial_gate_clause (
            policy TEXT NOT NULL,
            settings TEXT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (policy, settings)
        ) WITHOUT ROWID;",
    ),
    // The components, each once, however many generations use it.
    (
        "serial_gate_policy",
        "CREATE TABLE serial_gate_policy (
            digest TEXT PRIMARY KEY,
            component BLOB NOT NULL
        );",
    ),
    // What claims go by, went by, or may go by. One is active at most, and one a shadow.
    (
        "serial_gate_generation",
        "CREATE TABLE serial_gate_generation (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            digest TEXT NOT NULL,
            name TEXT NOT NULL,
            version TEXT NOT NULL,
            settings TEXT NOT NULL,
            limits TEXT NOT NULL,
            signature TEXT,
            state TEXT NOT NULL
        );",
    ),
    // Every change of a generation's state. Rows are only ever added.
    (
        "serial_gate_generation_event",
        "CREATE TABLE serial_gate_generation_event (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            generation INTEGER NOT NULL,
            state TEXT NOT NULL,
            at TEXT NOT NULL,
            who TEXT NOT NULL,
            why TEXT NOT NULL
        );",
    ),
    // A generation failed while it was active. Enough of them, and it is rolled back.
    (
        "serial_gate_failure",
        "CREATE TABLE serial_gate_failure (
            generation INTEGER NOT NULL,
            at TEXT NOT NULL,
            what TEXT NOT NULL
        );
        CREATE INDEX serial_gate_failure_at ON serial_gate_failure (generation, at);",
    ),
    // How often each shadow was asked, and where it differed from the active generation.
    (
        "serial_gate_shadow",
        "CREATE TABLE serial_gate_shadow (
            generation INTEGER PRIMARY KEY,
            looks INTEGER NOT NULL,
            decisions INTEGER NOT NULL,
            failures INTEGER NOT NULL,
            last_failure TEXT NOT NULL
        );",
    ),
    (
        "serial_gate_disagreement",
        "CREATE TABLE serial_gate_disagreement (
            generation INTEGER NOT NULL,
            job_id INTEGER NOT NULL,
            active TEXT NOT NULL,
            shadow TEXT NOT NULL,
            times INTEGER NOT NULL,
            last_at TEXT NOT NULL,
            PRIMARY KEY (generation, job_id)
        ) WITHOUT ROWID;",
    ),
    // How often each generation's `decide` and clause differed about a queued job in use, and what
    // about last.
    (
        "serial_gate_contradiction",
        "CREATE TABLE serial_gate_contradiction (
            generation INTEGER PRIMARY KEY,
            times INTEGER NOT NULL,
            last_at TEXT NOT NULL,
            last TEXT NOT NULL
        );",
    ),
    // Conformance cases that a new policy has to pass.
    (
        "serial_gate_fixture",
        "CREATE TABLE serial_gate_fixture (
            name TEXT PRIMARY KEY,
            cases TEXT NOT NULL,
            added_at TEXT NOT NULL,
            who TEXT NOT NULL
        );",
    ),
    // The clauses that claims go by, each with the tables that it reads and how often its
    // candidates were found to be wrong. `candidates` tells what the three tables are for.
    (
        "serial_gate_index",
        "CREATE TABLE serial_gate_index (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            clause TEXT NOT NULL UNIQUE,
            reads_tasks INTEGER NOT NULL,
            reads_jobs INTEGER NOT NULL,
            reads_freezes INTEGER NOT NULL,
            differences INTEGER NOT NULL
        );",
    ),
    // The first job of each partition, which is a repo and an agent, that may be claimed. Both keep
    // their type; a key cannot be NULL.
    (
        "serial_gate_partition",
        "CREATE TABLE serial_gate_partition (
            idx INTEGER NOT NULL,
            no_repo INTEGER NOT NULL,
            repo NOT NULL,
            agent,
            job INTEGER NOT NULL,
            PRIMARY KEY (idx, no_repo, repo, job)
        ) WITHOUT ROWID;",
    ),
    // The repos whose candidates may be others by now.
    (
        "serial_gate_dirty",
        "CREATE TABLE serial_gate_dirty (
            idx INTEGER NOT NULL,
            no_repo INTEGER NOT NULL,
            repo NOT NULL,
            PRIMARY KEY (idx, no_repo, repo)
        ) WITHOUT ROWID;",
    ),
    // What operators did, besides what the events of the generations tell. Rows are only ever
    // added.
    (
        "serial_gate_audit",
        "CREATE TABLE serial_gate_audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at TEXT NOT NULL,
            who TEXT NOT NULL,
            action TEXT NOT NULL,
            repo TEXT,
            subject TEXT NOT NULL,
            before TEXT,
            after TEXT,
            why TEXT NOT NULL
        );
        CREATE INDEX serial_gate_audit_repo ON serial_gate_audit (repo);",
    ),
    // What became of each deploy. Rows are only ever added.
    (
        "serial_gate_deploy",
        "CREATE TABLE serial_gate_deploy (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at TEXT NOT NULL,
            repo TEXT NOT NULL,
            deploy TEXT,
            work_item_id TEXT,
            verdict TEXT NOT NULL,
            detail TEXT,
            freeze INTEGER,
            who TEXT NOT NULL
        );
        CREATE INDEX serial_gate_deploy_degraded ON serial_gate_deploy (repo, deploy, work_item_id)
            WHERE verdict = 'degraded';",
    ),
    // What there is to tell people. The key tells an alert from those of every other queue.
    (
        "serial_gate_alert",
        "CREATE TABLE serial_gate_alert (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL,
            at TEXT NOT NULL,
            kind TEXT NOT NULL,
            repo TEXT,
            work_item_id TEXT,
            subject INTEGER,
            who TEXT NOT NULL,
            why TEXT NOT NULL,
            note TEXT
        );
        CREATE INDEX serial_gate_alert_waiting ON serial_gate_alert (subject) WHERE kind = 'waiting';",
    ),
    // How far each alert is with each channel that was configured in its time.
    (
        "serial_gate_delivery",
        "CREATE TABLE serial_gate_delivery (
            alert INTEGER NOT NULL,
            channel TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            due_at TEXT NOT NULL,
            lease_until TEXT,
            sent_at TEXT,
            error TEXT,
            PRIMARY KEY (alert, channel)
        ) WITHOUT ROWID;
        CREATE INDEX serial_gate_delivery_due ON serial_gate_delivery (channel, due_at)
            WHERE state = 'pending';",
    ),
    // Until when a channel is left alone, because it failed or asked for it.
    (
        "serial_gate_channel",
        "CREATE TABLE serial_gate_channel (
            name TEXT PRIMARY KEY,
            held_until TEXT NOT NULL
        ) WITHOUT ROWID;",
    ),
    // Where a chat went that a channel was told to write to.
    (
        "serial_gate_moved_chat",
        "CREATE TABLE serial_gate_moved_chat (
            channel TEXT NOT NULL,
            chat TEXT NOT NULL,
            moved_to TEXT NOT NULL,
            PRIMARY KEY (channel, chat)
        ) WITHOUT ROWID;",
    ),
    // How far the candidates were compared by claims that found nothing, where one claim does not
    // compare all.
    (
        "serial_gate_compared",
        "CREATE TABLE serial_gate_compared (
            idx INTEGER PRIMARY KEY,
            repo NOT NULL
        );",
    ),
    // Whether a base, at the tip that was looked at last, has the commit that a branch was cut
    // from. NULL: it took too long to find out.
    (
        "serial_gate_cut_from",
        "CREATE TABLE serial_gate_cut_from (
            repo TEXT NOT NULL,
            base TEXT NOT NULL,
            base_commit TEXT NOT NULL,
            tip TEXT NOT NULL,
            contained INTEGER,
            PRIMARY KEY (repo, base, base_commit)
        ) WITHOUT ROWID;",
    ),
    // The tip of each base that branches are cut from, as it was last seen. An empty one: the base
    // was not there.
    (
        "serial_gate_base",
        "CREATE TABLE serial_gate_base (
            repo TEXT NOT NULL,
            base TEXT NOT NULL,
            tip TEXT NOT NULL,
            seen_at TEXT NOT NULL,
            PRIMARY KEY (repo, base)
        ) WITHOUT ROWID;",
    ),
    // Who may use the service, and the hashes of their tokens.
    (
        "serial_gate_access",
        "CREATE TABLE serial_gate_access (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            hash BLOB NOT NULL,
            made_at TEXT NOT NULL,
            made_by TEXT NOT NULL,
            revoked_at TEXT
        );",
    ),
    // One row: the last number that a freeze was given. `triggers` counts it up.
    (
        "serial_gate_freeze_number",
        "CREATE TABLE serial_gate_freeze_number (last INTEGER NOT NULL);
         INSERT INTO serial_gate_freeze_number (last) VALUES (0);",
    ),
    // The answers to requests that may come again, for a day.
    (
        "serial_gate_idempotency",
        "CREATE TABLE serial_gate_idempotency (
            caller TEXT NOT NULL,
            key TEXT NOT NULL,
            request TEXT NOT NULL,
            answer TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (caller, key)
        ) WITHOUT ROWID;",
    ),
    // The tasks that were cancelled, and not done. A row counts while its task is where the gate
    // left it then: an id may be used again.
    (
        "serial_gate_cancelled_task",
        "CREATE TABLE serial_gate_cancelled_task (
            task INTEGER PRIMARY KEY,
            at TEXT
        );",
    ),
    // Since when a job is the head of its repo, where its row does not tell. `heads` notes it.
    (
        "serial_gate_head",
        "CREATE TABLE serial_gate_head (
            job INTEGER PRIMARY KEY,
            repo TEXT,
            task INTEGER,
            created_at,
            since TEXT NOT NULL
        );",
    ),
    // One row: what tells the policy and the settings in force from all that were before.
    // `triggers` counts it up.
    (
        "serial_gate_clause_version",
        "CREATE TABLE serial_gate_clause_version (version INTEGER NOT NULL);
         INSERT INTO serial_gate_clause_version (version)
            VALUES (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER));",
    ),
];

/// Columns that came to the gate's own tables later, each with its table and its type: nullable,
/// and in the statement above as well, so that a new database and one that was made by an earlier
/// version are alike.
pub(super) const ADDED_TO_OWN: [(&str, &str, &str); 1] = [("serial_gate_alert", "note", "TEXT")];

/// The queue in claim order. The claim is pinned to it.
pub(super) const QUEUED: &str = "serial_gate_jobs_queued";

/// The queued jobs of a repo and an agent, by id.
pub(super) const PARTITIONS: &str = "serial_gate_jobs_partitions";

/// The same by task.
pub(super) const LINES: &str = "serial_gate_jobs_lines";

/// The jobs that failed, of each task and agent the newest at the end.
pub(super) const FAILED: &str = "serial_gate_jobs_failed";

macro_rules! is_foreign {
    () => {
        "status IS NULL OR (status NOT IN ('queued', 'running', 'failed', 'done', 'cancelled')
            AND lower(trim(status)) NOT IN ('done', 'complete', 'completed', 'finished', 'success', 'succeeded',
                'canceled', 'cancelled', 'skipped', 'closed'))"
    };
}

macro_rules! is_open {
    () => {
        "status IN ('queued', 'running')"
    };
}

/// The same of the jobs that another program has given a status of its own which means no end.
pub(super) const FOREIGN: &str = "serial_gate_jobs_foreign";

/// What the index of them covers.
pub(super) const IS_FOREIGN: &str = is_foreign!();

/// The jobs of each task that run or wait.
pub(super) const OPEN: &str = "serial_gate_jobs_open";

/// What the index of them covers. No rule says it like this, so that none is led by it.
pub(super) const IS_OPEN: &str = is_open!();

/// Indexes that keep a state to one generation, each with its table and what it covers.
pub(super) const UNIQUE: [(&str, &str, &str); 2] = [
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
];

/// Indexes, each with its table and what it covers.
pub(super) const INDEXES: [(&str, &str, &str); 20] = [
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
    (
        "serial_gate_tasks_unfinished",
        "tasks",
        "(repo, id) WHERE stage != 'done'",
    ),
    // For other rules. Not on `id`: SQLite would take it instead of the one above, for any rule.
    ("serial_gate_tasks_repo", "tasks", "(repo, stage)"),
    (
        "serial_gate_tasks_branch",
        "tasks",
        "(repo, gate_branch) WHERE gate_branch IS NOT NULL",
    ),
    (
        "serial_gate_freezes_active",
        "repo_freeze",
        "(repo) WHERE cleared_at IS NULL",
    ),
    ("serial_gate_freezes_repo", "repo_freeze", "(repo)"),
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
