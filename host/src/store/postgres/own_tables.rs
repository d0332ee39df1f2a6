//! The gate's own tables, each with its columns.
//!
//! Owns their names, columns and settings. Leaves the orchestrator's tables and most indexes to
//! `schema`. Callers rely on this: the tables that `records` uses have the names and columns that
//! they have on the other engine, so that one statement serves both.

use super::attempt_table::ATTEMPT;
use super::branch_tables::{BASE, CUT_FROM, HOOK, PULL};
use super::output_table::OUTPUT;
use super::own_table::{Own, table};
use super::schema::{ID, INTEGER, INTEGER_OR_NULL, TEXT, TEXT_OR_NULL};

const BOOLEAN: &str = "boolean NOT NULL";
pub(super) const ONE_INTEGER: &str = "bigint PRIMARY KEY";
const ONE_TEXT: &str = "text COLLATE \"C\" PRIMARY KEY";

/// Rows come and go with every claim, and dead ones lie at the front of what the next claim reads.
const BUSY: &str = "WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0)";

macro_rules! now_ms {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// The time in milliseconds, below 2^53, so that every reader of JSON keeps it.
pub(super) const NOW_MS: &str = now_ms!();

/// Tables of the gate's own.
pub(crate) const OWN: [Own; 35] = [
    // The last good clause of each policy and settings: instead of a policy that fails, or while valid.
    table(
        "serial_gate_clause",
        &[
            ("policy", TEXT),
            ("settings", TEXT),
            ("text", TEXT),
            ("valid_from", INTEGER_OR_NULL),
            ("valid_until", INTEGER_OR_NULL),
        ],
        "policy, settings",
    ),
    // The components, each stored once, however many generations use it.
    table(
        "serial_gate_policy",
        &[("digest", ONE_TEXT), ("component", "bytea NOT NULL")],
        "",
    ),
    // The generations. At most one is active, and at most one is the shadow.
    table(
        "serial_gate_generation",
        &[
            ("id", ID),
            ("digest", TEXT),
            ("name", TEXT),
            ("version", TEXT),
            ("settings", TEXT),
            ("limits", TEXT),
            ("signature", TEXT_OR_NULL),
            ("state", TEXT),
        ],
        "",
    ),
    // Every change of a generation's state. Rows are only ever added.
    table(
        "serial_gate_generation_event",
        &[
            ("id", ID),
            ("generation", INTEGER),
            ("state", TEXT),
            ("at", TEXT),
            ("who", TEXT),
            ("why", TEXT),
        ],
        "",
    ),
    // The failures of active generations. After enough of them a generation is rolled back.
    table(
        "serial_gate_failure",
        &[("generation", INTEGER), ("at", TEXT), ("what", TEXT)],
        "",
    ),
    // How often each shadow was asked, and where it differed from the active generation.
    table(
        "serial_gate_shadow",
        &[
            ("generation", ONE_INTEGER),
            ("looks", INTEGER),
            ("decisions", INTEGER),
            ("failures", INTEGER),
            ("last_failure", TEXT),
        ],
        "",
    ),
    table(
        "serial_gate_disagreement",
        &[
            ("generation", INTEGER),
            ("job_id", INTEGER),
            ("active", TEXT),
            ("shadow", TEXT),
            ("times", INTEGER),
            ("last_at", TEXT),
        ],
        "generation, job_id",
    ),
    // How often each generation's `decide` and clause differed in use, and the last difference.
    table(
        "serial_gate_contradiction",
        &[
            ("generation", ONE_INTEGER),
            ("times", INTEGER),
            ("last_at", TEXT),
            ("last", TEXT),
        ],
        "",
    ),
    // Conformance cases that a new policy has to pass.
    table(
        "serial_gate_fixture",
        &[
            ("name", ONE_TEXT),
            ("cases", TEXT),
            ("added_at", TEXT),
            ("who", TEXT),
        ],
        "",
    ),
    // The clauses that claims use by heads, each with the tables that it reads and how often its
    // heads were wrong. `heads` explains the four tables.
    table(
        "serial_gate_index",
        &[
            ("id", ID),
            ("clause", "text COLLATE \"C\" NOT NULL UNIQUE"),
            ("reads_tasks", INTEGER),
            ("reads_jobs", INTEGER),
            ("reads_freezes", INTEGER),
            ("differences", INTEGER),
        ],
        "",
    ),
    // The first job of each partition, which is a repo and a gated agent, that may be claimed. A
    // key cannot be NULL.
    Own {
        name: "serial_gate_partition",
        columns: &[
            ("idx", INTEGER),
            ("no_repo", BOOLEAN),
            ("repo", TEXT),
            ("agent", TEXT_OR_NULL),
            ("job", INTEGER),
        ],
        key: "no_repo, repo, idx, job",
        with: BUSY,
        row: "",
    },
    // The repos that changed. Rows are only ever added, without a unique key: of two transactions
    // with one key, the second waits for the first.
    Own {
        name: "serial_gate_mark",
        columns: &[("id", ID), ("no_repo", BOOLEAN), ("repo", TEXT)],
        key: "",
        with: BUSY,
        row: "",
    },
    // The dirty repos of each index. Only the holder of the repo's lock adds and removes its rows.
    Own {
        name: "serial_gate_dirty",
        columns: &[("idx", INTEGER), ("no_repo", BOOLEAN), ("repo", TEXT)],
        key: "idx, no_repo, repo",
        with: BUSY,
        row: "",
    },
    // The highest task of each repo that was started by a claim of a gated agent.
    Own {
        name: "serial_gate_started",
        columns: &[("no_repo", BOOLEAN), ("repo", TEXT), ("task", INTEGER)],
        key: "no_repo, repo",
        with: BUSY,
        row: "",
    },
    // The tasks that appeared after a higher one of their repo had been started. A server gives an
    // id to a row before the row can be seen. `told_at` is the time of the alert. Rows stay.
    table(
        "serial_gate_late_task",
        &[
            ("id", ID),
            ("at", TEXT),
            ("repo", TEXT_OR_NULL),
            ("task", INTEGER),
            ("started", INTEGER),
            ("told_at", TEXT_OR_NULL),
        ],
        "",
    ),
    // What operators did; the events of the generations have the rest. Rows are only ever added.
    table(
        "serial_gate_audit",
        &[
            ("id", ID),
            ("at", TEXT),
            ("who", TEXT),
            ("action", TEXT),
            ("repo", TEXT_OR_NULL),
            ("subject", TEXT),
            ("before", TEXT_OR_NULL),
            ("after", TEXT_OR_NULL),
            ("why", TEXT),
        ],
        "",
    ),
    // The verdicts on deploys. Rows are only ever added.
    table(
        "serial_gate_deploy",
        &[
            ("id", ID),
            ("at", TEXT),
            ("repo", TEXT),
            ("deploy", TEXT_OR_NULL),
            ("work_item_id", TEXT_OR_NULL),
            ("verdict", TEXT),
            ("detail", TEXT_OR_NULL),
            ("freeze", INTEGER_OR_NULL),
            ("who", TEXT),
        ],
        "",
    ),
    // The alerts. The key distinguishes an alert from those of every other queue.
    table(
        "serial_gate_alert",
        &[
            ("id", ID),
            ("key", TEXT),
            ("at", TEXT),
            ("kind", TEXT),
            ("repo", TEXT_OR_NULL),
            ("work_item_id", TEXT_OR_NULL),
            ("subject", INTEGER_OR_NULL),
            ("who", TEXT),
            ("why", TEXT),
            ("note", TEXT_OR_NULL),
        ],
        "",
    ),
    // The delivery of each alert to each channel that was configured at that time.
    table(
        "serial_gate_delivery",
        &[
            ("alert", INTEGER),
            ("channel", TEXT),
            ("state", TEXT),
            ("attempts", INTEGER),
            ("due_at", TEXT),
            ("lease_until", TEXT_OR_NULL),
            ("sent_at", TEXT_OR_NULL),
            ("error", TEXT_OR_NULL),
        ],
        "alert, channel",
    ),
    // What is kept of a freeze besides its row: until when it was to last, which only reminds, and
    // the number of the first of the freezes that it was made with.
    table(
        "serial_gate_freeze_term",
        &[
            ("freeze", ONE_INTEGER),
            ("repo", TEXT),
            ("until", TEXT_OR_NULL),
            ("made_with", INTEGER_OR_NULL),
            ("reminded_at", TEXT_OR_NULL),
        ],
        "",
    ),
    // Until when a channel is left alone, because it failed or asked for it.
    table(
        "serial_gate_channel",
        &[("name", ONE_TEXT), ("held_until", TEXT)],
        "",
    ),
    // The new numbers of configured chats.
    table(
        "serial_gate_moved_chat",
        &[("channel", TEXT), ("chat", TEXT), ("moved_to", TEXT)],
        "channel, chat",
    ),
    CUT_FROM,
    BASE,
    PULL,
    HOOK,
    // Who may use the service, and the hashes of their tokens.
    table(
        "serial_gate_access",
        &[
            ("id", ID),
            ("name", TEXT),
            ("role", TEXT),
            ("hash", "bytea NOT NULL"),
            ("made_at", TEXT),
            ("made_by", TEXT),
            ("revoked_at", TEXT_OR_NULL),
        ],
        "",
    ),
    // The answers to requests that may be repeated, for a day.
    table(
        "serial_gate_idempotency",
        &[
            ("caller", TEXT),
            ("key", TEXT),
            ("request", TEXT),
            ("answer", TEXT),
            ("at", TEXT),
        ],
        "caller, key",
    ),
    // The cancelled tasks. A row counts while its task is in the stage that the gate set then: an
    // id may be reused.
    table(
        "serial_gate_cancelled_task",
        &[("task", ONE_INTEGER), ("at", TEXT_OR_NULL)],
        "",
    ),
    // At most one row: the pipeline, as JSON.
    table(
        "serial_gate_pipeline",
        &[("id", ONE_INTEGER), ("pipeline", TEXT)],
        "",
    ),
    // The attempts that the jobs' own columns tell no more of. `attempts` explains them.
    ATTEMPT,
    // Since when a job is the head of its repo, if its row has no usable time. `waiting` writes it.
    table(
        "serial_gate_head",
        &[
            ("job", ONE_INTEGER),
            ("repo", TEXT_OR_NULL),
            ("task", INTEGER_OR_NULL),
            ("created_at", TEXT_OR_NULL),
            ("since", TEXT),
        ],
        "",
    ),
    // The last output of the latest attempt of each job, for the jobs that ended last.
    OUTPUT,
    // One row: the server that held the database last, and its timeline. `identity` explains it.
    table(
        "serial_gate_server",
        &[
            ("id", ONE_INTEGER),
            ("system", INTEGER),
            ("timeline", INTEGER),
        ],
        "",
    ),
    // One row: the version of the policy and settings in force. `triggers` increments it.
    Own {
        name: "serial_gate_clause_version",
        columns: &[("version", INTEGER)],
        key: "",
        with: "",
        row: concat!("(version) VALUES (", now_ms!(), ")"),
    },
];
