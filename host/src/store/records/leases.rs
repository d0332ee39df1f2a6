//! Leases that ran out, and leases that end too late to be right.
//!
//! Owns how a running job returns to the queue without its worker. A lease or a delay that ends
//! later than any right clock can have written would keep its job for years: it is shortened to
//! its own length from now on, with a row in the audit. The processes of a queue run on one machine
//! and so have one clock; when that is put back, every host sees the same. Callers rely on this: a
//! worker's lease is never cut short because it is longer than this host's own; and a job is never
//! given away at once because a time is odd.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;

use super::alerts::THE_HOST;
use super::audit::{self, AuditRow};
use super::pulls;
use super::task_end::FinishedStages;
use crate::store::engine::{Row, Tx, values};
use crate::store::job::{self, EXPIRED};
use crate::store::raw::Raw;
use crate::store::time::{latest, whole_seconds};
use crate::store::{Actor, Error, Store, lease_end, sql_time};

/// A shortened lease has this in the audit, with its new end as `after`.
pub(crate) const SHORTENED: &str = "lease shortened";

/// Whether any lease is over, or a merged task has no job left that runs.
pub(crate) static ANY_EXPIRED: LazyLock<String> = LazyLock::new(|| {
    let merged = pulls::ready_to_end();
    format!("SELECT 1 FROM jobs WHERE {EXPIRED} UNION ALL {merged} LIMIT 1")
});

/// The leases that end too late for a lease of this host, which an index finds. A text that is not
/// a time sorts after every time.
pub(crate) const LATER: &str = "SELECT id, repo, gate_lease_until, gate_lease FROM jobs
    WHERE status = 'running' AND gate_lease_until > $1";

/// A running job whose lease ends later than a right clock can have written.
pub(crate) struct Impossible {
    pub job: i64,
    repo: Option<String>,
    pub until: String,
    /// Its length in seconds, if that is known.
    pub seconds: Option<i64>,
}

/// A lease that was shortened.
struct Shortened {
    job: i64,
    before: String,
    until: String,
}

impl Store {
    /// Puts every job whose lease ran out back to its old place, and returns how many there were. A
    /// merged task ends instead. A lease that no right clock can have written is shortened. `lease`
    /// is the length of this host's own leases. Takes the write lock only if there is something to
    /// do.
    pub fn requeue_expired(
        &mut self,
        now: Timestamp,
        lease: Duration,
        finished: &FinishedStages,
    ) -> Result<usize, Error> {
        let at = sql_time(now);
        let any = self.read_fast(|tx| {
            Ok(tx.exists(&ANY_EXPIRED, values![at])? || is_any_impossible(tx, now, lease)?)
        })?;
        if !any {
            return Ok(0);
        }
        let (expired, shortened) = self.write(|tx| {
            // Before the jobs: it locks tasks, and those locks come first everywhere.
            pulls::end_all_merged(tx, now, finished)?;
            let expired = job::expire(tx, now, finished)?;
            Ok((expired, shorten(tx, now, lease)?))
        })?;
        for Shortened { job, before, until } in shortened {
            tracing::warn!(
                "the lease of job {job} ended at {before}, which no right clock can have written: \
                 it ends at {until} now"
            );
        }
        Ok(expired)
    }
}

/// The jobs before one that the next claim puts back to the queue.
pub(crate) fn expired_before(
    tx: &dyn Tx,
    now: Timestamp,
    job: i64,
    finished: &FinishedStages,
) -> Result<Vec<i64>, Error> {
    let sql = format!(
        "SELECT id FROM jobs WHERE {EXPIRED} AND id < $2 AND NOT EXISTS (SELECT 1 FROM tasks
            WHERE tasks.id = jobs.task_id AND tasks.stage IN ({}))",
        tx.texts_of("$3")
    );
    let now = sql_time(now);
    tx.rows(&sql, values![now, job, finished.as_json()], |row| {
        row.get(0)
    })
}

/// The leases that no right clock can have written, by job.
pub(crate) fn impossible(
    tx: &dyn Tx,
    now: Timestamp,
    own: Duration,
) -> Result<Vec<Impossible>, Error> {
    let sql = format!("{LATER} ORDER BY id");
    let found = tx.rows(&sql, values![latest(now, own)], |row| {
        impossible_at(row, now)
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn is_any_impossible(tx: &dyn Tx, now: Timestamp, own: Duration) -> Result<bool, Error> {
    let mut found = false;
    tx.query(LATER, values![latest(now, own)], &mut |row| {
        found = impossible_at(row, now)?.is_some();
        Ok(!found)
    })?;
    Ok(found)
}

/// The lease of a row, if it ends too late for its own length as well.
fn impossible_at(row: Row<'_>, now: Timestamp) -> Result<Option<Impossible>, Error> {
    let until: Raw = row.get(2)?;
    let seconds = row.id(3)?.filter(|seconds| *seconds >= 0);
    let length = Duration::from_secs(seconds.unwrap_or_default().unsigned_abs());
    let latest = latest(now, length);
    if matches!(&until, Raw::Text(until) if until.as_slice() <= latest.as_bytes()) {
        return Ok(None);
    }
    Ok(Some(Impossible {
        job: row.get(0)?,
        repo: row.shown(1)?,
        until: until.shown().unwrap_or_default(),
        seconds,
    }))
}

/// Gives every impossible lease its own length from now on.
fn shorten(tx: &dyn Tx, now: Timestamp, own: Duration) -> Result<Vec<Shortened>, Error> {
    let actor = Actor {
        now,
        who: THE_HOST,
        why: "no right clock can have written it",
    };
    let mut shortened = Vec::new();
    for lease in impossible(tx, now, own)? {
        let length = match lease.seconds {
            Some(seconds) => Duration::from_secs(seconds.unsigned_abs()),
            None => own,
        };
        let until = sql_time(lease_end(now, length));
        job::set_lease(tx, lease.job, &until, whole_seconds(length))?;
        let kept = "SELECT 1 FROM jobs WHERE id = $1 AND gate_lease_until = $2";
        if !tx.exists(kept, values![lease.job, until])? {
            // A trigger of the orchestrator's prevents it. The audit has only what happened.
            continue;
        }
        let row = AuditRow {
            action: SHORTENED,
            repo: lease.repo.as_deref(),
            subject: format!("job {}", lease.job),
            before: Some(&lease.until),
            after: Some(&until),
        };
        audit::write_down(tx, actor, row)?;
        shortened.push(Shortened {
            job: lease.job,
            before: lease.until,
            until,
        });
    }
    Ok(shortened)
}
