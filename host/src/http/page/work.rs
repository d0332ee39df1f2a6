//! The page's lines about work: which worker does what, what failed, and which task a job waits
//! for.
//!
//! Owns these lines and their CSS classes. Leaves the sentences to the queue, and the markup to the
//! template, which escapes them.

use std::collections::{BTreeMap, BTreeSet};

use serial_gate::printable::as_it_is;
use serial_gate::queue::{Advice, RepoState, of_active};
use serial_gate::store::{JobWork, WorkState};

/// A sentence about work.
pub struct Line {
    pub text: String,
    pub class: &'static str,
    /// The command to run, if the line is advice.
    pub command: Option<String>,
    /// The failed job that it is about, whose output may be shown.
    pub job: Option<i64>,
    /// The end of that output.
    pub output: Option<String>,
}

/// The class of jobs that an operator should look at.
pub const FAILED: &str = "failed";

/// The lines about a repo's work.
pub fn lines(name: &str, repo: &RepoState) -> Vec<Line> {
    let active = repo.active_task.as_ref();
    let is_waiting = |job: &&JobWork| {
        let mut waiting = repo.waiting.iter();
        job.state == WorkState::Queued && waiting.any(|other| Some(other.job.job_id) == job.job_id)
    };
    let work = active.and_then(|active| active.work.as_ref());
    let jobs = work.into_iter().flat_map(|work| work.jobs());
    let mut lines: Vec<Line> = jobs.filter(|job| !is_waiting(job)).map(line).collect();
    let mut advice = active.map(of_active).unwrap_or_default();
    let deploy = repo.frozen_deploy.iter();
    advice.extend(deploy.map(|deploy| Advice::after(name, deploy)));
    lines.extend(advice.iter().map(|advice| Line {
        text: advice.in_words(&as_it_is),
        class: "quiet",
        command: advice.command(),
        job: None,
        output: None,
    }));
    lines.extend(repo.other_work.iter().map(|job| {
        let line = line(job);
        let task = job.task_id.map(|id| named(id, job.work_item_id.as_deref()));
        let of = task.map(|task| format!("{task}: ")).unwrap_or_default();
        Line {
            text: format!("{of}{}", line.text),
            ..line
        }
    }));
    if repo.more_work > 0 {
        lines.push(Line {
            text: format!("and {} more", repo.more_work),
            class: "quiet",
            command: None,
            job: None,
            output: None,
        });
    }
    lines
}

fn line(job: &JobWork) -> Line {
    let class = match job.state {
        WorkState::Failed | WorkState::Lapsed | WorkState::Foreign => FAILED,
        WorkState::PutOff => "held",
        WorkState::Running => "free",
        WorkState::Queued | WorkState::Finished | WorkState::NoJob => "quiet",
    };
    Line {
        text: job.in_words(&as_it_is),
        class,
        command: None,
        job: job.job_id.filter(|_| job.state == WorkState::Failed),
        output: None,
    }
}

/// A task by its name and number: `A-1 (task 1)`.
pub fn named(id: i64, work_item: Option<&str>) -> String {
    work_item.map_or_else(
        || format!("task {id}"),
        |name| format!("{name} (task {id})"),
    )
}

/// The tasks of a repo that are on the page.
pub struct Tasks {
    names: BTreeMap<i64, Option<String>>,
    anchored: BTreeSet<i64>,
}

/// A task to link to.
pub struct Named {
    pub name: String,
    /// Its place on the page, if it has one.
    pub anchor: Option<String>,
}

impl Tasks {
    /// The active task, and those of the waiting jobs that are shown.
    pub fn of(repo: &RepoState, shown: usize) -> Tasks {
        let waiting = repo.waiting.iter().take(shown).map(|waiting| &waiting.job);
        let waiting = waiting.filter_map(|job| Some((job.task_id?, job.work_item_id.clone())));
        let active = repo.active_task.as_ref().map(|active| &active.task);
        let active = active.map(|task| (task.id, task.work_item_id.clone()));
        Tasks {
            names: waiting.chain(active).collect(),
            anchored: BTreeSet::new(),
        }
    }

    /// The anchor of a task: only the first time, because an id may occur once on a page.
    pub fn anchor(&mut self, task: Option<i64>) -> Option<String> {
        let task = task?;
        self.anchored.insert(task).then(|| anchor(task))
    }

    /// A task with a link to its place.
    pub fn named(&self, id: i64) -> Named {
        let known = self.names.get(&id);
        Named {
            name: named(id, known.and_then(|name| name.as_deref())),
            anchor: known.map(|_| anchor(id)),
        }
    }
}

fn anchor(task: i64) -> String {
    format!("task-{task}")
}
