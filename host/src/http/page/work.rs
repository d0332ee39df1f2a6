//! Lines about work: which worker does what, what failed, and what helps.
//!
//! Owns these lines and their CSS classes. Leaves the sentences to the queue, and the markup to the
//! template, which escapes them.

use serial_gate::printable::as_it_is;
use serial_gate::queue::{Advice, Queue, RepoState, of_active};
use serial_gate::store::{JobWork, WorkState};

use super::links;
use super::markup::Markup;
use crate::http::transport::problem::Problem;

/// A sentence about work.
#[derive(Default)]
pub struct Line {
    pub text: Markup,
    pub class: &'static str,
    /// The command to run, if the line is advice.
    pub command: Option<String>,
    /// The job that it is about, if that waits for somebody to put it back, with the attempt that
    /// has ended.
    pub job: Option<(i64, i64)>,
    /// The end of that job's output.
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
        text: clause(&advice.in_words(&as_it_is)),
        class: "quiet",
        command: advice.command(),
        ..Line::default()
    }));
    lines.extend(repo.other_work.iter().map(|job| {
        let task = job.task_id.map(|id| named(id, job.work_item_id.as_deref()));
        let of = task.map(|task| format!("{task}: ")).unwrap_or_default();
        Line {
            text: Markup::sentence(&format!("{of}{}", job.in_words(&as_it_is))),
            ..line(job)
        }
    }));
    if repo.more_work > 0 {
        lines.push(Line {
            text: Markup::sentence(&format!("and {} more", repo.more_work)),
            class: "quiet",
            ..Line::default()
        });
    }
    lines
}

/// The line about a job.
pub fn line(job: &JobWork) -> Line {
    let class = match job.state {
        WorkState::Failed | WorkState::Lapsed | WorkState::Foreign => FAILED,
        WorkState::PutOff => "held",
        WorkState::Running => "free",
        WorkState::Queued | WorkState::Finished | WorkState::NoJob => "quiet",
    };
    let may_be_put_back = matches!(job.state, WorkState::Failed | WorkState::Lapsed);
    Line {
        text: clause(&job.in_words(&as_it_is)),
        class,
        job: job.job_id.zip(job.attempt).filter(|_| may_be_put_back),
        ..Line::default()
    }
}

/// A task by its name and number: `A-1 (task 1)`.
pub fn named(id: i64, work_item: Option<&str>) -> String {
    match work_item.filter(|name| !name.trim().is_empty()) {
        Some(name) => format!("{name} (task {id})"),
        None => format!("task {id}"),
    }
}

/// A task's work item, else its number.
pub fn short(id: i64, work_item: Option<&str>) -> String {
    let name = work_item.filter(|name| !name.trim().is_empty());
    name.map_or_else(|| format!("task {id}"), Into::into)
}

/// The link to a task's page, with its short name.
pub fn task_link(id: i64, work_item: Option<&str>) -> Markup {
    Markup::link(&links::task(id), &short(id, work_item))
}

/// The end of an output, so that a page with many of them stays short.
pub fn end_of(output: &str, letters: usize) -> String {
    let before = output.chars().count().saturating_sub(letters);
    let end: String = output.chars().skip(before).collect();
    end.lines().collect::<Vec<_>>().join("\n")
}

/// A note that begins with a capital letter and ends with a full stop.
pub fn sentence(note: &str) -> Markup {
    let note = capital(note);
    let end = if note.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    Markup::sentence(&format!("{note}{end}"))
}

/// A note that begins with a capital letter. A command may follow.
pub fn clause(note: &str) -> Markup {
    Markup::sentence(&capital(note))
}

fn capital(note: &str) -> String {
    let mut letters = note.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// How often the active policy contradicted itself; none if it never did.
pub fn contradictions(queue: &mut Queue) -> Result<Option<Markup>, Problem> {
    let Some(generation) = queue.generation() else {
        return Ok(None);
    };
    let found = queue.store().contradictions(generation)?;
    Ok(found.map(|found| {
        let (at, last) = (found.last_at, found.last);
        let times = match found.times {
            1 => "once".into(),
            times => format!("{times} times"),
        };
        sentence(&format!(
            "the policy contradicts itself: {times}, the last time at {at} UTC: {last}"
        ))
    }))
}
