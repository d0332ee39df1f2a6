//! The statements over the index of heads.
//!
//! Owns their text, which contains no clause. Leaves their meaning to `heads`.

use crate::store::indexes::PARTITIONS;
use crate::store::job::IS_QUEUED;

/// The statements that read the index: those of a claim, and those by which a comparison goes from
/// repo to repo.
pub(crate) fn own_statements() -> [String; 8] {
    [
        LOOK.into(),
        LOOK_FOR_AGENT.into(),
        OPEN.into(),
        FIRST_DIRTY.into(),
        FIRST.into(),
        FIRST_OF_AGENT.into(),
        next_repo(NAMED),
        next_repo(LATER),
    ]
}

pub(super) const NAMED: &str = "repo IS NOT NULL";
pub(super) const LATER: &str = "repo > ?2";

pub(super) fn next_repo(is_next: &str) -> String {
    format!(
        "SELECT min(repo) FROM (
            SELECT (SELECT repo FROM jobs INDEXED BY {PARTITIONS}
                    WHERE {IS_QUEUED} AND {is_next} ORDER BY repo LIMIT 1) AS repo
            UNION ALL
            SELECT (SELECT repo FROM serial_gate_partition
                    WHERE idx = ?1 AND no_repo = FALSE AND {is_next} ORDER BY repo LIMIT 1))"
    )
}

pub(super) const LOOK: &str =
    "SELECT EXISTS (SELECT 1 FROM serial_gate_partition WHERE idx = serial_gate_index.id)
        OR EXISTS (SELECT 1 FROM serial_gate_dirty WHERE idx = serial_gate_index.id)
     FROM serial_gate_index WHERE clause = ?1";

pub(super) const LOOK_FOR_AGENT: &str =
    "SELECT EXISTS (SELECT 1 FROM serial_gate_partition WHERE idx = serial_gate_index.id
     AND agent = ?2)
        OR EXISTS (SELECT 1 FROM serial_gate_dirty WHERE idx = serial_gate_index.id)
     FROM serial_gate_index WHERE clause = ?1";

pub(super) const OPEN: &str = "SELECT id FROM serial_gate_index WHERE clause = ?1";

pub(super) const FIRST_DIRTY: &str =
    "SELECT no_repo, repo FROM serial_gate_dirty WHERE idx = ?1 LIMIT 1";

pub(super) const FIRST: &str = "SELECT job, no_repo, repo, agent FROM serial_gate_partition
     WHERE idx = ?1 ORDER BY job LIMIT 1";

pub(super) const FIRST_OF_AGENT: &str =
    "SELECT job, no_repo, repo, agent FROM serial_gate_partition
     WHERE idx = ?1 AND agent = ?2 ORDER BY job LIMIT 1";

pub(super) const REPLACE: &str = "UPDATE serial_gate_partition SET agent = ?4, job = ?5
     WHERE idx = ?1 AND no_repo = ?2 AND repo = ?3 AND job = ?6";

pub(super) const REMOVE: &str =
    "DELETE FROM serial_gate_partition WHERE idx = ?1 AND no_repo = ?2 AND repo = ?3 AND job = ?4";
