//! The row for the trial.
//!
//! Owns the choice: a queued job of a gated agent if there is one; else any job, brought to the
//! queue; else a new task's; else a made-up name. All of it happens in a transaction that is
//! undone. Each look is bounded, whatever the size of the tables.

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::store::Error;
use crate::store::forbidden::{Attempt, Forbidden, needs};
use crate::store::records::tasks::{self, NewTask};
use crate::store::sqlite::probe::references::{a_value, quoted};
use crate::store::sqlite::probe::why::status_is_why;
use crate::store::sqlite::probe::{Trial, Trouble, forbid, refers, set_status};
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::value::Shown;
use crate::store::token::new_token;

/// How many rows a look may read.
const LOOKED_AT: i64 = 1_000;

/// What a made-up row is called.
pub(super) const NAME: &str = "serial-gate-probe";

/// The job for the trial, or why there is none.
pub(super) enum Chosen {
    Job(i64),
    Forbidden(Forbidden),
    /// Why claims could not be tried.
    Unknown(String),
}

pub(super) fn choose(t: &Transaction<'_>, trial: &Trial, may_add: bool) -> Result<Chosen, Error> {
    if let Some(job) = queued(t, trial)? {
        return Ok(Chosen::Job(job));
    }
    let mut refused = None;
    for job in one_of_each_status(t)? {
        let change = Transaction::join(t)?;
        match set_status(&change, job, "queued") {
            Ok(()) => {
                change.commit()?;
                return Ok(Chosen::Job(job));
            }
            Err(trouble) => {
                drop(change);
                let is_why = status_is_why(t, &trouble)?;
                let mut found = forbid(t, Attempt::Queue, trouble)?;
                found.statuses.extend(is_why.then_some("queued"));
                refused = Some(found);
            }
        }
        if t.is_autocommit() {
            break;
        }
    }
    if let Some(refused) = refused.take_if(|_| t.is_autocommit()) {
        return Ok(Chosen::Forbidden(refused));
    }
    if may_add && let Ok(added) = add_some_task(t, trial)? {
        return Ok(Chosen::Job(added.job));
    }
    // A finding about an ended job does not hold for new ones.
    match refused.filter(|found| !found.statuses.is_empty()) {
        Some(refused) => Ok(Chosen::Forbidden(refused)),
        None => make_up(t, trial),
    }
}

fn queued(t: &Transaction<'_>, trial: &Trial) -> Result<Option<i64>, Error> {
    let gated = serde_json::to_string(&trial.gated).unwrap_or_default();
    let mut query = t.prepare_cached(
        "SELECT id FROM (SELECT id, agent, task_id FROM jobs WHERE status = 'queued' ORDER BY id
         LIMIT ?1) AS few
         ORDER BY agent IN (SELECT value FROM json_each(?2)) DESC,
            EXISTS (SELECT 1 FROM tasks WHERE tasks.id = few.task_id) DESC, id LIMIT 1",
    )?;
    let job = query.query_row(params![LOOKED_AT, gated], |row| row.get(0));
    Ok(job.optional()?)
}

fn one_of_each_status(t: &Transaction<'_>) -> Result<Vec<i64>, Error> {
    let mut query = t.prepare_cached(
        "SELECT max(id) FROM (SELECT id, status FROM jobs ORDER BY id DESC LIMIT ?1)
         GROUP BY status ORDER BY 1 DESC LIMIT 10",
    )?;
    let jobs = query.query_map([LOOKED_AT], |row| row.get(0))?;
    Ok(jobs.collect::<Result<_, _>>()?)
}

/// A repo that other tables may know: that of a task, or a value that the column allows.
pub(super) fn a_repo(t: &Connection) -> Result<String, Error> {
    let newest = format!(
        "SELECT repo FROM (SELECT id, repo FROM tasks ORDER BY id DESC LIMIT {LOOKED_AT})
         WHERE repo != '' ORDER BY id DESC LIMIT 1"
    );
    let known = match one_text(t, &newest)? {
        None => a_value(t, "tasks", "repo")?,
        known => known,
    };
    Ok(known.unwrap_or_else(|| NAME.into()))
}

/// The stage of a task that waits, or of any.
fn a_stage(t: &Connection) -> Result<Option<String>, Error> {
    let waiting = format!(
        "SELECT tasks.stage FROM (SELECT task_id FROM jobs WHERE status = 'queued' ORDER BY id
         LIMIT {LOOKED_AT}) AS few
         JOIN tasks ON tasks.id = few.task_id WHERE tasks.stage != '' LIMIT 1"
    );
    let newest = format!(
        "SELECT stage FROM (SELECT id, stage FROM tasks ORDER BY id DESC LIMIT {LOOKED_AT})
         WHERE stage != '' ORDER BY id DESC LIMIT 1"
    );
    match one_text(t, &waiting)? {
        None => one_text(t, &newest),
        found => Ok(found),
    }
}

fn one_text(t: &Connection, sql: &str) -> Result<Option<String>, Error> {
    let mut query = t.prepare_cached(sql)?;
    let value = query.query_row([], |row| Ok(row.get::<_, Shown>(0)?.0));
    Ok(value.optional()?.flatten())
}

/// A task that was added, and why the plainest one could not be.
pub(super) struct AddedTask {
    pub job: i64,
    pub refused: Option<Forbidden>,
}

/// Adds a task with its first job, by the plainest way that works. The error is that of the
/// plainest one.
pub(super) fn add_some_task(
    t: &Transaction<'_>,
    trial: &Trial,
) -> Result<Result<AddedTask, Forbidden>, Error> {
    let (repo, item) = (a_repo(t)?, new_token()?);
    let stage = a_stage(t)?;
    let usual = ("analysis", "analyst");
    let own = (
        stage.as_deref().unwrap_or(usual.0),
        trial.gated.first().map_or(usual.1, String::as_str),
    );
    let mut refused: Option<Forbidden> = None;
    for (item, (stage, agent)) in [
        (None, usual),
        (Some(&*item), usual),
        (None, own),
        (Some(&*item), own),
    ] {
        let change = Transaction::join(t)?;
        let task = NewTask {
            repo: &repo,
            work_item: item,
            stage,
            agent,
            label: None,
        };
        match add(&change, trial, task) {
            Ok(job) => {
                change.commit()?;
                let refused = refused.map(|plainest| Forbidden {
                    needs: Some(needs(item.is_some(), (stage, agent), usual)),
                    ..plainest
                });
                return Ok(Ok(AddedTask { job, refused }));
            }
            Err(trouble) => {
                drop(change);
                let found = forbid(t, Attempt::AddTask, trouble)?;
                refused = refused.or(Some(found));
            }
        }
        if t.is_autocommit() {
            break;
        }
    }
    refused.map(Err).ok_or(Error::GroupEnded)
}

fn add(t: &Transaction<'_>, trial: &Trial, task: NewTask<'_>) -> Result<i64, Trouble> {
    let added = tasks::insert(t, trial.now, task)?;
    refers(t, "tasks", added.task_id, |_| true)?;
    refers(t, "jobs", added.job_id, |_| true)?;
    Ok(added.job_id)
}

/// A job with a value in each column that needs one. No other table refers to it.
fn make_up(t: &Transaction<'_>, trial: &Trial) -> Result<Chosen, Error> {
    let mut query = t.prepare(
        r#"SELECT name, upper(type) FROM pragma_table_xinfo('jobs')
           WHERE hidden = 0 AND "notnull" AND dflt_value IS NULL AND pk = 0
             AND lower(name) NOT IN ('repo', 'agent', 'status')"#,
    )?;
    let needed: Vec<(String, String)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let agent = trial.gated.first().map_or("analyst", String::as_str);
    let mut columns: Vec<String> = ["repo", "agent", "status"].map(quoted).into();
    let mut values: Vec<ToSqlOutput<'_>> = vec![NAME.into(), agent.into(), "queued".into()];
    for (name, declared) in &needed {
        columns.push(quoted(name));
        let is_number = ["INT", "REAL", "NUM", "FLOA", "DOUB", "BOOL"];
        let is_number = is_number.iter().any(|part| declared.contains(part));
        values.push(if is_number {
            ToSqlOutput::Owned(Value::Integer(1))
        } else {
            NAME.into()
        });
    }
    let places = vec!["?"; columns.len()].join(", ");
    let sql = format!(
        "INSERT INTO jobs ({}) VALUES ({places}) RETURNING id",
        columns.join(", ")
    );
    // The pragma lasts until the end of the transaction, which keeps nothing of the trial.
    t.pragma_update(None, "defer_foreign_keys", true)?;
    let made = t
        .prepare(&sql)
        .and_then(|mut insert| insert.query_row(params_from_iter(values), |row| row.get(0)));
    let made: Result<Option<i64>, Error> = made.optional().map_err(Error::from);
    match made {
        Ok(Some(job)) => Ok(Chosen::Job(job)),
        Ok(None) => Ok(none_can_be_made("a trigger ignores new jobs")),
        Err(error) => {
            let trouble = Trouble::Error(error);
            let is_why = status_is_why(t, &trouble)?;
            let mut found = forbid(t, Attempt::Queue, trouble)?;
            found.statuses.extend(is_why.then_some("queued"));
            Ok(if is_why {
                Chosen::Forbidden(found)
            } else {
                none_can_be_made(&found.reason)
            })
        }
    }
}

fn none_can_be_made(reason: &str) -> Chosen {
    Chosen::Unknown(format!(
        "there is no job, and none can be made here: {reason}"
    ))
}
