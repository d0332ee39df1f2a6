//! The active freezes of a repo behind its newest one.
//!
//! Owns how many there are, and which of them were meant to have ended: a newer freeze must not hide
//! that. Leaves the newest freeze to `freezes`. Callers rely on this: at most [`NAMED`] are named.

use jiff::Timestamp;

use super::freeze_groups::NUMBER_OF_ROW;
use crate::store::engine::values;
use crate::store::{Error, Store, sql_time};

/// How many freezes are named.
const NAMED: u32 = 5;

/// The active freezes of a repo besides the newest one.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FurtherFreezes {
    /// How many there are.
    pub count: usize,
    /// Those that were meant to have ended, up to five, the one that is longest over first.
    pub over: Vec<FreezeOver>,
}

/// A freeze that was meant to have ended, and is still active.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FreezeOver {
    /// Its number.
    pub freeze_id: i64,
    /// When it was meant to end.
    #[serde(serialize_with = "crate::store::rfc3339")]
    #[schema(format = DateTime)]
    pub until: String,
}

impl FurtherFreezes {
    /// Whether the newest freeze is the only one.
    pub fn are_none(&self) -> bool {
        self.count == 0
    }
}

impl Store {
    /// The active freezes of a repo besides this one, its newest.
    ///
    /// # Errors
    ///
    /// When the freezes cannot be read.
    pub fn further_freezes(
        &mut self,
        repo: &str,
        newest: i64,
        now: Timestamp,
    ) -> Result<FurtherFreezes, Error> {
        let others = format!(
            "repo_freeze.repo = $1 AND repo_freeze.cleared_at IS NULL AND {NUMBER_OF_ROW} <> $2"
        );
        self.read(|tx| {
            let count: i64 = tx.only(
                &format!("SELECT count(*) FROM repo_freeze WHERE {others}"),
                values![repo, newest],
                |row| row.get(0),
            )?;
            if count == 0 {
                return Ok(FurtherFreezes::default());
            }
            let over = tx.rows(
                &format!(
                    "SELECT term.\"freeze\", term.until FROM repo_freeze {}
                     serial_gate_freeze_term AS term ON term.\"freeze\" = {NUMBER_OF_ROW}
                     WHERE {others} AND term.until <= $3 ORDER BY term.until, 1 LIMIT {NAMED}",
                    tx.then_join()
                ),
                values![repo, newest, sql_time(now)],
                |row| {
                    Ok(FreezeOver {
                        freeze_id: row.get(0)?,
                        until: row.shown(1)?.unwrap_or_default(),
                    })
                },
            )?;
            Ok(FurtherFreezes {
                count: usize::try_from(count).unwrap_or_default(),
                over,
            })
        })
    }
}
