//! A job's life, tried with one job: claimed, kept, ended in each way, and back in the queue.
//!
//! Owns the ways, and what is said when a step of one fails: whether the status is why, and which others fare alike. Each
//! step is the statement that claims and workers run.

use std::time::Duration;

use rusqlite::OptionalExtension;

use super::forbidden::is_of_a_unique_column;
use super::{
    Attempt, Forbidden, Proof, Trial, Trouble, act, begin, forbid, is_of_the_gate, refers, rows,
    set_status, task_of,
};
use crate::store::Error;
use crate::store::claim::{Lease, give};
use crate::store::jobs::{self, Claim, Ending, NewJob};
use crate::store::task_end::FinishedStages;
use crate::store::transaction::Transaction;

/// The ways of a claimed job.
const WAYS: [&[Attempt]; 4] = [
    &[Attempt::Claim, Attempt::Heartbeat, Attempt::Finish],
    &[Attempt::Claim, Attempt::Fail, Attempt::Requeue],
    &[Attempt::Claim, Attempt::GiveBack],
    &[Attempt::Claim, Attempt::Cancel],
];

const LEASE: Duration = Duration::from_secs(60);

/// Takes the job through each of its ways, and says for each step that fails whether its status is why.
pub(super) fn try_ways(
    whole: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    proof: &mut Proof,
) -> Result<(), Error> {
    for way in WAYS {
        let t = begin(whole)?;
        let Err((what, trouble)) = walk(&t, trial, job, way) else {
            continue;
        };
        drop(t);
        if proof.knows(what) {
            continue;
        }
        let may_be_the_status = trouble.is_about_the_value();
        let mut found = forbid(whole, what, trouble)?;
        if let Some(status) = what.status()
            && may_be_the_status
            && !whole.is_autocommit()
            && !takes(whole, trial, job, what, status)?
        {
            found.statuses.push(status);
        }
        let is_the_same = |known: &&mut Forbidden| {
            !known.statuses.is_empty() && !found.statuses.is_empty() && known.reason == found.reason
        };
        match proof.forbidden.iter_mut().find(is_the_same) {
            Some(known) => known.statuses.append(&mut found.statuses),
            None => proof.forbidden.push(found),
        }
    }
    // A job that cannot run shows nothing of how it ends.
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
    Ok(())
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
    let act = act(trial);
    // No stage is this one, so that the job stays in the queue although its task is finished.
    let nowhere = || FinishedStages::new(vec![rows::NAME.into()]);
    if what == Attempt::Claim {
        let lease = Lease {
            worker: rows::NAME,
            agent: None,
            generation: None,
            now: trial.now,
            lease: LEASE,
        };
        *token = give(t, job, lease)?.token;
        return Ok(());
    }
    let claim = Claim { job, token };
    match what {
        Attempt::Heartbeat => jobs::keep_alive(t, act, claim, LEASE).map(drop)?,
        Attempt::Finish => jobs::end(t, act, claim, Ending::Done)?,
        Attempt::Fail => {
            let error = Some(act.why);
            jobs::end(t, act, claim, Ending::Failed { error })?;
        }
        Attempt::GiveBack => jobs::give_back(t, claim, None, &nowhere())?,
        Attempt::Requeue => jobs::put_in_queue(t, act, job, &nowhere())?,
        Attempt::Cancel => match task_of(t, job)? {
            Some((_, Some(stage))) => {
                jobs::give_back(t, claim, None, &FinishedStages::new(vec![stage]))?;
            }
            _ => set_status(t, job, "cancelled")?,
        },
        _ => {}
    }
    Ok(())
}

/// Whether the column takes a status, coming from the one before it.
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

/// A second job of the same task goes the same way, for columns that are unique.
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
        let Some(other) = another(&t, trial, job, proof)? else {
            return Ok(());
        };
        let walked = walk(&t, trial, other, way);
        drop(t);
        if let Err((_, Trouble::Error(error))) = walked
            && is_of_a_unique_column(&error)
            && !proof.knows(what)
        {
            let found = forbid(whole, what, Trouble::Error(error))?;
            proof.forbidden.push(found);
        }
    }
    Ok(())
}

/// A queued job of the same task: one that is there, or a new one.
fn another(
    t: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    proof: &mut Proof,
) -> Result<Option<i64>, Error> {
    let Some((task_id, _)) = task_of(t, job)? else {
        return Ok(None);
    };
    let mut query =
        t.prepare_cached("SELECT id FROM jobs WHERE task_id = ?1 AND id != ?2 LIMIT 1")?;
    let found = query.query_row([task_id, job], |row| row.get(0));
    let other = match found.optional()? {
        Some(other) => other,
        None if !proof.may_add() => return Ok(None),
        None => {
            let agent = trial.gated.first().map_or("analyst", String::as_str);
            let new = NewJob {
                task_id,
                agent,
                repo: None,
            };
            match jobs::insert(t, trial.now, new) {
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
