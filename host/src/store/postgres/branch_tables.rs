//! The gate's own tables about branches: their bases, their pull requests, and the webhooks that
//! tell of both.
//!
//! Owns their names and columns, as `own_tables` does for the others.

use super::own_table::{Own, table};
use super::own_tables::ONE_INTEGER;
use super::schema::{ID, INTEGER_OR_NULL, TEXT, TEXT_OR_NULL};

/// Whether a base, at its last examined tip, contains the commit that a branch was cut at. NULL:
/// the search took too long.
pub(super) const CUT_FROM: Own = table(
    "serial_gate_cut_from",
    &[
        ("repo", TEXT),
        ("base", TEXT),
        ("base_commit", TEXT),
        ("tip", TEXT),
        ("contained", INTEGER_OR_NULL),
    ],
    "repo, base, base_commit",
);

/// The last seen tip of each base. An empty tip: there was no such base.
pub(super) const BASE: Own = table(
    "serial_gate_base",
    &[
        ("repo", TEXT),
        ("base", TEXT),
        ("tip", TEXT),
        ("seen_at", TEXT),
    ],
    "repo, base",
);

/// What the forge last said of the pull request of an unfinished task's branch. `pulls` explains
/// it.
pub(super) const PULL: Own = table(
    "serial_gate_pull",
    &[
        ("task", ONE_INTEGER),
        ("branch", TEXT),
        ("state", TEXT),
        ("forge", TEXT),
        ("who", TEXT),
        ("url", TEXT_OR_NULL),
        ("merge_commit", TEXT_OR_NULL),
        ("at", TEXT),
    ],
    "",
);

/// The last deliveries of the forges' webhooks, each with its id and the digest of its body.
pub(super) const HOOK: Own = table(
    "serial_gate_hook",
    &[
        ("id", ID),
        ("forge", TEXT),
        ("repo", TEXT),
        ("mark", TEXT),
        ("at", TEXT),
    ],
    "",
);
