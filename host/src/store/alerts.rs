//! Alerts: what there is to tell people, written down before anybody is told.
//!
//! Owns the outbox. How far each alert is with each channel is left to `deliveries`, and the words to
//! the room `alerts`. Callers rely on this: an alert is written in the transaction of what it tells of,
//! so none tells of a change that did not happen, and none is lost with the process. It is written
//! whether or not a channel is configured, because who changes something need not be who sends. The
//! newest 10,000 are kept, so that the table has an end where nobody ever sends.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Row, params};

use super::effect::Effect;
use super::transaction::Transaction;
use super::value::Shown;
use super::{Error, Store, sql_time};

/// How many alerts are kept.
const KEPT: i64 = 10_000;

/// Who tells of what nobody did.
pub(super) const THE_HOST: &str = "serial-gate";

/// What an alert tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A repo was frozen.
    Freeze,
    /// A repo was opened again.
    Unfreeze,
    /// A policy failed too often, and the one before it is active again.
    Rollback,
    /// A job failed, and goes back to the queue only if an operator puts it there.
    JobFailed,
    /// The first job of a repo's waiting line has been there for long.
    Waiting,
}

/// Something to tell people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// Its name among the alerts of all queues: who hears of it twice can tell by this.
    pub key: String,
    /// When it happened, UTC.
    pub at: String,
    /// What happened.
    pub kind: AlertKind,
    /// Where.
    pub repo: Option<String>,
    /// The task that it is about, by its name.
    pub work_item_id: Option<String>,
    /// The freeze, the generation or the job that it is about.
    pub subject: Option<i64>,
    /// Who did it.
    pub who: String,
    /// Why; empty if nothing was said.
    pub why: String,
    /// What has to be known besides, as it was then: why the gate did not hold a frozen repo, for example.
    pub note: Option<String>,
}

/// An alert to write down.
pub(super) struct NewAlert<'a> {
    pub kind: AlertKind,
    pub repo: Option<&'a str>,
    pub work_item: Option<&'a str>,
    pub subject: Option<i64>,
    pub who: &'a str,
    pub why: &'a str,
}

impl AlertKind {
    const ALL: [AlertKind; 5] = [
        AlertKind::Freeze,
        AlertKind::Unfreeze,
        AlertKind::Rollback,
        AlertKind::JobFailed,
        AlertKind::Waiting,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::Freeze => "freeze",
            AlertKind::Unfreeze => "unfreeze",
            AlertKind::Rollback => "rollback",
            AlertKind::JobFailed => "job_failed",
            AlertKind::Waiting => "waiting",
        }
    }
}

/// The columns of an alert, as `a`.
pub(super) const COLUMNS: &str =
    "a.id, a.key, a.at, a.kind, a.repo, a.work_item_id, a.subject, a.who, a.why, a.note";

impl Alert {
    pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Alert> {
        let text = |column| Ok::<_, rusqlite::Error>(row.get::<_, Shown>(column)?.0);
        Ok(Alert {
            id: row.get(0)?,
            key: text(1)?.unwrap_or_default(),
            at: text(2)?.unwrap_or_default(),
            kind: row.get(3)?,
            repo: text(4)?,
            work_item_id: text(5)?,
            subject: row.get(6)?,
            who: text(7)?.unwrap_or_default(),
            why: text(8)?.unwrap_or_default(),
            note: text(9)?,
        })
    }
}

impl Store {
    /// Writes an alert for the first job of each repo's waiting line that was made longer ago than
    /// `limit`, once for each such job, and returns how many there were. A job that has the id of a deleted
    /// one is another job: the alert of that one is older than it. A job that a clock ahead has added is not told of
    /// before its time: nothing says how long it has really waited, so that is left to `doctor`. Takes the write lock only if
    /// there is one.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn alert_of_waiting(&mut self, now: Timestamp, limit: Duration) -> Result<usize, Error> {
        let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
        let before = sql_time(now.checked_sub(limit).unwrap_or(Timestamp::MIN));
        if self.doing(|connection| Ok(waiting(connection, &before)?.is_empty()))? {
            return Ok(0);
        }
        self.writing(|transaction| {
            let heads = waiting(transaction, &before)?;
            for head in &heads {
                let alert = NewAlert {
                    kind: AlertKind::Waiting,
                    repo: head.repo.as_deref(),
                    work_item: head.work_item.as_deref(),
                    subject: Some(head.job),
                    who: THE_HOST,
                    why: &format!("since {} UTC", head.since),
                };
                add(transaction, now, alert)?;
            }
            Ok(heads.len())
        })
    }
}

/// The first job of a waiting line.
struct Head {
    job: i64,
    repo: Option<String>,
    since: String,
    work_item: Option<String>,
}

/// The first waiting jobs that are that old, with the repo, since when, and the task's name. The repos
/// are found one after the other, so that a long line costs no more than a short one.
fn waiting(connection: &rusqlite::Connection, before: &str) -> rusqlite::Result<Vec<Head>> {
    let mut query = connection.prepare_cached(
        "WITH RECURSIVE line (repo) AS (
            SELECT min(repo) FROM jobs WHERE status = 'queued' AND repo > ''
            UNION ALL
            SELECT (SELECT min(repo) FROM jobs WHERE status = 'queued' AND repo > line.repo)
            FROM line WHERE line.repo IS NOT NULL)
         SELECT jobs.id, jobs.repo, jobs.created_at, tasks.work_item_id
         FROM line JOIN jobs ON jobs.id = (
            SELECT min(id) FROM jobs AS first
            WHERE first.status = 'queued' AND first.repo = line.repo AND first.agent = 'analyst')
         LEFT JOIN tasks ON tasks.id = jobs.task_id
         WHERE jobs.created_at <= ?1 AND NOT EXISTS (
            SELECT 1 FROM serial_gate_alert AS told
            WHERE told.kind = 'waiting' AND told.subject = jobs.id AND told.at >= jobs.created_at)",
    )?;
    let text = |row: &Row<'_>, column| Ok::<_, rusqlite::Error>(row.get::<_, Shown>(column)?.0);
    let rows = query.query_map([before], |row| {
        Ok(Head {
            job: row.get(0)?,
            repo: text(row, 1)?,
            since: text(row, 2)?.unwrap_or_default(),
            work_item: text(row, 3)?,
        })
    })?;
    rows.collect()
}

/// Adds an alert to the transaction of what it tells of.
pub(super) fn add(
    transaction: &Transaction<'_>,
    now: Timestamp,
    alert: NewAlert<'_>,
) -> Result<(), Error> {
    add_noting(transaction, now, alert, None)
}

/// The same with what has to be known besides.
pub(super) fn add_noting(
    transaction: &Transaction<'_>,
    now: Timestamp,
    alert: NewAlert<'_>,
    note: Option<&str>,
) -> Result<(), Error> {
    let effect = Effect {
        what: "the alert",
        table: "serial_gate_alert",
    };
    let mut insert = transaction.prepare_cached(
        "INSERT INTO serial_gate_alert (key, at, kind, repo, work_item_id, subject, who, why, note)
         VALUES (lower(hex(randomblob(16))), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
    )?;
    let values = params![
        sql_time(now),
        alert.kind.name(),
        alert.repo,
        alert.work_item,
        alert.subject,
        alert.who,
        alert.why,
        note
    ];
    let id: i64 = effect.returned(insert.query_row(values, |row| row.get(0)))?;
    effect.is_there(
        transaction,
        "SELECT 1 FROM serial_gate_alert WHERE id = ?1",
        [id],
    )?;
    let oldest = id.saturating_sub(KEPT);
    for forget in [
        "DELETE FROM serial_gate_alert WHERE id <= ?1",
        "DELETE FROM serial_gate_delivery WHERE alert <= ?1",
    ] {
        transaction.prepare_cached(forget)?.execute([oldest])?;
    }
    Ok(())
}

impl FromSql for AlertKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<AlertKind> {
        let named = |kind: &AlertKind| value.as_str().ok() == Some(kind.name());
        let known = AlertKind::ALL.into_iter().find(named);
        known.ok_or(FromSqlError::InvalidType)
    }
}
