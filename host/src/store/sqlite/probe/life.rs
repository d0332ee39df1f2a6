//! A job's life, tried with one job: claimed, kept, ended in each way, and back in the queue.
//!
//! Owns the ways, and the finding when a step fails: whether the status is the cause, and whether
//! other jobs fail too. Each step is the statement that claims and workers run.

use std::time::Duration;

use rusqlite::OptionalExtension;

use crate::store::Error;
use crate::store::Lease;
use crate::store::job::Event;
use crate::store::records::jobs::{self, Claim};
use crate::store::records::new_job::{self, NewJob};
use crate::store::records::task_end::FinishedStages;
use crate::store::sqlite::claim::give;
use crate::store::sqlite::probe::reason::is_of_a_unique_column;
use crate::store::sqlite::probe::why::status_is_why;
use crate::store::sqlite::probe::{
    Attempt, Forbidden, Proof, Trial, Trouble, actor, begin, forbid, is_of_the_gate, refers, rows,
    set_status, task_of,
};
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::value::Shown;

/// The ways of a claimed job.
const WAYS: [&[Attempt]; 4] = [
    &[Attempt::Claim, Attempt::Heartbeat, Attempt::Finish],
    &[Attempt::Claim, Attempt::Fail, Attempt::Requeue],
    &[Attempt::Claim, Attempt::GiveBack],
    &[Attempt::Claim, Attempt::Cancel],
];

const LEASE: Duration = Duration::from_secs(60);

/// Takes the job through each way, and finds for each failed step whether the status is the cause.
/// If other jobs succeed, the rest is tried with one of them, which is returned.
pub(super) fn try_ways(
    whole: &Transaction<'_>,
    trial: &Trial,
    mut job: i64,
    proof: &mut Proof,
) -> Result<i64, Error> {
    for way in WAYS {
        let t = begin(whole)?;
        let Err((what, trouble)) = walk(&t, trial, job, way) else {
            continue;
        };
        drop(t);
        if proof.knows(what) {
            continue;
        }
        let is_unique = matches!(&trouble, Trouble::Error(error) if is_of_a_unique_column(error));
        let may_be_the_status = status_is_why(whole, &trouble)?;
        let mut found = forbid(whole, what, trouble)?;
        if whole.is_autocommit() {
            proof.forbidden.push(found);
            continue;
        }
        if let Some(status) = what.status()
            && may_be_the_status
            && !takes(whole, trial, job, what, status)?
        {
            found.statuses.push(status);
        } else if let Some(able) = find_able(whole, trial, job, way)? {
            job = able;
            found.some = true;
        } else {
            // The other row may be deleted.
            found.some = is_unique;
        }
        let is_the_same = |known: &&mut Forbidden| {
            !known.statuses.is_empty() && !found.statuses.is_empty() && known.reason == found.reason
        };
        match proof.forbidden.iter_mut().find(is_the_same) {
            Some(known) => known.statuses.append(&mut found.statuses),
            None => proof.forbidden.push(found),
        }
    }
    // A job that cannot run does not show how it ends.
    if let Some(known) = proof
        .forbidden
        .iter_mut()
        .find(|found| found.what == Attempt::Claim && !found.statuses.is_empty())
    {
        for status in ["done", "failed", "cancelled"] {
            let t = begin(whole)?;
            if let Err(trouble) = set_status(&t, job, status)
                && forbid(&t, Attempt::Claim, trouble)?.reason == known.reason
            {
                known.statuses.push(status);
            }
        }
    }
    Ok(job)
}

/// A job for which a way works: one of another stage, agent or repo, or the same job while no other
/// runs.
fn find_able(
    whole: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    way: &[Attempt],
) -> Result<Option<i64>, Error> {
    for other in others(whole, job)? {
        let t = begin(whole)?;
        let walked = walk(&t, trial, other, way);
        drop(t);
        if whole.is_autocommit() {
            return Ok(None);
        }
        if walked.is_ok() {
            return Ok(Some(other));
        }
    }
    let t = begin(whole)?;
    if !end_others(&t, job)? {
        return Ok(None);
    }
    let tried = begin(&t)?;
    let walked = walk(&tried, trial, job, way);
    drop(tried);
    if walked.is_err() || t.is_autocommit() {
        return Ok(None);
    }
    // The rest is tried without them, too.
    t.commit()?;
    Ok(Some(job))
}

/// Other queued jobs: the first of each stage and each agent, and then of each repo.
fn others(t: &Transaction<'_>, job: i64) -> Result<Vec<i64>, Error> {
    let mut query = t.prepare_cached(
        "SELECT id FROM (
            SELECT few.id, row_number() OVER (PARTITION BY stage ORDER BY few.id) AS of_stage,
                row_number() OVER (PARTITION BY agent ORDER BY few.id) AS of_agent,
                row_number() OVER (PARTITION BY few.repo ORDER BY few.id) AS of_repo
            FROM (SELECT id, repo, agent, task_id FROM jobs WHERE status = 'queued' AND id != ?1
                  ORDER BY id LIMIT 1000) AS few
            LEFT JOIN tasks ON tasks.id = few.task_id)
         ORDER BY of_stage = 1 OR of_agent = 1 DESC, of_repo, id LIMIT 10",
    )?;
    let jobs = query.query_map([job], |row| row.get(0))?;
    Ok(jobs.collect::<Result<_, _>>()?)
}

/// Ends the first thousand running jobs, if the database allows it. Returns whether there were any.
fn end_others(t: &Transaction<'_>, job: i64) -> Result<bool, Error> {
    for status in ["queued", "done", "failed", "cancelled"] {
        let change = begin(t)?;
        let ended = change.execute(
            "UPDATE jobs SET status = ?2 WHERE id IN (SELECT id FROM jobs WHERE status = 'running'
             AND id != ?1 LIMIT 1000)",
            (job, status),
        );
        if let Ok(ended) = ended {
            change.commit()?;
            return Ok(ended > 0);
        }
    }
    Ok(false)
}

fn walk(
    t: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    way: &[Attempt],
) -> Result<(), (Attempt, Trouble)> {
    let mut token = String::new();
    for what in way {
        step(t, trial, job, *what, &mut token)
            .and_then(|()| refers(t, "jobs", job, is_of_the_gate))
            .map_err(|trouble| (*what, trouble))?;
    }
    Ok(())
}

fn step(
    t: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    what: Attempt,
    token: &mut String,
) -> Result<(), Trouble> {
    let actor = actor(trial);
    // No task is in this stage, so the job stays in the queue although its task is finished.
    let nowhere = || FinishedStages::new(vec![rows::NAME.into()]);
    if what == Attempt::Claim {
        let lease = Lease {
            worker: rows::NAME,
            agents: &[],
            generation: None,
            now: trial.now,
            lease: LEASE,
        };
        *token = give(t, job, lease)?.token;
        return Ok(());
    }
    let claim = Claim { job, token };
    match what {
        Attempt::Heartbeat => jobs::keep_alive(t, actor, claim, LEASE).map(drop)?,
        Attempt::Finish => jobs::end(t, actor.now, claim, Event::Finish, None)?,
        Attempt::Fail => {
            let error = Some(actor.why);
            jobs::end(t, actor.now, claim, Event::Fail, error)?;
        }
        Attempt::GiveBack => jobs::give_back(t, actor.now, claim, None, &nowhere())?,
        Attempt::Requeue => jobs::put_in_queue(t, actor, job, &nowhere())?,
        Attempt::Cancel => match task_of(t, job)? {
            Some((_, Some(stage))) => {
                jobs::give_back(t, actor.now, claim, None, &FinishedStages::new(vec![stage]))?;
            }
            _ => set_status(t, job, "cancelled")?,
        },
        _ => {}
    }
    Ok(())
}

/// Whether the column accepts a status after the previous one.
fn takes(
    whole: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    what: Attempt,
    status: &str,
) -> Result<bool, Error> {
    let t = begin(whole)?;
    let before: &[Attempt] = match what {
        Attempt::Claim => &[],
        Attempt::Requeue => &[Attempt::Claim, Attempt::Fail],
        _ => &[Attempt::Claim],
    };
    Ok(walk(&t, trial, job, before).is_err() || set_status(&t, job, status).is_ok())
}

/// Tries the same way with a second job of the task, for unique columns.
pub(super) fn try_another(
    whole: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    proof: &mut Proof,
) -> Result<(), Error> {
    for (what, way) in [
        (Attempt::ClaimAnother, &[Attempt::Claim][..]),
        (Attempt::FinishAnother, &[Attempt::Claim, Attempt::Finish]),
        (Attempt::FinishAnother, &[Attempt::Claim, Attempt::Fail]),
    ] {
        let t = begin(whole)?;
        if walk(&t, trial, job, way).is_err() {
            continue;
        }
        let walked = match another(&t, trial, job, proof)? {
            Some(other) => walk(&t, trial, other, way),
            None => Ok(()),
        };
        drop(t);
        if let Err((step, trouble)) = walked
            && (step == Attempt::Claim) == (what == Attempt::ClaimAnother)
            && matches!(&trouble, Trouble::Error(error) if is_of_a_unique_column(error))
        {
            forbid_another(whole, what, trouble, proof)?;
        }
    }
    let t = begin(whole)?;
    for other in nearest(&t, job)? {
        let way = &[Attempt::Claim];
        // A failure of the second job alone shows nothing about two.
        if goes(&t, trial, &[other], way)?.is_none()
            && let Some(trouble) = goes(&t, trial, &[job, other], way)?
        {
            forbid_another(&t, Attempt::ClaimAnother, trouble, proof)?;
        }
    }
    Ok(())
}

fn forbid_another(
    t: &Transaction<'_>,
    what: Attempt,
    trouble: Trouble,
    proof: &mut Proof,
) -> Result<(), Error> {
    if proof.knows(what) {
        return Ok(());
    }
    let found = forbid(t, what, trouble)?;
    // One running job has shown the same.
    proof.forbidden.retain(|known| {
        !(known.what == Attempt::Claim && known.some && known.reason == found.reason)
    });
    proof.forbidden.push(found);
    Ok(())
}

/// Takes some jobs through a way, one after the other. Returns what prevents the last, if anything.
fn goes(
    t: &Transaction<'_>,
    trial: &Trial,
    jobs: &[i64],
    way: &[Attempt],
) -> Result<Option<Trouble>, Error> {
    let part = begin(t)?;
    for job in jobs {
        if let Err((_, trouble)) = walk(&part, trial, *job, way) {
            return Ok(Some(trouble));
        }
    }
    Ok(None)
}

/// Queued jobs similar to a job: of its repo and agent first, then any.
fn nearest(t: &Transaction<'_>, job: i64) -> Result<Vec<i64>, Error> {
    let mut query = t.prepare_cached(
        "SELECT few.id FROM (SELECT id, repo, agent FROM jobs WHERE status = 'queued' AND id != ?1
         ORDER BY id LIMIT 1000) AS few
         JOIN jobs AS this ON this.id = ?1
         ORDER BY few.repo IS this.repo DESC, few.agent IS this.agent DESC, few.id LIMIT 3",
    )?;
    let jobs = query.query_map([job], |row| row.get(0))?;
    let queued: Vec<i64> = jobs.collect::<Result<_, _>>()?;
    if !queued.is_empty() {
        return Ok(queued);
    }
    let mut query = t.prepare_cached(
        "SELECT few.id FROM (SELECT id, repo FROM jobs WHERE id != ?1 ORDER BY id DESC
         LIMIT 1000) AS few
         JOIN jobs AS this ON this.id = ?1 ORDER BY few.repo IS this.repo DESC, few.id DESC
         LIMIT 1",
    )?;
    let ended: Option<i64> = query.query_row([job], |row| row.get(0)).optional()?;
    let is_queued = |ended: &i64| set_status(t, *ended, "queued").is_ok();
    Ok(ended.filter(is_queued).into_iter().collect())
}

/// A queued job of the same task, for another agent: an existing job, or a new one.
fn another(
    t: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    proof: &mut Proof,
) -> Result<Option<i64>, Error> {
    let Some((task_id, _)) = task_of(t, job)? else {
        return Ok(None);
    };
    let mut query = t.prepare_cached(
        "SELECT id FROM jobs WHERE task_id = ?1 AND id != ?2
            AND agent IS NOT (SELECT agent FROM jobs WHERE id = ?2) LIMIT 1",
    )?;
    let found = query.query_row([task_id, job], |row| row.get(0));
    let other = match found.optional()? {
        Some(other) => other,
        None if !proof.may_add() => return Ok(None),
        None => {
            let mut query = t.prepare_cached(
                "SELECT few.agent FROM (SELECT agent FROM jobs ORDER BY id DESC LIMIT 1000) AS few
                 WHERE few.agent != '' AND few.agent != (SELECT agent FROM jobs WHERE id = ?1)
                 LIMIT 1",
            )?;
            let known = query.query_row([job], |row| Ok(row.get::<_, Shown>(0)?.0));
            let agent = known.optional()?.flatten();
            let agent = agent.as_deref().unwrap_or("developer");
            let new = NewJob {
                task_id,
                agent,
                repo: None,
            };
            match new_job::insert(t, trial.now, new) {
                Ok(other) => other,
                Err(error) if t.is_autocommit() => {
                    let found = forbid(t, Attempt::AddTask, error.into())?;
                    proof.forbidden.push(found);
                    return Err(Error::GroupEnded);
                }
                Err(_) => return Ok(None),
            }
        }
    };
    Ok(set_status(t, other, "queued").is_ok().then_some(other))
}
