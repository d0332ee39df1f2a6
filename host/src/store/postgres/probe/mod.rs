//! Whether the gate can do its work in a database of a server: tried with a row, by the statements
//! that do it, and undone.
//!
//! Owns what is tried, and in which order. Leaves the row to `rows`, the reasons to `why`, and each
//! statement to the file that owns it. Callers rely on this: they are in a transaction, and when
//! this returns nothing in it has changed, but numbers of sequences that others use, too, are used
//! up. References that are checked at the commit are checked after each step.

mod numbers;
mod rows;
mod why;

use std::time::Duration;

use self::rows::{Chosen, a_repo, add_some_task, choose, others, task_of};
use super::tx::Session;
use crate::store::engine::{Tx, values};
use crate::store::forbidden::{Attempt, Forbidden};
use crate::store::job::Event;
use crate::store::records::jobs::{self, Claim};
use crate::store::records::outcome::TaskOutcome;
use crate::store::records::task_end::{self, FinishedStages, Running, TaskEnd};
use crate::store::records::{freezes, tasks};
use crate::store::token::new_token;
use crate::store::{Actor, Error, Proof, Trial, job};

/// What a made-up row is called.
const NAME: &str = "serial-gate-probe";

/// The ways of a claimed job.
const WAYS: [&[Attempt]; 4] = [
    &[Attempt::Claim, Attempt::Heartbeat, Attempt::Finish],
    &[Attempt::Claim, Attempt::Fail, Attempt::Requeue],
    &[Attempt::Claim, Attempt::GiveBack],
    &[Attempt::Claim, Attempt::Cancel],
];

const LEASE: Duration = Duration::from_secs(60);

/// Tries everything, and adds what is forbidden.
///
/// # Errors
///
/// When the server or another program prevents it.
pub(crate) fn probe(session: &Session<'_>, trial: &Trial, proof: &mut Proof) -> Result<(), Error> {
    session.begin_part()?;
    let tried = try_all(session, trial, proof);
    session.undo_part()?;
    tried
}

fn try_all(session: &Session<'_>, trial: &Trial, proof: &mut Proof) -> Result<(), Error> {
    let behind = numbers::keep(session)?;
    proof
        .forbidden
        .extend(behind.into_iter().map(why::has_no_numbers));
    session.begin_part()?;
    let added = add_some_task(session, trial)?;
    session.undo_part()?;
    proof.forbidden.extend(added.refused);
    match choose(session, trial, added.job.is_some())? {
        Chosen::Job(job) => {
            let job = try_ways(session, trial, job, proof)?;
            if proof.is_fit() {
                try_task(session, trial, job, proof)?;
            }
        }
        Chosen::Forbidden(found) => proof.forbidden.push(found),
        Chosen::Unknown(why) => proof.unknown = Some(why),
    }
    if trial.freezes {
        try_freezes(session, trial, proof)?;
    }
    Ok(())
}

/// Takes the job through each way. If another job can go one that this one cannot, the rest is tried
/// with it, and it is returned.
fn try_ways(
    session: &Session<'_>,
    trial: &Trial,
    mut job: i64,
    proof: &mut Proof,
) -> Result<i64, Error> {
    for way in WAYS {
        let Some((what, error)) = walk(session, trial, job, way)? else {
            continue;
        };
        if proof.knows(what) {
            continue;
        }
        let is_unique = why::is_of_a_unique_index(&error);
        let is_the_status = why::status_is_why(session, &error)?;
        let mut found = why::forbid(session, what, error)?;
        if let Some(status) = what.status().filter(|_| is_the_status) {
            found.statuses.push(status);
        } else if let Some(able) = find_able(session, trial, job, way)? {
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
    let is_known =
        |found: &&mut Forbidden| found.what == Attempt::Claim && !found.statuses.is_empty();
    if let Some(known) = proof.forbidden.iter_mut().find(is_known) {
        for status in ["done", "failed", "cancelled"] {
            let set = attempt(session, || set_status(session, job, status))?;
            if let Err(error) = set
                && why::status_is_why(session, &error)?
            {
                known.statuses.push(status);
            }
        }
    }
    Ok(job)
}

/// Another queued job for which a way works.
fn find_able(
    session: &Session<'_>,
    trial: &Trial,
    job: i64,
    way: &[Attempt],
) -> Result<Option<i64>, Error> {
    for other in others(session, job)? {
        if walk(session, trial, other, way)?.is_none() {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Takes a job through a way, and undoes it. Returns the step that failed, and why.
fn walk(
    session: &Session<'_>,
    trial: &Trial,
    job: i64,
    way: &[Attempt],
) -> Result<Option<(Attempt, Error)>, Error> {
    let mut at = Attempt::Claim;
    let tried = attempt(session, || {
        let mut token = String::new();
        for what in way {
            at = *what;
            step(session, trial, job, *what, &mut token)?;
            check_references(session)?;
        }
        Ok(())
    })?;
    Ok(tried.err().map(|error| (at, error)))
}

fn step(
    session: &Session<'_>,
    trial: &Trial,
    job: i64,
    what: Attempt,
    token: &mut String,
) -> Result<(), Error> {
    let actor = actor(trial);
    // No task is in this stage, so the job stays in the queue although its task is finished.
    let nowhere = || FinishedStages::new(vec![NAME.into()]);
    if what == Attempt::Claim {
        *token = new_token()?;
        return give(session, job, token);
    }
    let claim = Claim { job, token };
    match what {
        Attempt::Heartbeat => jobs::keep_alive(session, actor, claim, LEASE).map(drop),
        Attempt::Finish => jobs::end(session, actor.now, claim, Event::Finish, None),
        Attempt::Fail => {
            let error = Some(actor.why);
            jobs::end(session, actor.now, claim, Event::Fail, error)
        }
        Attempt::GiveBack => jobs::give_back(session, actor.now, claim, None, &nowhere()),
        Attempt::Requeue => jobs::put_in_queue(session, actor, job, &nowhere()),
        Attempt::Cancel => match task_of(session, job)? {
            Some((_, Some(stage))) => jobs::give_back(
                session,
                actor.now,
                claim,
                None,
                &FinishedStages::new(vec![stage]),
            ),
            _ => set_status(session, job, "cancelled"),
        },
        _ => Ok(()),
    }
}

/// Writes a claim as the function of each clause does.
fn give(session: &Session<'_>, job: i64, token: &str) -> Result<(), Error> {
    let tx: &dyn Tx = session;
    let sql = format!(
        "SELECT job FROM {}.serial_gate_give(p_job => $1::bigint, p_worker => $2::text,
            p_token => $3::text, p_lease => $4::bigint, p_generation => NULL)",
        session.schema()
    );
    let lease = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
    tx.row(&sql, values![job, NAME, token, lease], |_| Ok(()))
        .map(drop)
}

/// Moves the job's task and ends it.
fn try_task(
    session: &Session<'_>,
    trial: &Trial,
    job: i64,
    proof: &mut Proof,
) -> Result<(), Error> {
    let Some((task, Some(stage))) = task_of(session, job)? else {
        return Ok(());
    };
    let other = rows::another_stage(session, &stage)?.unwrap_or(stage);
    one(session, proof, Attempt::MoveTask, || {
        tasks::to_stage_by(session, actor(trial), task, &other)?;
        tasks::check_stages(session, &[task], &other)
    })?;
    one(session, proof, Attempt::EndTask, || {
        let end = TaskEnd {
            outcome: TaskOutcome::Done,
            stage: trial.finished.first(),
            running: Running {
                token: None,
                force: true,
            },
        };
        task_end::end_task(session, actor(trial), task, end)?;
        task_end::check_ended(session, &[task], end)
    })
}

/// Freezes a repo and opens it, twice: the first freeze is still there as a row.
fn try_freezes(session: &Session<'_>, trial: &Trial, proof: &mut Proof) -> Result<(), Error> {
    let repo = a_repo(session)?;
    let freeze = || {
        let row = freezes::NewRow {
            repo: &repo,
            work_item: Some(NAME),
            until: None,
            is_of_group: false,
            group: None,
        };
        let frozen = freezes::add(session, actor(trial), row, None)?;
        freezes::check_frozen(session, actor(trial), &repo, frozen)
    };
    let clear = || freezes::clear(session, actor(trial), &repo, None).map(drop);
    one(session, proof, Attempt::Freeze, freeze)?;
    if proof.knows(Attempt::Freeze) {
        return Ok(());
    }
    one(session, proof, Attempt::Unfreeze, || {
        freeze()?;
        clear()
    })?;
    if proof.knows(Attempt::Unfreeze) {
        return Ok(());
    }
    one(session, proof, Attempt::FreezeAgain, || {
        freeze()?;
        clear()?;
        freeze()?;
        clear()
    })
}

/// Tries one thing.
fn one(
    session: &Session<'_>,
    proof: &mut Proof,
    what: Attempt,
    run: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let tried = attempt(session, || {
        run()?;
        check_references(session)
    })?;
    if let Err(error) = tried {
        proof.forbidden.push(why::forbid(session, what, error)?);
    }
    Ok(())
}

/// Runs a step, and undoes it whatever comes of it.
fn attempt<T>(
    session: &Session<'_>,
    step: impl FnOnce() -> Result<T, Error>,
) -> Result<Result<T, Error>, Error> {
    session.begin_part()?;
    let tried = step();
    session.undo_part()?;
    Ok(tried)
}

/// Checks what would be checked at the commit.
fn check_references(session: &Session<'_>) -> Result<(), Error> {
    session.batch("SET CONSTRAINTS ALL IMMEDIATE")
}

/// Sets only the status of a job.
fn set_status(session: &Session<'_>, row: i64, status: &str) -> Result<(), Error> {
    job::set_status(session, row, status)?;
    let query = "SELECT 1 FROM jobs WHERE id = $1 AND status = $2";
    jobs::is_there(session, row, query, values![row, status])?;
    check_references(session)
}

fn actor(trial: &Trial) -> Actor<'static> {
    Actor {
        now: trial.now,
        who: "serial-gate",
        why: "a trial, which is undone",
    }
}
