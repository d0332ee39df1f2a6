//! Requests that may be repeated: each is done once, and its answer is repeated.
//!
//! Owns the answers, which are kept for a day. Leaves to the service what makes two requests the
//! same: it gives their digest. Callers rely on this: the answer is written in the transaction of
//! the change, so that of several requests with one key, even at several services, one makes the
//! change; a refused request is not stored and may be tried again.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::branch_names::{Naming, insert_with_branch};
use super::effect::Effect;
use super::{new_job, tasks};
use crate::store::engine::{Tx, Unexpected, values};
use crate::store::error::Error;
use crate::store::{Added, NewJob, NewTask, Store, sql_time};

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A request that may be repeated.
#[derive(Debug, Clone, Copy)]
pub struct Repeatable<'a> {
    /// Who asks: others may use the same key.
    pub caller: &'a str,
    /// The caller's key for the request.
    pub key: &'a str,
    /// A digest of the request.
    pub request: &'a str,
}

impl Store {
    /// As [`Store::add_task`], or with a naming as [`Store::add_task_with_branch`], once for each
    /// key.
    ///
    /// # Errors
    ///
    /// As there, and when the key came with another request.
    pub fn add_task_once(
        &mut self,
        now: Timestamp,
        task: NewTask<'_>,
        naming: Option<Naming<'_>>,
        request: Repeatable<'_>,
    ) -> Result<Added, Error> {
        tasks::check_names(task)?;
        self.write_alone(|tx| {
            once(tx, now, request, || match naming {
                None => tasks::insert(tx, now, task),
                Some(naming) => insert_with_branch(tx, now, task, naming),
            })
        })
    }

    /// As [`Store::add_job`], once for each key.
    ///
    /// # Errors
    ///
    /// As there, and when the key came with another request.
    pub fn add_job_once(
        &mut self,
        now: Timestamp,
        job: NewJob<'_>,
        request: Repeatable<'_>,
    ) -> Result<i64, Error> {
        new_job::check_names(job)?;
        self.write_alone(|tx| once(tx, now, request, || new_job::insert(tx, now, job)))
    }
}

impl Store {
    /// The job that a request with this key has added.
    ///
    /// # Errors
    ///
    /// When the key came with another request.
    pub fn job_added_before(&mut self, request: Repeatable<'_>) -> Result<Option<i64>, Error> {
        let answer = self.read(|tx| answer_to(tx, request))?;
        let job = answer.map(|answer| serde_json::from_str(&answer));
        job.transpose().map_err(unreadable)
    }
}

/// Makes a change and stores its answer, or returns the stored answer.
fn once<T: Serialize + DeserializeOwned>(
    tx: &dyn Tx,
    now: Timestamp,
    request: Repeatable<'_>,
    change: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    forget(tx, now)?;
    if let Some(answer) = answer_to(tx, request)? {
        return serde_json::from_str(&answer).map_err(unreadable);
    }
    let answer = change()?;
    let text = serde_json::to_string(&answer).map_err(unreadable)?;
    tx.execute(
        "INSERT INTO serial_gate_idempotency (caller, key, request, answer, at)
             VALUES ($1, $2, $3, $4, $5)",
        values![
            request.caller,
            request.key,
            request.request,
            text,
            sql_time(now)
        ],
    )?;
    let effect = Effect {
        what: "the answer for the key",
        table: "serial_gate_idempotency",
    };
    effect.holds(answer_to(tx, request)?.as_ref() == Some(&text))?;
    Ok(answer)
}

/// Deletes answers older than a day, and those by a clock ahead, which would stay for ever. Two
/// services' clocks differ by less.
fn forget(tx: &dyn Tx, now: Timestamp) -> Result<(), Error> {
    let oldest = sql_time(now.checked_sub(KEPT).unwrap_or(Timestamp::MIN));
    let newest = sql_time(now.checked_add(KEPT).unwrap_or(Timestamp::MAX));
    for (forget, limit) in [
        ("DELETE FROM serial_gate_idempotency WHERE at <= $1", oldest),
        ("DELETE FROM serial_gate_idempotency WHERE at > $1", newest),
    ] {
        tx.execute(forget, values![limit])?;
    }
    Ok(())
}

fn answer_to(tx: &dyn Tx, request: Repeatable<'_>) -> Result<Option<String>, Error> {
    let known = tx.row(
        "SELECT request, answer FROM serial_gate_idempotency WHERE caller = $1 AND key = $2",
        values![request.caller, request.key],
        |row| Ok((row.get::<String>(0)?, row.get(1)?)),
    );
    match known? {
        None => Ok(None),
        Some((known, answer)) if known == request.request => Ok(Some(answer)),
        Some(_) => Err(Error::KeyOfAnother {
            key: request.key.into(),
        }),
    }
}

/// Another program has written the answer. The change is not made again.
fn unreadable(cause: serde_json::Error) -> Error {
    Error::from(Unexpected::Json(cause))
}
