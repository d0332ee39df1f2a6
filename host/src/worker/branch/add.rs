//! Tasks of a repo whose branches are cut here: what can be known of a task's branch is known
//! before the task is added.
//!
//! Owns the two ways in which such a task comes: into a line, where its branch has to wait for its
//! turn, and with its branch, where there is no line. Callers rely on this: a task whose branch
//! could never be cut is not added. What only the remote knows is found out at the cut.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Error, Project, cut};
use crate::error::with_causes;
use crate::store::{
    self, Actor, Added, Claim, FinishedStages, Naming, NewTask, Repeatable, Store, TaskBranch,
};

/// Adds a task whose branch is cut when its job is claimed.
///
/// # Errors
///
/// As [`Store::add_task`], or with a request that may come again as [`Store::add_task_once`]; or
/// when git could not keep the task's branch. Then nothing was added.
pub fn add_task_in_line(
    store: &mut Store,
    project: &Project,
    task: NewTask<'_>,
    finished: &FinishedStages,
    now: Timestamp,
    request: Option<Repeatable<'_>>,
) -> Result<Added, Error> {
    check(project, task)?;
    let branch_of = |task, work_item: Option<&str>| project.name(task, work_item);
    let naming = naming(&branch_of, finished);
    Ok(match request {
        Some(request) => store.add_task_once(now, task, Some(naming), request)?,
        None => store.add_task_with_branch(now, task, naming, None)?.0,
    })
}

/// Adds a task whose branch is cut at once, because its repo has no line to wait in. No worker
/// gets its job before that was tried; where it fails, the next claim of the job tries again.
///
/// # Errors
///
/// As [`add_task_in_line`], or when the database refuses to let the job go again. It comes back
/// when its lease has run out.
pub fn add_task(
    store: &mut Store,
    project: &Project,
    task: NewTask<'_>,
    lease: Duration,
    finished: &FinishedStages,
    clock: &dyn Fn() -> Timestamp,
) -> Result<(Added, Result<TaskBranch, Error>), Error> {
    const WHO: &str = "task add";
    check(project, task)?;
    let branch_of = |task, work_item: Option<&str>| project.name(task, work_item);
    let (naming, claimed) = (naming(&branch_of, finished), Some((WHO, lease)));
    let (added, token) = store.add_task_with_branch(clock(), task, naming, claimed)?;
    let claim = Claim {
        job: added.job_id,
        token: &token.unwrap_or_default(),
    };
    let begun = Instant::now();
    let mut cancelled = || begun.elapsed() >= lease;
    let cut = cut(store, project, claim, added.task_id, clock, &mut cancelled);
    let said = cut.as_ref().err().map(|error| with_causes(error));
    let actor = Actor {
        now: clock(),
        who: WHO,
        why: "",
    };
    store.put_back(actor, claim, said.as_deref(), finished)?;
    Ok((added, cut))
}

/// Refuses a task that no branch can be named after. Its own number is not known yet, and is no
/// longer than this one.
fn check(project: &Project, task: NewTask<'_>) -> Result<(), Error> {
    store::check_names(task)?;
    project.check_name(&project.name(i64::MAX, task.work_item))
}

fn naming<'a>(
    branch_of: &'a dyn Fn(i64, Option<&str>) -> String,
    finished: &'a FinishedStages,
) -> Naming<'a> {
    Naming {
        branch_of,
        collide: &super::name::collide,
        finished,
    }
}
