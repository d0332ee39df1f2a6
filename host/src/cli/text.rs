//! Texts that several verbs share.

use std::borrow::Cow;

use jiff::Timestamp;
use serial_gate::model::Verdict;
use serial_gate::printable::is_invisible;
use serial_gate::queue::{Doubt, TaskName, reasons, task_words};
use serial_gate::store::{ListedJob, TaskBranch, WorkState, sql_time, time_since};
use serial_gate::worker::branch::{base_words, pull_words, short};

use super::options::Shared;
use super::output::{Tone, toned};
use super::usage::SCHEMES;

pub use super::output::shown;

/// Text from the database that may be missing.
pub fn shown_or_dash(text: Option<&str>) -> String {
    text.map_or_else(|| "-".into(), shown)
}

/// A time that another program may have written. Text that is not a time is shown as it is.
pub fn when(time: Option<Timestamp>, written: Option<&str>) -> String {
    match (time, written) {
        (Some(time), _) => {
            let ahead = match time_since(time, Timestamp::now()) {
                None => ", which is ahead of this clock",
                Some(_) => "",
            };
            format!("{} UTC{ahead}", sql_time(time))
        }
        (None, Some(written)) => format!("`{}`, which is not a time", shown(written)),
        (None, None) => "an unknown time".into(),
    }
}

/// A task by its number and, if it has one, its name.
pub fn task(id: i64, work_item: Option<&str>) -> String {
    task_words(id, work_item, &shown)
}

/// The state of a job in a word. Of a job that has ended, that is its status: `done` or `cancelled`.
pub fn state_word(job: &ListedJob) -> String {
    match job.state {
        WorkState::Finished => shown_or_dash(job.status.as_deref()),
        state => state.name().into(),
    }
}

/// A number of things: `1 job`, `3 jobs`.
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 {
        format!("1 {thing}")
    } else {
        format!("{number} {thing}s")
    }
}

/// A policy's verdict in a few words, in its colour.
pub fn verdict(verdict: Option<&Verdict>) -> String {
    doubted_verdict(verdict, &[])
}

/// The same with doubts about the rows that the policy names.
pub fn doubted_verdict(verdict: Option<&Verdict>, doubts: &[Doubt]) -> String {
    let words = words_of(verdict, doubts);
    match verdict {
        None => words,
        Some(Verdict::Claim) => toned(Tone::Free, words),
        Some(Verdict::Hold(_)) => toned(Tone::Held, words),
    }
}

/// The same without colour, for a column that is not the last: its width is counted.
pub fn plain_verdict(verdict: Option<&Verdict>) -> String {
    words_of(verdict, &[])
}

fn words_of(verdict: Option<&Verdict>, doubts: &[Doubt]) -> String {
    match verdict {
        None => "unknown".into(),
        Some(Verdict::Claim) => "may be claimed".into(),
        Some(Verdict::Hold(hold)) => {
            let first = hold
                .earlier_task
                .map(|task| format!("task {task} comes first"));
            format!("held: {}", reasons(hold, first, doubts, &shown))
        }
    }
}

/// A command on the same database that can be pasted into a shell. `None` if a terminal would not
/// show it exactly.
pub fn command(shared: &Shared, arguments: &[&str]) -> Option<String> {
    let database = shared.db.location.to_string();
    let mut words = gate_words(shared, &database);
    words.extend(arguments);
    // A name that begins with a dash would be parsed as a flag.
    if let Some(last) = words.pop_if(|last| last.starts_with('-')) {
        words.extend(["--", last]);
    }
    shell(&words)
}

/// The beginning of a command on the same database.
pub fn gate(shared: &Shared) -> String {
    let database = shared.db.location.to_string();
    shell(&gate_words(shared, &database)).unwrap_or_else(|| "serial-gate".into())
}

fn gate_words<'a>(shared: &Shared, database: &'a str) -> Vec<&'a str> {
    if shared.db_is_default {
        vec!["serial-gate"]
    } else {
        vec!["serial-gate", "--db", database]
    }
}

/// The words of a command for a shell. `None` if a terminal would not show them exactly.
pub fn shell(words: &[&str]) -> Option<String> {
    if words.iter().any(|word| word.chars().any(is_invisible)) {
        return None;
    }
    let quoted: Option<Vec<Cow<'_, str>>> = words
        .iter()
        .map(|word| shlex::try_quote(word).ok())
        .collect();
    Some(quoted?.join(" "))
}

/// The number of a job, from the command line.
pub fn id(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| "write its number, which `serial-gate queue` shows".into())
}

/// A time as JSON has it, as the other lines show times. Text that is not a time is shown as it is.
pub fn moment(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => format!("{} UTC", sql_time(time)),
        Err(_) => shown(time),
    }
}

/// The same of a time that may be missing.
pub fn moment_or_dash(time: Option<&str>) -> String {
    time.map_or_else(|| "-".into(), moment)
}

/// A repo from the command line. The address of a database is refused, because it may have a password
/// and the name of a repo is shown.
pub fn repo(text: &str) -> Result<String, String> {
    if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        return Err("this is the address of a database: write it after `--db`".into());
    }
    Ok(text.into())
}

/// A repo that is not empty.
pub fn named_repo(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("write the name of a repo".into());
    }
    repo(text)
}

/// A task from the command line: its id or its work item.
pub fn task_name(text: &str) -> Result<TaskName, String> {
    text.parse::<TaskName>().map_err(|error| error.to_string())
}

/// A branch and its base: `task/ORCH-1`, cut from `main` at 1a2b3c4d; and what to do if the base
/// has changed; and its pull request.
pub fn branch(branch: &TaskBranch) -> String {
    let verb = if branch.cut_at.is_some() {
        "cut"
    } else {
        "to be cut"
    };
    let since = base_words(branch, Timestamp::now(), &shown).map(|words| format!("; {words}"));
    let pull = branch.pull_request.as_ref();
    let pull = pull.map(|pull| format!("; {}", pull_words(pull, &shown)));
    format!(
        "`{}`, {verb} from `{}` at {}{}{}",
        shown(&branch.name),
        shown(&branch.base),
        shown(&short(&branch.base_commit)),
        since.unwrap_or_default(),
        pull.unwrap_or_default()
    )
}
