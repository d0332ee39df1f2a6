//! Freezes: a repo is closed after a bad deploy until an operator clears it.
//!
//! Owns their durability: when a method here returns, the change, its alert and its row in the
//! audit are on the disk. Rows are only ever added or cleared, so that the table is the history.
//! People know a freeze by its number, which a trigger gives and which is never reused; the row's
//! id is internal, except for rows older than the numbers. Callers rely on this: the repo is frozen
//! or open as the method reports, or they get an error, whatever triggers the database has.

use jiff::Timestamp;

use super::alerts::{self, NewAlert};
use super::audit::{self, AuditRow};
use super::effect::Effect;
use crate::store::engine::{Tx, values};
use crate::store::names::not_empty;
use crate::store::{Actor, AlertKind, Error, Store, sql_time};

/// The newest active freeze of a repo.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ActiveFreeze {
    /// Its number.
    pub id: i64,
    /// When the repo was frozen, as the row has it.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    pub frozen_at: Option<String>,
    /// The same, if it is a time.
    #[serde(skip)]
    pub since: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// The task whose deploy went bad.
    pub work_item_id: Option<String>,
    /// When people are reminded of it, UTC. It opens nothing.
    #[serde(
        serialize_with = "crate::store::maybe_rfc3339",
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<String>,
}

/// A freeze to write.
#[derive(Clone, Copy)]
pub(crate) struct NewRow<'a> {
    pub repo: &'a str,
    pub work_item: Option<&'a str>,
    pub until: Option<Timestamp>,
    /// Whether it is made with others, and the number of the first of them; none if it is the first.
    pub is_of_group: bool,
    pub group: Option<i64>,
}

/// A freeze that was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frozen {
    pub row: i64,
    pub number: i64,
}

/// A freeze's number.
pub(crate) const NUMBER: &str = "coalesce(CAST(gate_number AS BIGINT), id)";

/// The newest active freeze of a repo is the one with the highest id, as in the reference. Its
/// number is the highest of all that are active: a row that became a freeze again has a new number,
/// and an old id.
const NEWEST: &str = "CASE WHEN gate_number IS NULL THEN id ELSE (
        SELECT CAST(max(gate_number) AS BIGINT) FROM repo_freeze AS active
        WHERE active.repo = $1 AND active.cleared_at IS NULL) END AS newest
    FROM repo_freeze WHERE repo = $1 AND cleared_at IS NULL ORDER BY id DESC LIMIT 1";

impl Store {
    /// Freezes a repo and returns the freeze's number. A repo can be frozen more than once. The
    /// actor's reason becomes the freeze's; an empty reason is stored as NULL. `note` is for the
    /// alert: what the freeze does not hold.
    ///
    /// # Errors
    ///
    /// When the repo is empty, or the freeze cannot be written or does not stay.
    pub fn freeze(
        &mut self,
        actor: Actor<'_>,
        repo: &str,
        work_item: Option<&str>,
        until: Option<Timestamp>,
        note: Option<&str>,
    ) -> Result<i64, Error> {
        not_empty("repo", repo)?;
        self.write_durably(|tx| {
            let before = standing(tx, repo)?;
            let row = NewRow {
                repo,
                work_item,
                until,
                is_of_group: false,
                group: None,
            };
            let freeze = add(tx, actor, row, note)?;
            let row = AuditRow {
                action: "freeze",
                repo: Some(repo),
                subject: format!("freeze {}", freeze.number),
                before: Some(before),
                after: Some(FROZEN),
            };
            audit::write_down(tx, actor, row)?;
            check_frozen(tx, actor, repo, freeze)?;
            Ok(freeze.number)
        })
    }

    /// Clears every active freeze of a repo and returns how many there were. With `seen`, the
    /// newest freeze that the caller knows of, nothing is cleared if another one is the newest.
    ///
    /// # Errors
    ///
    /// When the repo is empty, another freeze is the newest, or the change cannot be written or
    /// does not stay.
    pub fn unfreeze(
        &mut self,
        actor: Actor<'_>,
        repo: &str,
        seen: Option<i64>,
    ) -> Result<usize, Error> {
        not_empty("repo", repo)?;
        self.write_durably(|tx| clear(tx, actor, repo, seen))
    }

    /// The newest active freeze of a repo. Without a repo there is none.
    ///
    /// # Errors
    ///
    /// When the freezes cannot be read: the caller must then treat the repo as frozen.
    pub fn active_freeze(&mut self, repo: Option<&str>) -> Result<Option<ActiveFreeze>, Error> {
        self.read(|tx| {
            let found = tx.row(
                &format!("SELECT frozen_at, reason, work_item_id, {NEWEST}"),
                values![repo],
                |row| {
                    Ok(ActiveFreeze {
                        id: row.get(3)?,
                        until: None,
                        frozen_at: row.shown(0)?,
                        since: row.time(0)?,
                        reason: row.shown(1)?,
                        work_item_id: row.shown(2)?,
                    })
                },
            )?;
            let Some(freeze) = found else {
                return Ok(None);
            };
            let sql = "SELECT until FROM serial_gate_freeze_term WHERE \"freeze\" = $1";
            let until = tx.row(sql, values![freeze.id], |row| row.shown(0))?;
            Ok(Some(ActiveFreeze {
                until: until.flatten(),
                ..freeze
            }))
        })
    }

    /// Who made a freeze, according to the audit; none for a freeze of another program. A freeze
    /// without a number may reuse the id of a deleted one, so the time is compared too.
    pub fn frozen_by(
        &mut self,
        repo: &str,
        freeze: &ActiveFreeze,
    ) -> Result<Option<String>, Error> {
        self.read(|tx| {
            tx.only(
                "SELECT coalesce(
                    (SELECT who FROM serial_gate_deploy
                     WHERE verdict = 'degraded' AND repo = $1 AND \"freeze\" = $2 AND at = $3),
                    (SELECT who FROM serial_gate_audit
                     WHERE repo = $1 AND action = 'freeze' AND subject = 'freeze ' || $2
                     AND at = $3))",
                values![repo, freeze.id, freeze.frozen_at],
                |row| row.shown(0),
            )
        })
    }
}

/// A repo with an active freeze, in the audit.
pub(crate) const FROZEN: &str = "frozen";

const OPEN: &str = "open";

/// The state of a repo, in the audit's words.
pub(crate) fn standing(tx: &dyn Tx, repo: &str) -> Result<&'static str, Error> {
    Ok(match newest(tx, repo)? {
        Some(_) => FROZEN,
        None => OPEN,
    })
}

/// The number of a repo's newest active freeze, and its task.
fn newest(tx: &dyn Tx, repo: &str) -> Result<Option<(i64, Option<String>)>, Error> {
    tx.row(
        &format!("SELECT work_item_id, {NEWEST}"),
        values![repo],
        |row| Ok((row.get(1)?, row.shown(0)?)),
    )
}

/// Refuses to clear a freeze that the caller has not seen.
fn check_seen(tx: &dyn Tx, repo: &str, seen: Option<i64>, newest: i64) -> Result<(), Error> {
    let Some(seen) = seen.filter(|seen| *seen != newest) else {
        return Ok(());
    };
    // A row's id, or a mistyped number, says nothing about what came after it.
    let was_a_freeze = tx.exists(
        &format!("SELECT 1 FROM repo_freeze WHERE repo = $1 AND {NUMBER} = $2"),
        values![repo, seen],
    )?;
    let repo = repo.to_owned();
    Err(if was_a_freeze && seen < newest {
        Error::FrozenAgain { repo, seen, newest }
    } else {
        Error::OtherFreeze { repo, seen, newest }
    })
}

fn active_rows(tx: &dyn Tx, repo: &str) -> Result<Vec<i64>, Error> {
    tx.rows(
        "SELECT id FROM repo_freeze WHERE repo = $1 AND cleared_at IS NULL",
        values![repo],
        |row| row.get(0),
    )
}

/// Adds a freeze and its alert. [`check_frozen`] checks after the last write that it stayed.
pub(crate) fn add(
    tx: &dyn Tx,
    actor: Actor<'_>,
    new: NewRow<'_>,
    note: Option<&str>,
) -> Result<Frozen, Error> {
    let frozen = insert(tx, actor, new)?;
    let alert = NewAlert {
        kind: AlertKind::Freeze,
        repo: Some(new.repo),
        work_item: new.work_item,
        subject: Some(frozen.number),
        who: actor.who,
        why: actor.why,
    };
    alerts::add_noting(tx, actor.now, alert, note)?;
    Ok(frozen)
}

/// The same without an alert.
pub(crate) fn insert(tx: &dyn Tx, actor: Actor<'_>, new: NewRow<'_>) -> Result<Frozen, Error> {
    let NewRow {
        repo,
        work_item,
        until,
        is_of_group,
        group,
    } = new;
    let name = freeze_of(repo);
    let row = tx.row(
        "INSERT INTO repo_freeze (repo, frozen_at, cleared_at, reason, work_item_id,
        gate_generation)
         VALUES ($1, $2, NULL, $3, $4, (SELECT id FROM serial_gate_generation
         WHERE state = 'active'))
         RETURNING id",
        values![repo, sql_time(actor.now), reason(actor), work_item],
        |row| row.get(0),
    );
    let row = effect(&name).returned(row)?;
    // `RETURNING` does not show what later triggers did.
    let number = effect(&name).returned(tx.row(
        &format!("SELECT {NUMBER} FROM repo_freeze WHERE id = $1"),
        values![row],
        |found| found.get(0),
    ))?;
    if until.is_some() || is_of_group {
        // Without a group yet, it is the first one.
        let made_with = is_of_group.then(|| group.unwrap_or(number));
        tx.execute(
            "INSERT INTO serial_gate_freeze_term (\"freeze\", repo, until, made_with)
             VALUES ($1, $2, $3, $4)",
            values![number, repo, until.map(sql_time), made_with],
        )?;
    }
    Ok(Frozen { row, number })
}

/// Clears every active freeze of a repo, as [`Store::unfreeze`] does.
pub(crate) fn clear(
    tx: &dyn Tx,
    actor: Actor<'_>,
    repo: &str,
    seen: Option<i64>,
) -> Result<usize, Error> {
    let newest = newest(tx, repo)?;
    let Some((newest, work_item)) = newest else {
        return Ok(0);
    };
    check_seen(tx, repo, seen, newest)?;
    let freezes = active_rows(tx, repo)?;
    tx.execute(
        "UPDATE repo_freeze SET cleared_at = $2 WHERE repo = $1 AND cleared_at IS NULL",
        values![repo, sql_time(actor.now)],
    )?;
    let alert = NewAlert {
        kind: AlertKind::Unfreeze,
        repo: Some(repo),
        work_item: work_item.as_deref(),
        subject: Some(newest),
        who: actor.who,
        why: actor.why,
    };
    alerts::add(tx, actor.now, alert)?;
    let subject = match freezes.len() {
        1 => format!("freeze {newest}"),
        cleared => format!("{cleared} freezes up to {newest}"),
    };
    let row = AuditRow {
        action: "unfreeze",
        repo: Some(repo),
        subject,
        before: Some(FROZEN),
        after: Some(OPEN),
    };
    audit::write_down(tx, actor, row)?;
    check_open(tx, repo, &freezes)?;
    Ok(freezes.len())
}

/// Refuses a freeze that is not there as it was added.
pub(crate) fn check_frozen(
    tx: &dyn Tx,
    actor: Actor<'_>,
    repo: &str,
    freeze: Frozen,
) -> Result<(), Error> {
    effect(&freeze_of(repo)).is_there(
        tx,
        &format!(
            "SELECT 1 FROM repo_freeze
             WHERE id = $1 AND repo = $2 AND cleared_at IS NULL AND reason IS NOT DISTINCT FROM $3
             AND {NUMBER} = $4"
        ),
        values![freeze.row, repo, reason(actor), freeze.number],
    )
}

/// Refuses an unfreeze after which one of these freezes is still active, or another freeze holds
/// the repo.
fn check_open(tx: &dyn Tx, repo: &str, freezes: &[i64]) -> Result<(), Error> {
    let name = format!("the unfreeze of `{}`", repo.escape_debug());
    effect(&name).is_gone(
        tx,
        "SELECT 1 FROM repo_freeze WHERE repo = $1 AND cleared_at IS NULL",
        values![repo],
    )?;
    freezes
        .iter()
        .try_for_each(|freeze| check_cleared(tx, repo, *freeze))
}

/// Refuses the end of a freeze that is still active.
pub(crate) fn check_cleared(tx: &dyn Tx, repo: &str, row: i64) -> Result<(), Error> {
    let name = format!("the unfreeze of `{}`", repo.escape_debug());
    effect(&name).is_gone(
        tx,
        "SELECT 1 FROM repo_freeze WHERE id = $1 AND cleared_at IS NULL",
        values![row],
    )
}

fn effect(what: &str) -> Effect<'_> {
    Effect {
        what,
        table: "repo_freeze",
    }
}

fn freeze_of(repo: &str) -> String {
    format!("the freeze of `{}`", repo.escape_debug())
}

fn reason<'a>(actor: Actor<'a>) -> Option<&'a str> {
    Some(actor.why).filter(|reason| !reason.is_empty())
}
