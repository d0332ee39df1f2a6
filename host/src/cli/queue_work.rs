//! The lines of `queue` about work: which worker does what, what failed, and what helps.
//!
//! Owns these lines, and the names of tasks in verdicts. Leaves the sentences to the library, and
//! the commands to `advice`.

use std::collections::BTreeMap;

use serial_gate::model::Verdict;
use serial_gate::queue::{Doubt, RepoState, of_active, reasons};
use serial_gate::store::{JobWork, WorkState};

use super::advice::line as advice_line;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::text::{self, count, shown, task};

/// The shown part of an error. `explain` shows all of it.
const LETTERS: usize = 200;

/// The work of the active task, and what else runs or failed in the repo.
pub fn describe(repo: &RepoState, shared: Option<&Shared>, report: &mut Report) {
    let Some(active) = &repo.active_task else {
        return describe_others(repo, report);
    };
    let is_waiting = |job: &JobWork| {
        let mut waiting = repo.waiting.iter();
        job.state == WorkState::Queued && waiting.any(|other| Some(other.job.job_id) == job.job_id)
    };
    let jobs = active.work.iter().flat_map(|work| work.jobs());
    for job in jobs.filter(|job| !is_waiting(job)) {
        report.line(toned(tone(job.state), line(job)));
    }
    for advice in of_active(active) {
        report.line(format!("  {}", advice_line(shared, &advice)));
    }
    describe_others(repo, report);
}

fn describe_others(repo: &RepoState, report: &mut Report) {
    for job in &repo.other_work {
        let of = job
            .task_id
            .map(|id| format!("{}: ", task(id, job.work_item_id.as_deref())));
        let line = format!("{}{}", of.unwrap_or_default(), line(job));
        report.line(toned(tone(job.state), line));
    }
    describe_more(repo.more_work, report);
}

/// Reports how many jobs are not listed.
pub fn describe_more(more: usize, report: &mut Report) {
    if more > 0 {
        report.line(format!("and {}", count(more, "more job")));
    }
}

/// A job in a line.
pub fn line(job: &JobWork) -> String {
    job.in_words(&|text| {
        let short = beginning(text);
        let more = if short.len() < text.len() { " …" } else { "" };
        format!("{}{more}", shown(short))
    })
}

/// The beginning of a text, up to the end of a word. A text without spaces is cut anywhere.
fn beginning(text: &str) -> &str {
    let Some((end, _)) = text.char_indices().nth(LETTERS) else {
        return text;
    };
    let (begin, rest) = text.split_at(end);
    if rest.starts_with(char::is_whitespace) {
        return begin;
    }
    match begin.rfind(char::is_whitespace) {
        Some(space) => begin.get(..space).unwrap_or(begin).trim_end(),
        None => begin,
    }
}

fn tone(state: WorkState) -> Tone {
    match state {
        WorkState::Failed | WorkState::Lapsed | WorkState::Foreign | WorkState::PutOff => {
            Tone::Held
        }
        WorkState::Running | WorkState::Queued | WorkState::Finished | WorkState::NoJob => {
            Tone::Quiet
        }
    }
}

/// The work items of a repo's tasks, by their numbers.
pub struct Names<'a>(BTreeMap<i64, &'a str>);

impl<'a> Names<'a> {
    pub fn of(repo: &'a RepoState) -> Names<'a> {
        let waiting = repo.waiting.iter().map(|waiting| &waiting.job);
        let waiting = waiting.filter_map(|job| Some((job.task_id?, job.work_item_id.as_deref()?)));
        let active = repo.active_task.as_ref().map(|active| &active.task);
        let active = active.and_then(|task| Some((task.id, task.work_item_id.as_deref()?)));
        Names(waiting.chain(active).collect())
    }

    /// A verdict in words, which names the task that comes first unless there is a doubt about it.
    pub fn verdict(&self, verdict: Option<&Verdict>, doubts: &[Doubt]) -> String {
        let Some(Verdict::Hold(hold)) = verdict else {
            return text::verdict(verdict);
        };
        let first = hold.earlier_task.map(|id| {
            let name = self.0.get(&id).copied();
            format!("{} comes first", task(id, name))
        });
        let words = format!("held: {}", reasons(hold, first, doubts, &shown));
        toned(Tone::Held, words)
    }
}
