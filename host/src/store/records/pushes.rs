//! A push to a base, as its forge tells.
//!
//! Owns what is sure from the push alone: where the base is now, if it was where it was last seen;
//! and, unless it may have been rewritten, that it still contains what it contained. Leaves
//! everything else to a worker's next look. Callers rely on this: pushes in the wrong order change
//! nothing.

use jiff::Timestamp;

use crate::store::engine::{Tx, values};
use crate::store::{Error, sql_time};

/// A push to a branch.
#[derive(Debug, Clone, Copy)]
pub struct PushNews<'a> {
    /// The branch.
    pub branch: &'a str,
    /// Its tip before.
    pub before: &'a str,
    /// Its tip now; none if it was deleted.
    pub after: Option<&'a str>,
    /// Whether its new history surely contains its old one.
    pub keeps_history: bool,
}

/// What came of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushEffect {
    /// No branch was cut from this one.
    NoBase,
    /// The base is not where the push began: a worker's next look tells where it is.
    Unsure,
    /// The base was last seen there already.
    Known,
    /// The base has moved.
    Moved,
    /// The base was deleted.
    Deleted,
}

/// Takes note of a push to a repo.
pub(crate) fn take(
    tx: &dyn Tx,
    now: Timestamp,
    repo: &str,
    push: PushNews<'_>,
) -> Result<PushEffect, Error> {
    let PushNews {
        branch,
        before,
        after,
        keeps_history,
    } = push;
    let tip: Option<String> = tx.row(
        &format!(
            "SELECT tip FROM serial_gate_base WHERE repo = $1 AND base = $2 {}",
            tx.locking()
        ),
        values![repo, branch],
        |row| row.get(0),
    )?;
    let Some(tip) = tip else {
        return Ok(PushEffect::NoBase);
    };
    let new = after.unwrap_or_default();
    if tip == new {
        return Ok(PushEffect::Known);
    }
    if tip != before {
        return Ok(PushEffect::Unsure);
    }
    if let Some(after) = after.filter(|_| keeps_history) {
        tx.execute(
            "UPDATE serial_gate_cut_from SET tip = $4
             WHERE repo = $1 AND base = $2 AND tip = $3 AND contained = 1",
            values![repo, branch, before, after],
        )?;
        // A branch that was cut at the old tip needed no look so far.
        tx.execute(
            "INSERT INTO serial_gate_cut_from (repo, base, base_commit, tip, contained)
             VALUES ($1, $2, $3, $4, 1)
             ON CONFLICT (repo, base, base_commit)
             DO UPDATE SET tip = excluded.tip, contained = excluded.contained",
            values![repo, branch, before, after],
        )?;
    }
    tx.execute(
        "UPDATE serial_gate_base SET tip = $3, seen_at = $4 WHERE repo = $1 AND base = $2",
        values![repo, branch, new, sql_time(now)],
    )?;
    Ok(match after {
        Some(_) => PushEffect::Moved,
        None => PushEffect::Deleted,
    })
}
