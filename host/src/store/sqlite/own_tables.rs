//! The gate's own tables, each with the statement that makes it.
//!
//! Owns their names and columns. Leaves the orchestrator's tables and every index to `schema`.
//! Callers rely on this: a prepared database has exactly this text.

use super::attempt_table::ATTEMPT;

/// Tables of the gate's own, each with the statements that make it.
pub(crate) const OWN: [(&str, &str); 33] = [
    // The last good clause of each policy and settings, used when the policy fails. While it is
    // valid, a command that claims once does without the policy.
    (
        "serial_gate_clause",
        "CREATE TABLE serial_gate_clause (
            policy TEXT NOT NULL,
            settings TEXT NOT NULL,
            text TEXT NOT NULL,
            valid_from INTEGER,
            valid_until INTEGER,
            PRIMARY KEY (policy, settings)
        ) WITHOUT ROWID;",
    ),
    // The components, each stored once, however many generations use it.
    (
        "serial_gate_policy",
        "CREATE TABLE serial_gate_policy (
            digest TEXT PRIMARY KEY,
            component BLOB NOT NULL
        );",
    ),
    // The generations. At most one is active, and at most one is the shadow.
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
    // The failures of active generations. After enough of them a generation is rolled back.
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
    // How often each generation's `decide` and clause differed about a queued job in use, and the
    // last difference.
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
    // The clauses that claims use, each with the tables that it reads and how often its heads were
    // wrong. `heads` explains the three tables.
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
    // The first job of each partition, which is a repo and an agent, that may be claimed. Repo and
    // agent keep their type; a key cannot be NULL.
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
    // The dirty repos, whose heads may have changed.
    (
        "serial_gate_dirty",
        "CREATE TABLE serial_gate_dirty (
            idx INTEGER NOT NULL,
            no_repo INTEGER NOT NULL,
            repo NOT NULL,
            PRIMARY KEY (idx, no_repo, repo)
        ) WITHOUT ROWID;",
    ),
    // What operators did; the events of the generations have the rest. Rows are only ever added.
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
    // The verdicts on deploys. Rows are only ever added.
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
    // The alerts. The key distinguishes an alert from those of every other queue.
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
    // The delivery of each alert to each channel that was configured at that time.
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
    // What is kept of a freeze besides its row: until when it was to last, which only reminds, and
    // the number of the first of the freezes that it was made with. Not in the row: with more
    // columns there, SQLite reads the cleared freezes of a repo for a claim.
    (
        "serial_gate_freeze_term",
        "CREATE TABLE serial_gate_freeze_term (
            freeze INTEGER PRIMARY KEY,
            repo TEXT NOT NULL,
            until TEXT,
            made_with INTEGER,
            reminded_at TEXT
        );",
    ),
    // Until when a channel is left alone, because it failed or asked for it.
    (
        "serial_gate_channel",
        "CREATE TABLE serial_gate_channel (
            name TEXT PRIMARY KEY,
            held_until TEXT NOT NULL
        ) WITHOUT ROWID;",
    ),
    // The new numbers of configured chats.
    (
        "serial_gate_moved_chat",
        "CREATE TABLE serial_gate_moved_chat (
            channel TEXT NOT NULL,
            chat TEXT NOT NULL,
            moved_to TEXT NOT NULL,
            PRIMARY KEY (channel, chat)
        ) WITHOUT ROWID;",
    ),
    // How far claims that found nothing have compared the heads, if one claim does not compare all.
    (
        "serial_gate_compared",
        "CREATE TABLE serial_gate_compared (
            idx INTEGER PRIMARY KEY,
            repo NOT NULL
        );",
    ),
    // Whether a base, at its last examined tip, contains the commit that a branch was cut at. NULL:
    // the search took too long.
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
    // The last seen tip of each base. An empty tip: there was no such base.
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
    // What the forge last said of the pull request of an unfinished task's branch. `pulls` explains
    // it.
    (
        "serial_gate_pull",
        "CREATE TABLE serial_gate_pull (
            task INTEGER PRIMARY KEY,
            branch TEXT NOT NULL,
            state TEXT NOT NULL,
            forge TEXT NOT NULL,
            who TEXT NOT NULL,
            url TEXT,
            merge_commit TEXT,
            at TEXT NOT NULL
        );",
    ),
    // The last deliveries of the forges' webhooks, each with its id and the digest of its body.
    (
        "serial_gate_hook",
        "CREATE TABLE serial_gate_hook (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            forge TEXT NOT NULL,
            repo TEXT NOT NULL,
            mark TEXT NOT NULL,
            at TEXT NOT NULL
        );",
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
    // One row: the last number given to a freeze. `triggers` increments it.
    (
        "serial_gate_freeze_number",
        "CREATE TABLE serial_gate_freeze_number (last INTEGER NOT NULL);
         INSERT INTO serial_gate_freeze_number (last) VALUES (0);",
    ),
    // The answers to requests that may be repeated, for a day.
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
    // The cancelled tasks. A row counts while its task is in the stage that the gate set then: an
    // id may be reused.
    (
        "serial_gate_cancelled_task",
        "CREATE TABLE serial_gate_cancelled_task (
            task INTEGER PRIMARY KEY,
            at TEXT
        );",
    ),
    // At most one row: the pipeline, as JSON.
    (
        "serial_gate_pipeline",
        "CREATE TABLE serial_gate_pipeline (
            id INTEGER PRIMARY KEY,
            pipeline TEXT NOT NULL
        );",
    ),
    // The last output of the latest attempt of each job, for the jobs that ended last.
    (
        "serial_gate_output",
        "CREATE TABLE serial_gate_output (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            job INTEGER NOT NULL,
            fence INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            at TEXT NOT NULL,
            text TEXT NOT NULL
        );
        CREATE INDEX serial_gate_output_job ON serial_gate_output (job);",
    ),
    // The attempts that the jobs' own columns tell no more of. `attempts` explains them.
    ATTEMPT,
    // Since when a job is the head of its repo, if its row has no usable time. `waiting` writes it.
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
    // One row: the version of the policy and settings in force. `triggers` increments it.
    (
        "serial_gate_clause_version",
        "CREATE TABLE serial_gate_clause_version (version INTEGER NOT NULL);
         INSERT INTO serial_gate_clause_version (version)
            VALUES (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER));",
    ),
];

/// Columns added to the gate's own tables later, each with its table and its type. They are
/// nullable, and in the statements above as well, so that a new database equals an upgraded one.
pub(crate) const ADDED_TO_OWN: [(&str, &str, &str); 3] = [
    ("serial_gate_alert", "note", "TEXT"),
    ("serial_gate_clause", "valid_from", "INTEGER"),
    ("serial_gate_clause", "valid_until", "INTEGER"),
];
