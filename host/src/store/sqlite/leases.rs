//! Leases that ran out, and those that cannot be.
//!
//! Owns how a running job goes back to the queue without its worker. A lease, or a delay, that ends
//! later than any right clock can have written it would keep its job for years: it is shortened to
//! its own length from now on, with a row in the audit. The processes of a queue run on one machine
//! and so have one clock; when that is put back, every host sees the same. Callers rely on this: a
//! worker's lease is never cut short because the worker asked for a longer one than this host does;
//! and a job is never given away at once because a time is odd.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;

use super::engine::Sqlite;
use super::transaction::Transaction;
use super::value::Shown;
use crate::clause::Rendered;
use crate::store::job::{self, EXPIRED};
use crate::store::records::alerts::THE_HOST;
use crate::store::records::audit::{self, AuditRow};
use crate::store::records::task_end::FinishedStages;
use crate::store::time::{CLOCKS_DIFFER, latest, whole_seconds};
use crate::store::{Actor, Error, lease_end, sql_time};

/// The lease ends too late for a lease of this host (`?2`), which an index finds, and for its own
/// length, which is written beside it (`?3` is now in seconds; `?4` is the end of time, for a
/// length beyond it). Text that is no time comes after every time.
pub(crate) const IMPOSSIBLE: &str = "status = 'running' AND gate_lease_until > ?2
    AND gate_lease_until > coalesce(datetime(?3 + coalesce(gate_lease, 0), 'unixepoch'), ?4)";

/// What was shortened has this in the audit, with the new end as what it is since.
pub(crate) const SHORTENED: &str = "lease shortened";

/// The times that leases are compared with.
pub(crate) struct Times {
    /// `?1`
    now: String,
    /// `?2`
    latest: String,
    /// `?3`
    seconds: i64,
    /// `?4`
    end: String,
}

impl Times {
    pub(crate) fn new(now: Timestamp, lease: Duration) -> Times {
        Times {
            now: sql_time(now),
            latest: latest(now, lease),
            seconds: lease_end(now, CLOCKS_DIFFER).as_second(),
            end: sql_time(Timestamp::MAX),
        }
    }

    pub(crate) fn as_parameters(&self) -> (&str, &str, i64, &str) {
        (&self.now, &self.latest, self.seconds, &self.end)
    }
}

/// Whether there is anything to do: a look at two ends of an index.
pub(crate) static LOOK: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE {EXPIRED}) OR EXISTS (SELECT 1 FROM jobs
         WHERE {IMPOSSIBLE})"
    )
});

/// A lease that cannot be.
struct Impossible {
    job: i64,
    repo: Option<String>,
    until: String,
    /// How long it was to be; none if that is not known.
    length: Option<Duration>,
}

/// A lease that was shortened.
struct Shortened {
    job: i64,
    before: String,
    until: String,
}

impl Sqlite {
    /// Puts every job whose lease ran out back to its old place, and returns how many there were. A
    /// lease that no right clock can have written is shortened. `lease` is how long those of this
    /// host are. Takes the write lock only if there is something to do.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn requeue_expired(
        &mut self,
        now: Timestamp,
        lease: Duration,
        finished: &FinishedStages,
    ) -> Result<usize, Error> {
        let times = Times::new(now, lease);
        let any: bool = self.read(|connection| {
            let mut query = connection.prepare_cached(&LOOK)?;
            Ok(query.query_row(times.as_parameters(), |row| row.get(0))?)
        })?;
        if !any {
            return Ok(0);
        }
        let (expired, shortened) = self.write(|transaction| {
            let expired = job::expire(transaction, &times.now, finished)?;
            Ok((expired, shorten(transaction, now, lease, &times)?))
        })?;
        for Shortened { job, before, until } in shortened {
            tracing::warn!(
                "the lease of job {job} ended at {before}, which no right clock can have written: it ends at {until} now"
            );
        }
        Ok(expired)
    }
}

impl Sqlite {
    /// How many jobs with a lower id the next claim puts back to the queue, where a clause lets
    /// them through.
    ///
    /// # Errors
    ///
    /// When the budget is spent, or the database cannot be read.
    pub fn back_before(
        &mut self,
        clause: &Rendered,
        now: Timestamp,
        job: i64,
        finished: &FinishedStages,
    ) -> Result<usize, Error> {
        let expired: Vec<i64> = self.read(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT id FROM jobs WHERE {EXPIRED} AND id < ?2 AND NOT EXISTS (SELECT 1
                 FROM tasks
                    WHERE tasks.id = jobs.task_id AND tasks.stage IN (SELECT value
                    FROM json_each(?3)))"
            ))?;
            let values = params![sql_time(now), job, finished.as_json()];
            let ids = query.query_map(values, |row| row.get(0))?;
            Ok(ids.collect::<Result<_, _>>()?)
        })?;
        self.within_budget(|connection, _| {
            let sql = format!("SELECT 1 FROM jobs WHERE id = ?1 AND {clause}");
            let mut query = connection.prepare_cached(&sql)?;
            let mut back = 0;
            for id in expired {
                back += usize::from(query.exists([id])?);
            }
            Ok(back)
        })
    }
}

/// Gives every lease that cannot be its own length from now on.
fn shorten(
    transaction: &Transaction<'_>,
    now: Timestamp,
    own: Duration,
    times: &Times,
) -> Result<Vec<Shortened>, Error> {
    let actor = Actor {
        now,
        who: THE_HOST,
        why: "no right clock can have written it",
    };
    let mut shortened = Vec::new();
    for lease in impossible(transaction, times)? {
        let length = lease.length.unwrap_or(own);
        let until = sql_time(lease_end(now, length));
        job::set_lease(transaction, lease.job, &until, whole_seconds(length))?;
        let kept = transaction
            .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1 AND gate_lease_until = ?2")?
            .exists(params![lease.job, until])?;
        if !kept {
            // The orchestrator has a trigger against it. Nothing is written down that did not
            // happen.
            continue;
        }
        let row = AuditRow {
            action: SHORTENED,
            repo: lease.repo.as_deref(),
            subject: format!("job {}", lease.job),
            before: Some(&lease.until),
            after: Some(&until),
        };
        audit::write_down(transaction, actor, row)?;
        shortened.push(Shortened {
            job: lease.job,
            before: lease.until,
            until,
        });
    }
    Ok(shortened)
}

fn impossible(transaction: &Transaction<'_>, times: &Times) -> rusqlite::Result<Vec<Impossible>> {
    let mut query = transaction.prepare_cached(&format!(
        "SELECT id, repo, gate_lease_until,
            CASE WHEN typeof(gate_lease) = 'integer' AND gate_lease >= 0 THEN gate_lease END
         FROM jobs WHERE {IMPOSSIBLE} ORDER BY id"
    ))?;
    let rows = query.query_map(times.as_parameters(), |row| {
        Ok(Impossible {
            job: row.get(0)?,
            repo: row.get::<_, Shown>(1)?.0,
            until: row.get::<_, Shown>(2)?.0.unwrap_or_default(),
            length: row.get::<_, Option<u64>>(3)?.map(Duration::from_secs),
        })
    })?;
    rows.collect()
}
