//! Freezes: a repo is closed after a bad deploy until an operator clears it.
//!
//! Owns their durability: when a method here returns, the change is on the disk. Rows are only ever
//! added or cleared, so that the table is the history.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::tasks::not_empty;
use super::value::Shown;
use super::{Error, Store, sql_time};

/// The newest active freeze of a repo.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ActiveFreeze {
    /// Its id.
    pub id: i64,
    /// When the repo was frozen, UTC.
    pub frozen_at: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The task whose deploy went bad.
    pub work_item_id: Option<String>,
}

impl Store {
    /// Freezes a repo and returns the freeze's id. A repo can be frozen more than once. An empty
    /// reason is kept as none.
    ///
    /// # Errors
    ///
    /// When the repo is empty, or the freeze cannot be written.
    pub fn freeze(
        &mut self,
        now: Timestamp,
        repo: &str,
        reason: Option<&str>,
        work_item: Option<&str>,
    ) -> Result<i64, Error> {
        not_empty("repo", repo)?;
        self.durably(|store| {
            store.writing(|transaction| {
                transaction.execute(
                    "INSERT INTO repo_freeze (repo, frozen_at, reason, work_item_id, gate_generation)
                     VALUES (?1, ?2, ?3, ?4, (SELECT id FROM serial_gate_generation WHERE state = 'active'))",
                    params![repo, sql_time(now), reason.filter(|reason| !reason.is_empty()), work_item],
                )?;
                Ok(transaction.last_insert_rowid())
            })
        })
    }

    /// Clears every active freeze of a repo and returns how many there were.
    ///
    /// # Errors
    ///
    /// When the repo is empty, or the change cannot be written.
    pub fn unfreeze(&mut self, now: Timestamp, repo: &str) -> Result<usize, Error> {
        not_empty("repo", repo)?;
        self.durably(|store| {
            store.writing(|transaction| {
                Ok(transaction.execute(
                    "UPDATE repo_freeze SET cleared_at = ?2 WHERE repo = ?1 AND cleared_at IS NULL",
                    params![repo, sql_time(now)],
                )?)
            })
        })
    }

    /// The newest active freeze of a repo, by id. No repo has none.
    ///
    /// # Errors
    ///
    /// When the freezes cannot be read: a caller then takes the repo to be frozen.
    pub fn active_freeze(&mut self, repo: Option<&str>) -> Result<Option<ActiveFreeze>, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, frozen_at, reason, work_item_id FROM repo_freeze
                 WHERE repo = ?1 AND cleared_at IS NULL ORDER BY id DESC LIMIT 1",
            )?;
            let freeze = query.query_row([repo], |row| {
                Ok(ActiveFreeze {
                    id: row.get(0)?,
                    frozen_at: row.get::<_, Shown>(1)?.0,
                    reason: row.get::<_, Shown>(2)?.0,
                    work_item_id: row.get::<_, Shown>(3)?.0,
                })
            });
            Ok(freeze.optional()?)
        })
    }

    /// Runs a change so that its commit waits for the disk.
    pub(super) fn durably<T>(
        &mut self,
        change: impl FnOnce(&mut Store) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.doing(|connection| Ok(connection.pragma_update(None, "synchronous", "FULL")?))?;
        let result = change(self);
        // What was committed is committed, and a connection that syncs too often is only slow.
        if let Err(error) =
            self.doing(|connection| Ok(connection.pragma_update(None, "synchronous", "NORMAL")?))
        {
            tracing::warn!("every commit waits for the disk from now on: {error}");
        }
        result
    }
}
