//! What the gate does apart from claims: a task moves and ends, a repo is frozen and opened.
//!
//! Owns which of it is tried. Each step is the statement that operators' changes run.

use rusqlite::OptionalExtension;

use crate::store::Error;
use crate::store::records::outcome::TaskOutcome;
use crate::store::records::task_end::{self, Running, TaskEnd};
use crate::store::records::{freezes, tasks};
use crate::store::sqlite::probe::rows::{self, a_repo};
use crate::store::sqlite::probe::{
    Attempt, Proof, Trial, Trouble, actor, begin, forbid, is_of_the_gate, refers, task_of,
};
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::value::Shown;

/// Moves the job's task and ends it.
pub(super) fn try_task(
    whole: &Transaction<'_>,
    trial: &Trial,
    job: i64,
    proof: &mut Proof,
) -> Result<(), Error> {
    let Some((task, Some(stage))) = task_of(whole, job)? else {
        return Ok(());
    };
    let mut query = whole.prepare_cached(
        "SELECT stage FROM (SELECT id, stage FROM tasks ORDER BY id DESC LIMIT 1000)
         WHERE stage != ?1 LIMIT 1",
    )?;
    let other = query.query_row([&stage], |row| Ok(row.get::<_, Shown>(0)?.0));
    let other = other.optional()?.flatten().unwrap_or(stage);
    one(whole, proof, Attempt::MoveTask, |t| {
        tasks::to_stage_by(t, actor(trial), task, &other)?;
        tasks::check_stages(t, &[task], &other)?;
        refers(t, "tasks", task, is_of_the_gate)
    })?;
    one(whole, proof, Attempt::EndTask, |t| {
        let end = TaskEnd {
            outcome: TaskOutcome::Done,
            stage: trial.finished.first(),
            running: Running {
                token: None,
                force: true,
            },
        };
        task_end::end_task(t, actor(trial), task, end)?;
        task_end::check_ended(t, &[task], end)?;
        refers(t, "tasks", task, is_of_the_gate)
    })
}

/// Freezes a repo and opens it, twice: the first freeze is still there as a row.
pub(super) fn try_freezes(
    whole: &Transaction<'_>,
    trial: &Trial,
    proof: &mut Proof,
) -> Result<(), Error> {
    let repo = a_repo(whole)?;
    let freeze = |t: &Transaction<'_>| {
        let row = freezes::NewRow {
            repo: &repo,
            work_item: Some(rows::NAME),
            until: None,
            is_of_group: false,
            group: None,
        };
        let frozen = freezes::add(t, actor(trial), row, None)?;
        freezes::check_frozen(t, actor(trial), &repo, frozen)?;
        refers(t, "repo_freeze", frozen.row, |_| true)
    };
    let clear = |t: &Transaction<'_>| -> Result<(), Trouble> {
        freezes::clear(t, actor(trial), &repo, None)?;
        Ok(())
    };
    one(whole, proof, Attempt::Freeze, freeze)?;
    if proof.knows(Attempt::Freeze) {
        return Ok(());
    }
    one(whole, proof, Attempt::Unfreeze, |t| {
        freeze(t)?;
        clear(t)
    })?;
    if proof.knows(Attempt::Unfreeze) {
        return Ok(());
    }
    one(whole, proof, Attempt::FreezeAgain, |t| {
        freeze(t)?;
        clear(t)?;
        freeze(t)?;
        clear(t)
    })
}

/// Tries one thing, unless it is known to be forbidden.
fn one(
    whole: &Transaction<'_>,
    proof: &mut Proof,
    what: Attempt,
    run: impl FnOnce(&Transaction<'_>) -> Result<(), Trouble>,
) -> Result<(), Error> {
    if proof.knows(what) {
        return Ok(());
    }
    let t = begin(whole)?;
    let tried = run(&t);
    drop(t);
    if let Err(trouble) = tried {
        proof.forbidden.push(forbid(whole, what, trouble)?);
    }
    Ok(())
}
