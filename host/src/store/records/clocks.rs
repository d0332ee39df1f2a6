//! Times that only a clock ahead can have written.
//!
//! Owns the list of them, and what each is the time of. Leaves what happens to them to others:
//! `leases` shortens a lease, and `deliveries` does not wait for a delivery or a channel. Callers
//! rely on this: nothing is changed.

use std::time::Duration;

use jiff::Timestamp;

use super::leases::{SHORTENED, impossible};
use crate::store::engine::{Row, Tx, Value, values};
use crate::store::job::{IS_QUEUED, IS_RUNNING};
use crate::store::time::latest;
use crate::store::written::is_past;
use crate::store::{Error, Store, sql_time};

/// How many of each kind are listed.
const LISTED: usize = 10;

/// An impossible time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TimeAhead {
    /// What it is the time of.
    #[serde(flatten)]
    pub of: Ahead,
    /// UTC, or what is in the database in place of a time.
    pub time: String,
}

/// What an impossible time is the time of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Ahead {
    /// The end of a running job's lease, or of the delay of a deferred job. The next claim
    /// shortens it.
    Lease {
        /// The job.
        job: i64,
        /// Its length in seconds, from that claim on; none for the length of the host's own leases.
        seconds: Option<i64>,
    },
    /// The claim of a running job, or a lease of it that was shortened.
    Claim {
        /// The job.
        job: i64,
        /// When it goes back to the queue; none if it has no lease.
        lease_until: Option<String>,
    },
    /// Until when a channel is left alone. Nothing waits for it.
    Channel {
        /// The channel.
        channel: String,
    },
    /// When an alert is due for a channel, or until when a sender has it. Nothing waits for it.
    Delivery {
        /// The alert.
        alert: i64,
        /// The channel.
        channel: String,
    },
    /// When a queued job was added. Its age is counted from when it was first seen at the head of
    /// its repo.
    Job {
        /// The job.
        job: i64,
        /// Its repo.
        repo: Option<String>,
    },
    /// When a repo was frozen. The freeze holds.
    Freeze {
        /// The freeze's number, if it has one.
        freeze: Option<i64>,
        /// The repo.
        repo: Option<String>,
    },
}

impl TimeAhead {
    /// Whether it stays wrong until an operator puts it right.
    pub fn stays_wrong(&self) -> bool {
        matches!(self.of, Ahead::Job { .. })
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimesAhead {
    /// Up to ten of each kind.
    pub found: Vec<TimeAhead>,
    /// Whether there are more.
    pub more: bool,
}

impl Store {
    /// The times that no right clock can have written by now. `lease` is the length of this host's
    /// own leases; nothing in the outbox is put off for longer than `longest_wait`.
    pub fn times_ahead(
        &mut self,
        now: Timestamp,
        lease: Duration,
        longest_wait: Duration,
    ) -> Result<TimesAhead, Error> {
        let last_wait = latest(now, longest_wait);
        self.read_one_state(|tx| {
            let mut all = TimesAhead::default();
            all.read_running(tx, now, lease)?;
            all.read(
                tx,
                "SELECT held_until, name FROM serial_gate_channel WHERE held_until > $1
                 ORDER BY name",
                values![last_wait],
                time_as_it_is,
                |row| {
                    let channel = row.shown(1)?.unwrap_or_default();
                    Ok(Ahead::Channel { channel })
                },
            )?;
            all.read(
                tx,
                "SELECT CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END, alert,
                    channel
                 FROM serial_gate_delivery
                 WHERE state = 'pending' AND (due_at > $1 OR lease_until > $1)
                 ORDER BY alert, channel",
                values![last_wait],
                time_as_it_is,
                |row| {
                    Ok(Ahead::Delivery {
                        alert: row.get(1)?,
                        channel: row.shown(2)?.unwrap_or_default(),
                    })
                },
            )?;
            // Other programs write these in their own format.
            let ahead = |row: Row<'_>| {
                let time = row.time(0)?.filter(|time| !is_past(*time, now));
                Ok(time.map(sql_time))
            };
            all.read(
                tx,
                &format!("SELECT created_at, id, repo FROM jobs WHERE {IS_QUEUED} ORDER BY id"),
                &[],
                ahead,
                |row| {
                    Ok(Ahead::Job {
                        job: row.get(1)?,
                        repo: row.shown(2)?,
                    })
                },
            )?;
            all.read(
                tx,
                "SELECT frozen_at, gate_number, repo FROM repo_freeze WHERE cleared_at IS NULL
                 ORDER BY id",
                &[],
                ahead,
                |row| {
                    Ok(Ahead::Freeze {
                        freeze: row.id(1)?,
                        repo: row.shown(2)?,
                    })
                },
            )?;
            Ok(all)
        })
    }
}

impl TimesAhead {
    /// Adds the running jobs with an impossible lease, and those with a shortened one whose worker
    /// was not heard of since.
    fn read_running(&mut self, tx: &dyn Tx, now: Timestamp, lease: Duration) -> Result<(), Error> {
        let impossible = impossible(tx, now, lease)?;
        self.more |= impossible.len() > LISTED;
        for lease in impossible.iter().take(LISTED) {
            self.found.push(TimeAhead {
                of: Ahead::Lease {
                    job: lease.job,
                    seconds: lease.seconds,
                },
                time: lease.until.clone(),
            });
        }
        let is_listed = |job: i64| impossible.iter().any(|lease| lease.job == job);
        self.read(
            tx,
            &format!(
                "SELECT CASE WHEN gate_claimed_at > $1 THEN gate_claimed_at
                    ELSE shortened.before END, id, gate_lease_until
                 FROM jobs LEFT JOIN (
                    SELECT subject, after, max(before) AS before FROM serial_gate_audit
                    WHERE action = '{SHORTENED}' GROUP BY subject, after
                 ) AS shortened ON shortened.subject = 'job ' || jobs.id
                    AND shortened.after = jobs.gate_lease_until
                 WHERE {IS_RUNNING} AND (gate_claimed_at > $1 OR shortened.subject IS NOT NULL)
                 ORDER BY id"
            ),
            values![latest(now, Duration::ZERO)],
            |row| match is_listed(row.get(1)?) {
                true => Ok(None),
                false => time_as_it_is(row),
            },
            |row| {
                Ok(Ahead::Claim {
                    job: row.get(1)?,
                    lease_until: row.shown(2)?,
                })
            },
        )
    }

    /// Adds the rows of a query that have such a time.
    fn read(
        &mut self,
        tx: &dyn Tx,
        sql: &str,
        values: &[Value<'_>],
        time: impl Fn(Row<'_>) -> Result<Option<String>, Error>,
        of: impl Fn(Row<'_>) -> Result<Ahead, Error>,
    ) -> Result<(), Error> {
        let mut number = 0;
        tx.query(sql, values, &mut |row| {
            let Some(time) = time(row)? else {
                return Ok(true);
            };
            if number == LISTED {
                self.more = true;
                return Ok(false);
            }
            number += 1;
            self.found.push(TimeAhead { of: of(row)?, time });
            Ok(true)
        })
    }
}

/// A time in the gate's own format, which the query has chosen.
fn time_as_it_is(row: Row<'_>) -> Result<Option<String>, Error> {
    Ok(Some(row.shown(0)?.unwrap_or_default()))
}
