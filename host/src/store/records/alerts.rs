//! Alerts: messages for people, stored before they are sent.
//!
//! Owns the outbox. Leaves the delivery to each channel to `deliveries`, and the words to the room
//! `alerts`. Callers rely on this: an alert is stored in the transaction of its event, so no alert
//! reports a change that did not happen, and none is lost with the process. It is stored whether or
//! not a channel is configured, because another process may send it. The newest 10,000 are kept, so
//! that the table stays bounded where no process sends.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::effect::Effect;
use super::waiting::{LineHead, LineHeads};
use crate::clause::Agents;
use crate::store::engine::{FromValue, Row, Tx, Value, values};
use crate::store::{Error, Store, sql_time, token};

/// How many alerts are kept.
const KEPT: i64 = 10_000;

/// The author of an event that no person caused.
pub(crate) const THE_HOST: &str = "serial-gate";

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A repo was frozen.
    Freeze,
    /// A repo was opened again.
    Unfreeze,
    /// A policy failed too often, and the one before it is active again.
    Rollback,
    /// A job failed. Only an operator puts it back.
    JobFailed,
    /// The first job of a repo's waiting line has been there for too long.
    Waiting,
    /// A policy's `decide` and its clause differ about a queued job.
    Contradiction,
    /// A task appeared after a later one of its repo had been started.
    LateTask,
    /// A freeze was to last until now.
    FreezeOver,
    /// A test of the channels by an operator. It is never stored.
    Test,
}

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// Its key among the alerts of all queues: a receiver recognises a repeated alert by it.
    pub key: String,
    /// When it happened, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
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
    /// Why; may be empty.
    pub why: String,
    /// A note about the state at that time, such as why the gate did not hold a frozen repo.
    pub note: Option<String>,
}

/// An alert to write down.
pub(crate) struct NewAlert<'a> {
    pub kind: AlertKind,
    pub repo: Option<&'a str>,
    pub work_item: Option<&'a str>,
    pub subject: Option<i64>,
    pub who: &'a str,
    pub why: &'a str,
}

impl AlertKind {
    const ALL: [AlertKind; 8] = [
        AlertKind::Freeze,
        AlertKind::Unfreeze,
        AlertKind::Rollback,
        AlertKind::JobFailed,
        AlertKind::Waiting,
        AlertKind::Contradiction,
        AlertKind::LateTask,
        AlertKind::FreezeOver,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::Freeze => "freeze",
            AlertKind::Unfreeze => "unfreeze",
            AlertKind::Rollback => "rollback",
            AlertKind::JobFailed => "job_failed",
            AlertKind::Waiting => "waiting",
            AlertKind::Contradiction => "contradiction",
            AlertKind::LateTask => "late_task",
            AlertKind::FreezeOver => "freeze_over",
            AlertKind::Test => "test",
        }
    }
}

/// The columns of an alert, as `a`.
pub(crate) const COLUMNS: &str =
    "a.id, a.key, a.at, a.kind, a.repo, a.work_item_id, a.subject, a.who, a.why, a.note";

impl Alert {
    pub(crate) fn of_row(row: Row<'_>) -> Result<Alert, Error> {
        let text = |column| row.shown(column);
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
    /// Looks at the first job in each repo's line for these agents. Notes when a job was first seen
    /// there, if its row has no usable time, and stores one alert for each job that has been first
    /// for longer than `limit`. Returns how many alerts it stored. A job that reuses the id of a
    /// deleted job counts as another: the old alert is older than the new job. Takes the write lock
    /// only if there is something to write.
    pub fn look_at_heads(
        &mut self,
        now: Timestamp,
        agents: &Agents,
        limit: Option<Duration>,
    ) -> Result<usize, Error> {
        let before = limit.map(|limit| {
            let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
            now.checked_sub(limit).unwrap_or(Timestamp::MIN)
        });
        let is_quiet = self.read_one_state(|tx| {
            let heads = LineHeads::read(tx, agents, now)?;
            Ok(heads.are_noted() && not_told(tx, &heads, before)?.is_empty())
        })?;
        if is_quiet {
            return Ok(0);
        }
        self.write_alone(|tx| {
            let heads = LineHeads::read(tx, agents, now)?;
            heads.note(tx, now)?;
            let late = not_told(tx, &heads, before)?;
            for head in &late {
                let since = sql_time(head.since);
                let why = if head.is_seen {
                    format!("since {since} UTC or longer: that is when it was first seen")
                } else {
                    format!("since {since} UTC")
                };
                let alert = NewAlert {
                    kind: AlertKind::Waiting,
                    repo: head.repo.as_deref(),
                    work_item: head.work_item.as_deref(),
                    subject: Some(head.job),
                    who: THE_HOST,
                    why: &why,
                };
                add(tx, now, alert)?;
            }
            Ok(late.len())
        })
    }
}

/// The heads that have been there since before then and have no alert.
fn not_told<'a>(
    tx: &dyn Tx,
    heads: &'a LineHeads,
    before: Option<Timestamp>,
) -> Result<Vec<&'a LineHead>, Error> {
    let Some(before) = before else {
        return Ok(Vec::new());
    };
    let mut late = Vec::new();
    for head in heads.heads.iter().filter(|head| head.since <= before) {
        // Both times are the gate's own, in the same format.
        if !tx.exists(
            "SELECT 1 FROM serial_gate_alert WHERE kind = 'waiting' AND subject = $1 AND at >= $2",
            values![head.job, sql_time(head.since)],
        )? {
            late.push(head);
        }
    }
    Ok(late)
}

/// Adds an alert to the transaction of its event.
pub(crate) fn add(tx: &dyn Tx, now: Timestamp, alert: NewAlert<'_>) -> Result<(), Error> {
    add_noting(tx, now, alert, None)
}

/// The same with a note.
pub(crate) fn add_noting(
    tx: &dyn Tx,
    now: Timestamp,
    alert: NewAlert<'_>,
    note: Option<&str>,
) -> Result<(), Error> {
    let effect = Effect {
        what: "the alert",
        table: "serial_gate_alert",
    };
    let at = sql_time(now);
    let key = token::new_key()?;
    let id: i64 = effect.returned(tx.row(
        "INSERT INTO serial_gate_alert (key, at, kind, repo, work_item_id, subject, who, why, note)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        values![
            key,
            at,
            alert.kind.name(),
            alert.repo,
            alert.work_item,
            alert.subject,
            alert.who,
            alert.why,
            note
        ],
        |row| row.get(0),
    ))?;
    effect.is_there(
        tx,
        "SELECT 1 FROM serial_gate_alert WHERE id = $1",
        values![id],
    )?;
    let oldest = id.saturating_sub(KEPT);
    for forget in [
        "DELETE FROM serial_gate_alert WHERE id <= $1",
        "DELETE FROM serial_gate_delivery WHERE alert <= $1",
    ] {
        tx.execute(forget, values![oldest])?;
    }
    Ok(())
}

impl FromValue for AlertKind {
    fn from_value(value: Value<'_>) -> Option<AlertKind> {
        let name = String::from_value(value)?;
        AlertKind::ALL
            .into_iter()
            .find(|known| known.name() == name)
    }
}
