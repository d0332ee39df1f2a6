//! The row for the trial.
//!
//! Owns the choice: a queued job of a gated agent if there is one; else any job, brought to the
//! queue; else a new task's. Each look is bounded, whatever the size of the tables.

use super::super::tx::Session;
use super::{NAME, attempt, check_references, set_status, why};
use crate::store::Error;
use crate::store::Trial;
use crate::store::engine::{Tx, values};
use crate::store::forbidden::{Attempt, Forbidden, needs};
use crate::store::records::tasks::{self, NewTask};
use crate::store::token::new_token;

/// How many rows a look may read.
const LOOKED_AT: i64 = 1_000;

/// The job for the trial, or why there is none.
pub(super) enum Chosen {
    Job(i64),
    Forbidden(Forbidden),
    /// Why claims could not be tried.
    Unknown(String),
}

/// Chooses a job. It stays as the trial needs it.
pub(super) fn choose(session: &Session<'_>, trial: &Trial, may_add: bool) -> Result<Chosen, Error> {
    if let Some(job) = queued(session, trial)? {
        return Ok(Chosen::Job(job));
    }
    let mut refused = None;
    for job in one_of_each_status(session)? {
        match attempt(session, || set_status(session, job, "queued"))? {
            Ok(()) => {
                set_status(session, job, "queued")?;
                return Ok(Chosen::Job(job));
            }
            Err(error) => {
                let is_why = why::status_is_why(session, &error)?;
                let mut found = why::forbid(session, Attempt::Queue, error)?;
                found.statuses.extend(is_why.then_some("queued"));
                refused = Some(found);
            }
        }
    }
    if may_add && let Some(job) = add_some_task(session, trial)?.job {
        return Ok(Chosen::Job(job));
    }
    Ok(match refused {
        // A finding about an ended job does not hold for new ones.
        Some(refused) if !refused.statuses.is_empty() => Chosen::Forbidden(refused),
        _ => Chosen::Unknown("there is no job, and none can be made here".into()),
    })
}

/// A queued job that no other session holds, with a task and of a gated agent if possible.
fn queued(session: &Session<'_>, trial: &Trial) -> Result<Option<i64>, Error> {
    let tx: &dyn Tx = session;
    let gated = serde_json::to_string(&trial.gated).unwrap_or_default();
    let sql = format!(
        "SELECT few.id FROM (SELECT id, agent, task_id FROM jobs WHERE status = 'queued'
            ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) AS few
         ORDER BY few.agent IN ({}) DESC NULLS LAST,
            EXISTS (SELECT 1 FROM tasks WHERE tasks.id = few.task_id) DESC, few.id LIMIT 1",
        tx.texts_of("$2")
    );
    tx.row(&sql, values![LOOKED_AT, gated], |row| row.get(0))
}

fn one_of_each_status(session: &Session<'_>) -> Result<Vec<i64>, Error> {
    let tx: &dyn Tx = session;
    tx.rows(
        "SELECT max(id) FROM (SELECT id, status FROM jobs ORDER BY id DESC LIMIT $1) AS few
         GROUP BY status ORDER BY 1 DESC LIMIT 10",
        values![LOOKED_AT],
        |row| row.get(0),
    )
}

/// Other queued jobs: the first of each repo and agent.
pub(super) fn others(session: &Session<'_>, job: i64) -> Result<Vec<i64>, Error> {
    let tx: &dyn Tx = session;
    tx.rows(
        "SELECT min(few.id) FROM (SELECT id, repo, agent FROM jobs
            WHERE status = 'queued' AND id <> $1 ORDER BY id LIMIT $2) AS few
         GROUP BY few.repo, few.agent ORDER BY 1 LIMIT 10",
        values![job, LOOKED_AT],
        |row| row.get(0),
    )
}

/// The task of a job, if there is one, and its stage.
pub(super) fn task_of(
    session: &Session<'_>,
    job: i64,
) -> Result<Option<(i64, Option<String>)>, Error> {
    let tx: &dyn Tx = session;
    tx.row(
        "SELECT tasks.id, tasks.stage FROM jobs JOIN tasks ON tasks.id = jobs.task_id
         WHERE jobs.id = $1",
        values![job],
        |row| Ok((row.get(0)?, row.shown(1)?)),
    )
}

/// A repo that other tables may know.
pub(super) fn a_repo(session: &Session<'_>) -> Result<String, Error> {
    let newest = "SELECT repo FROM (SELECT id, repo FROM tasks ORDER BY id DESC LIMIT $1) AS few
         WHERE repo <> '' ORDER BY id DESC LIMIT 1";
    Ok(one_text(session, newest)?.unwrap_or_else(|| NAME.into()))
}

/// The stage of the newest task.
fn a_stage(session: &Session<'_>) -> Result<Option<String>, Error> {
    let newest = "SELECT stage FROM (SELECT id, stage FROM tasks ORDER BY id DESC LIMIT $1) AS few
         WHERE stage <> '' ORDER BY id DESC LIMIT 1";
    one_text(session, newest)
}

/// A stage of other tasks.
pub(super) fn another_stage(session: &Session<'_>, than: &str) -> Result<Option<String>, Error> {
    let tx: &dyn Tx = session;
    let found = tx.row(
        "SELECT stage FROM (SELECT id, stage FROM tasks ORDER BY id DESC LIMIT $1) AS few
         WHERE stage <> $2 LIMIT 1",
        values![LOOKED_AT, than],
        |row| row.shown(0),
    )?;
    Ok(found.flatten())
}

fn one_text(session: &Session<'_>, sql: &str) -> Result<Option<String>, Error> {
    let tx: &dyn Tx = session;
    let found = tx.row(sql, values![LOOKED_AT], |row| row.shown(0))?;
    Ok(found.flatten())
}

/// A task that was added, if it could be, and why the plainest one could not.
pub(super) struct AddedTask {
    pub job: Option<i64>,
    pub refused: Option<Forbidden>,
}

/// Adds a task with its first job, by the plainest way that works.
pub(super) fn add_some_task(session: &Session<'_>, trial: &Trial) -> Result<AddedTask, Error> {
    let (repo, item) = (a_repo(session)?, new_token()?);
    let stage = a_stage(session)?;
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
        let task = NewTask {
            repo: &repo,
            work_item: item,
            stage,
            agent,
            label: None,
        };
        let add = || {
            let added = tasks::insert(session, trial.now, task)?;
            check_references(session)?;
            Ok(added.job_id)
        };
        session.begin_part()?;
        match add() {
            Ok(job) => {
                session.keep_part()?;
                let refused = refused.map(|plainest| Forbidden {
                    needs: Some(needs(item.is_some(), (stage, agent), usual)),
                    ..plainest
                });
                return Ok(AddedTask {
                    job: Some(job),
                    refused,
                });
            }
            Err(error) => {
                session.undo_part()?;
                let found = why::forbid(session, Attempt::AddTask, error)?;
                refused = refused.or(Some(found));
            }
        }
    }
    Ok(AddedTask { job: None, refused })
}
