//! Freezes: a repo is closed after a bad deploy until an operator clears it.
//!
//! Owns their durability: when a method here returns, the change is on the disk, and with it its alert
//! and its row in the audit. Rows are only ever added or cleared, so that the table is the history.

use rusqlite::{OptionalExtension, params};

use super::alerts::{self, NewAlert};
use super::audit::{self, Deed};
use super::error::not_empty;
use super::transaction::Transaction;
use super::value::Shown;
use super::{Act, AlertKind, Error, Store, sql_time};

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
    /// Freezes a repo and returns the freeze's id. A repo can be frozen more than once. Why it is done is
    /// the reason of the freeze; an empty one is kept as none.
    ///
    /// # Errors
    ///
    /// When the repo is empty, or the freeze cannot be written.
    pub fn freeze(
        &mut self,
        act: Act<'_>,
        repo: &str,
        work_item: Option<&str>,
    ) -> Result<i64, Error> {
        not_empty("repo", repo)?;
        self.durably(|store| {
            store.writing(|transaction| {
                let before = standing(transaction, repo)?;
                let freeze = add(transaction, act, repo, work_item)?;
                let deed = Deed {
                    action: "freeze",
                    repo: Some(repo),
                    subject: format!("freeze {freeze}"),
                    before: Some(before),
                    after: Some(FROZEN),
                };
                audit::write_down(transaction, act, deed)?;
                Ok(freeze)
            })
        })
    }

    /// Clears every active freeze of a repo and returns how many there were. With `seen`, the newest
    /// freeze that the caller knows of, nothing is cleared when there is a newer one.
    ///
    /// # Errors
    ///
    /// When the repo is empty, a newer freeze is there, or the change cannot be written.
    pub fn unfreeze(
        &mut self,
        act: Act<'_>,
        repo: &str,
        seen: Option<i64>,
    ) -> Result<usize, Error> {
        not_empty("repo", repo)?;
        self.durably(|store| {
            store.writing(|transaction| {
                let newest = newest(transaction, repo)?;
                let Some((newest, work_item)) = newest else {
                    return Ok(0);
                };
                if let Some(seen) = seen.filter(|seen| *seen < newest) {
                    return Err(Error::FrozenAgain {
                        repo: repo.into(),
                        seen,
                        newest,
                    });
                }
                let cleared = transaction.execute(
                    "UPDATE repo_freeze SET cleared_at = ?2 WHERE repo = ?1 AND cleared_at IS NULL",
                    params![repo, sql_time(act.now)],
                )?;
                let alert = NewAlert {
                    kind: AlertKind::Unfreeze,
                    repo: Some(repo),
                    work_item: work_item.as_deref(),
                    subject: Some(newest),
                    who: act.who,
                    why: act.why,
                };
                alerts::add(transaction, act.now, alert)?;
                let subject = match cleared {
                    1 => format!("freeze {newest}"),
                    _ => format!("{cleared} freezes up to {newest}"),
                };
                let deed = Deed {
                    action: "unfreeze",
                    repo: Some(repo),
                    subject,
                    before: Some(FROZEN),
                    after: Some(OPEN),
                };
                audit::write_down(transaction, act, deed)?;
                Ok(cleared)
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

    /// Who made a freeze, as far as the audit has it: none for one that another program wrote.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn frozen_by(&mut self, repo: &str, freeze: i64) -> Result<Option<String>, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT coalesce(
                    (SELECT who FROM serial_gate_deploy WHERE verdict = 'degraded' AND repo = ?1 AND freeze = ?2),
                    (SELECT who FROM serial_gate_audit
                     WHERE repo = ?1 AND action = 'freeze' AND subject = 'freeze ' || ?2))",
            )?;
            let who = query.query_row(params![repo, freeze], |row| row.get::<_, Shown>(0));
            Ok(who?.0)
        })
    }
}

/// A repo with an active freeze, in the audit.
pub(super) const FROZEN: &str = "frozen";

const OPEN: &str = "open";

/// How a repo stands, in the audit's words.
pub(super) fn standing(
    transaction: &Transaction<'_>,
    repo: &str,
) -> rusqlite::Result<&'static str> {
    Ok(match newest(transaction, repo)? {
        Some(_) => FROZEN,
        None => OPEN,
    })
}

fn newest(
    transaction: &Transaction<'_>,
    repo: &str,
) -> rusqlite::Result<Option<(i64, Option<String>)>> {
    let mut query = transaction.prepare_cached(
        "SELECT id, work_item_id FROM repo_freeze
         WHERE repo = ?1 AND cleared_at IS NULL ORDER BY id DESC LIMIT 1",
    )?;
    let newest = query.query_row([repo], |row| Ok((row.get(0)?, row.get::<_, Shown>(1)?.0)));
    newest.optional()
}

/// Adds a freeze and its alert, and returns its id.
pub(super) fn add(
    transaction: &Transaction<'_>,
    act: Act<'_>,
    repo: &str,
    work_item: Option<&str>,
) -> rusqlite::Result<i64> {
    let reason = Some(act.why).filter(|reason| !reason.is_empty());
    // Another program's trigger can ignore a row without an error. Then no id comes back.
    let freeze = transaction.query_row(
        "INSERT INTO repo_freeze (repo, frozen_at, reason, work_item_id, gate_generation)
         VALUES (?1, ?2, ?3, ?4, (SELECT id FROM serial_gate_generation WHERE state = 'active'))
         RETURNING id",
        params![repo, sql_time(act.now), reason, work_item],
        |row| row.get(0),
    )?;
    let alert = NewAlert {
        kind: AlertKind::Freeze,
        repo: Some(repo),
        work_item,
        subject: Some(freeze),
        who: act.who,
        why: act.why,
    };
    alerts::add(transaction, act.now, alert)?;
    Ok(freeze)
}
