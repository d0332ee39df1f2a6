//! Freezes of all repos at once, and reminders of freezes whose time is over.
//!
//! Owns the group of freezes that were made together, by which exactly these are cleared again, and
//! one alert for each group. Leaves a single freeze to `freezes`. Callers rely on this: a group is
//! made, and cleared, in one transaction; a repo that had a freeze before keeps it; a reminder opens
//! nothing, and comes once.

use jiff::Timestamp;

use super::alerts::{self, NewAlert, THE_HOST};
use super::audit::{self, AuditRow};
use super::freezes::{FROZEN, Frozen, NUMBER, NewRow, check_frozen, insert, standing};
use super::known::repos_with_work;
use crate::store::engine::{Tx, values};
use crate::store::{Actor, AlertKind, Error, Store, from_sql_time, sql_time};

/// Freezes that were made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeGroup {
    /// Its number: that of its first freeze.
    pub group: i64,
    /// The repos.
    pub repos: Vec<String>,
}

impl Store {
    /// Freezes each repo of a task or a job, and these besides. None if there is no repo.
    ///
    /// # Errors
    ///
    /// When a freeze cannot be written or does not stay. No repo is frozen then.
    pub fn freeze_all(
        &mut self,
        actor: Actor<'_>,
        besides: &[String],
        until: Option<Timestamp>,
    ) -> Result<Option<FreezeGroup>, Error> {
        self.write_durably(|tx| {
            let mut repos = repos_with_work(tx)?;
            repos.extend(besides.iter().cloned());
            repos.sort_unstable();
            repos.dedup();
            let mut group = None;
            for repo in &repos {
                let frozen = one(tx, actor, repo, until, group)?;
                group.get_or_insert(frozen.number);
            }
            let Some(group) = group else {
                return Ok(None);
            };
            let alert = NewAlert {
                kind: AlertKind::Freeze,
                repo: None,
                work_item: None,
                subject: Some(group),
                who: actor.who,
                why: actor.why,
            };
            let note = counted(repos.len());
            alerts::add_noting(tx, actor.now, alert, Some(&note))?;
            Ok(Some(FreezeGroup { group, repos }))
        })
    }

    /// Clears the active freezes of a group, and returns the repos, each with whether it is still
    /// frozen by another freeze.
    ///
    /// # Errors
    ///
    /// When there never was such a group, or the change cannot be written or does not stay.
    pub fn unfreeze_group(
        &mut self,
        actor: Actor<'_>,
        group: i64,
    ) -> Result<Vec<(String, bool)>, Error> {
        self.write_durably(|tx| {
            let sql = format!(
                "SELECT repo_freeze.id, repo_freeze.repo, term.\"freeze\"
                 FROM serial_gate_freeze_term AS term {} repo_freeze
                    ON repo_freeze.repo = term.repo AND cleared_at IS NULL
                    AND {NUMBER_OF_ROW} = term.\"freeze\"
                 WHERE term.made_with = $1 ORDER BY 2, 1",
                tx.then_join()
            );
            let freezes: Vec<(i64, String, i64)> = tx.rows(&sql, values![group], |row| {
                Ok((row.get(0)?, row.shown(1)?.unwrap_or_default(), row.get(2)?))
            })?;
            if freezes.is_empty() {
                let made = "SELECT 1 FROM serial_gate_freeze_term WHERE made_with = $1 LIMIT 1";
                return match tx.exists(made, values![group])? {
                    true => Ok(Vec::new()),
                    false => Err(Error::NoFreezeGroup { group }),
                };
            }
            let mut repos = Vec::new();
            for (row, repo, number) in freezes {
                let still = clear_one(tx, actor, row, &repo, number)?;
                repos.push((repo, still));
            }
            let alert = NewAlert {
                kind: AlertKind::Unfreeze,
                repo: None,
                work_item: None,
                subject: Some(group),
                who: actor.who,
                why: actor.why,
            };
            let note = counted(repos.len());
            alerts::add_noting(tx, actor.now, alert, Some(&note))?;
            Ok(repos)
        })
    }

    /// Stores one alert for each active freeze, or group of freezes, whose time is over and that has
    /// none yet. Returns how many alerts it stored. Takes the write lock only if there is something
    /// to write.
    pub fn remind_of_freezes(&mut self, now: Timestamp) -> Result<usize, Error> {
        let time = sql_time(now);
        let over = format!("SELECT 1 FROM serial_gate_freeze_term WHERE {IS_DUE} LIMIT 1");
        if !self.read(|tx| tx.exists(&over, values![time]))? {
            return Ok(0);
        }
        self.write_alone(|tx| {
            // Of two processes that look at once, the second finds no row.
            let sql = format!(
                "UPDATE serial_gate_freeze_term SET reminded_at = $1 WHERE {IS_DUE}
                 RETURNING \"freeze\", repo, until, made_with"
            );
            let due: Vec<(i64, String, String, Option<i64>)> =
                tx.rows(&sql, values![time], |row| {
                    Ok((
                        row.get(0)?,
                        row.shown(1)?.unwrap_or_default(),
                        row.shown(2)?.unwrap_or_default(),
                        row.get(3)?,
                    ))
                })?;
            let active = format!(
                "SELECT 1 FROM repo_freeze WHERE repo = $1 AND cleared_at IS NULL
                 AND {NUMBER} = $2"
            );
            let mut over = Vec::new();
            for (freeze, repo, until, group) in due {
                if tx.exists(&active, values![repo, freeze])? {
                    over.push((group.unwrap_or(freeze), repo, until, group.is_some()));
                }
            }
            over.sort_unstable();
            let groups = over.chunk_by(|(one, ..), (other, ..)| one == other);
            let mut told = 0;
            for freezes in groups {
                let Some((number, repo, until, is_group)) = freezes.first() else {
                    continue;
                };
                let alert = NewAlert {
                    kind: AlertKind::FreezeOver,
                    repo: (!is_group).then_some(repo.as_str()),
                    work_item: None,
                    subject: Some(*number),
                    who: THE_HOST,
                    why: &format!("the freeze was meant to end at {until} UTC"),
                };
                let note = is_group.then(|| counted(freezes.len()));
                alerts::add_noting(tx, now, alert, note.as_deref())?;
                told += 1;
            }
            Ok(told)
        })
    }
}

/// A freeze whose time is over, without a reminder.
const IS_DUE: &str = "until <= $1 AND reminded_at IS NULL";

/// A freeze's number, beside another table.
pub(crate) const NUMBER_OF_ROW: &str =
    "coalesce(CAST(repo_freeze.gate_number AS BIGINT), repo_freeze.id)";

fn counted(repos: usize) -> String {
    match repos {
        1 => "1 repo".into(),
        repos => format!("{repos} repos"),
    }
}

fn one(
    tx: &dyn Tx,
    actor: Actor<'_>,
    repo: &str,
    until: Option<Timestamp>,
    group: Option<i64>,
) -> Result<Frozen, Error> {
    let before = standing(tx, repo)?;
    let row = NewRow {
        repo,
        work_item: None,
        until,
        is_of_group: true,
        group,
    };
    let frozen = insert(tx, actor, row)?;
    let row = AuditRow {
        action: "freeze",
        repo: Some(repo),
        subject: format!("freeze {}", frozen.number),
        before: Some(before),
        after: Some(FROZEN),
    };
    audit::write_down(tx, actor, row)?;
    check_frozen(tx, actor, repo, frozen)?;
    Ok(frozen)
}

/// Clears one freeze. Whether another one still holds the repo.
fn clear_one(
    tx: &dyn Tx,
    actor: Actor<'_>,
    row: i64,
    repo: &str,
    number: i64,
) -> Result<bool, Error> {
    tx.execute(
        "UPDATE repo_freeze SET cleared_at = $2 WHERE id = $1",
        values![row, sql_time(actor.now)],
    )?;
    let after = standing(tx, repo)?;
    let entry = AuditRow {
        action: "unfreeze",
        repo: Some(repo),
        subject: format!("freeze {number}"),
        before: Some(FROZEN),
        after: Some(after),
    };
    audit::write_down(tx, actor, entry)?;
    super::freezes::check_cleared(tx, repo, row)?;
    Ok(after == FROZEN)
}

/// Whether the time of a freeze is over; none for a text that is no time.
pub fn is_over(until: &str, now: Timestamp) -> Option<bool> {
    from_sql_time(until).map(|until| until <= now)
}
