//! Times that only a clock that was ahead can have written.
//!
//! Owns the list of them, for `doctor`: what each is of, and when it is. What becomes of them is
//! decided where they are used: a lease is shortened (`leases`), and a delivery or a channel is not
//! waited for (`deliveries`). Changes nothing.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, params};

use super::engine::Sqlite;
use super::leases::{IMPOSSIBLE, SHORTENED, Times};
use super::transaction::Transaction;
use super::value::Shown;
use super::value::Written;
use crate::store::job::{IS_QUEUED, IS_RUNNING};
use crate::store::time::latest;
use crate::store::written::is_past;
use crate::store::{Error, sql_time};

/// How many of each kind are listed.
const LISTED: usize = 10;

/// A time that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TimeAhead {
    /// What it is the time of.
    #[serde(flatten)]
    pub of: Ahead,
    /// UTC, or what is in the database in place of a time.
    pub time: String,
}

/// What a time that cannot be is of.
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

impl Sqlite {
    /// The times that no right clock can have written by now. `lease` is how long the leases of
    /// this host are; nothing in the outbox is put off for longer than `longest_wait`.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn times_ahead(
        &mut self,
        now: Timestamp,
        lease: Duration,
        longest_wait: Duration,
    ) -> Result<TimesAhead, Error> {
        let last_wait = latest(now, longest_wait);
        self.read(|connection| {
            // All reads see one state.
            let reading = Transaction::read(connection)?;
            let mut all = TimesAhead::default();
            running(&reading, &mut all, now, lease)?;
            all.read(
                &reading,
                "SELECT held_until, name FROM serial_gate_channel WHERE held_until > ?1
                 ORDER BY name",
                [&last_wait],
                |row| {
                    Ok(Ahead::Channel {
                        channel: text(row, 1)?.unwrap_or_default(),
                    })
                },
            )?;
            all.read(
                &reading,
                "SELECT max(due_at, coalesce(lease_until, due_at)), alert, channel
                 FROM serial_gate_delivery
                 WHERE state = 'pending' AND (due_at > ?1 OR lease_until > ?1)
                 ORDER BY alert, channel",
                [&last_wait],
                |row| {
                    Ok(Ahead::Delivery {
                        alert: row.get(1)?,
                        channel: text(row, 2)?.unwrap_or_default(),
                    })
                },
            )?;
            all.read_ahead(
                &reading,
                &format!("SELECT created_at, id, repo FROM jobs WHERE {IS_QUEUED} ORDER BY id"),
                now,
                |row| {
                    Ok(Ahead::Job {
                        job: row.get(1)?,
                        repo: text(row, 2)?,
                    })
                },
            )?;
            all.read_ahead(
                &reading,
                "SELECT frozen_at, CASE WHEN typeof(gate_number) = 'integer'
                 THEN gate_number END, repo
                 FROM repo_freeze WHERE cleared_at IS NULL ORDER BY id",
                now,
                |row| {
                    Ok(Ahead::Freeze {
                        freeze: row.get(1)?,
                        repo: text(row, 2)?,
                    })
                },
            )?;
            Ok(all)
        })
    }
}

/// Running jobs: with a lease that cannot be, and with a shortened lease whose worker was
/// not heard of since.
fn running(
    connection: &Connection,
    all: &mut TimesAhead,
    now: Timestamp,
    lease: Duration,
) -> rusqlite::Result<()> {
    let times = Times::new(now, lease);
    let (past, last, seconds, end) = times.as_parameters();
    all.read(
        connection,
        &format!(
            "SELECT gate_lease_until, id,
                CASE WHEN typeof(gate_lease) = 'integer' AND gate_lease >= 0 THEN gate_lease END
             FROM jobs WHERE {IMPOSSIBLE} ORDER BY id"
        ),
        params![past, last, seconds, end],
        |row| {
            Ok(Ahead::Lease {
                job: row.get(1)?,
                seconds: row.get(2)?,
            })
        },
    )?;
    let today = latest(now, Duration::ZERO);
    all.read(
        connection,
        &format!(
            "SELECT CASE WHEN gate_claimed_at > ?5 THEN gate_claimed_at
             ELSE told.before END, id, gate_lease_until
             FROM jobs LEFT JOIN (
                SELECT subject, after, max(before) AS before FROM serial_gate_audit
                WHERE action = '{SHORTENED}' GROUP BY subject, after
             ) AS told ON told.subject = 'job ' || jobs.id AND told.after = jobs.gate_lease_until
             WHERE {IS_RUNNING} AND NOT ({IMPOSSIBLE} IS TRUE)
                AND (gate_claimed_at > ?5 OR told.subject IS NOT NULL) ORDER BY id"
        ),
        params![past, last, seconds, end, today],
        |row| {
            Ok(Ahead::Claim {
                job: row.get(1)?,
                lease_until: text(row, 2)?,
            })
        },
    )
}

impl TimesAhead {
    /// Adds what a query finds: its first column is the time.
    fn read(
        &mut self,
        connection: &Connection,
        query: &str,
        parameters: impl Params,
        of: impl Fn(&Row<'_>) -> rusqlite::Result<Ahead>,
    ) -> rusqlite::Result<()> {
        let as_it_is = |row: &Row<'_>| Ok(Some(text(row, 0)?.unwrap_or_default()));
        self.read_if(connection, query, parameters, as_it_is, of)
    }

    /// The same for times that another program may have written: those that lie ahead, in the
    /// gate's own format.
    fn read_ahead(
        &mut self,
        connection: &Connection,
        query: &str,
        now: Timestamp,
        of: impl Fn(&Row<'_>) -> rusqlite::Result<Ahead>,
    ) -> rusqlite::Result<()> {
        let ahead = |row: &Row<'_>| {
            let time = row.get::<_, Written>(0)?.0;
            Ok(time.filter(|time| !is_past(*time, now)).map(sql_time))
        };
        self.read_if(connection, query, [], ahead, of)
    }

    /// Adds the rows of which a time is to be told.
    fn read_if(
        &mut self,
        connection: &Connection,
        query: &str,
        parameters: impl Params,
        time: impl Fn(&Row<'_>) -> rusqlite::Result<Option<String>>,
        of: impl Fn(&Row<'_>) -> rusqlite::Result<Ahead>,
    ) -> rusqlite::Result<()> {
        let mut query = connection.prepare(query)?;
        let mut rows = query.query(parameters)?;
        let mut number = 0;
        while let Some(row) = rows.next()? {
            let Some(time) = time(row)? else { continue };
            if number == LISTED {
                self.more = true;
                break;
            }
            number += 1;
            self.found.push(TimeAhead { of: of(row)?, time });
        }
        Ok(())
    }
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(row.get::<_, Shown>(column)?.0)
}
