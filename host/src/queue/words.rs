//! How a job is, in a sentence, and the name of a task.
//!
//! Owns the sentences that the command line, the page and the API share. Leaves commands to the
//! command line, and escaping to its callers: each text of the database goes through `show`.

use jiff::Timestamp;

use crate::printable::Show;
use crate::store::{FurtherFreezes, JobWork, WorkState, from_sql_time, is_over};

/// The end of a lease: as a time, or as the text that another program wrote there.
pub fn time(until: &str, show: Show<'_>) -> String {
    match from_sql_time(until) {
        Some(_) => format!("{} UTC", show(until)),
        None => format!("`{}`, which is not a time that the gate wrote", show(until)),
    }
}

/// A task by its number and, if it has one, its name: `task 1 (A-1)`.
pub fn task_words(id: i64, work_item: Option<&str>, show: Show<'_>) -> String {
    match work_item {
        Some(name) => format!("task {id} ({})", show(name)),
        None => format!("task {id}"),
    }
}

/// When a freeze is meant to end, which opens nothing: `is meant to end at 2026-11-28 14:00:00 UTC`.
pub fn until_words(until: &str, now: Timestamp, show: Show<'_>) -> String {
    let time = time(until, show);
    match is_over(until, now) {
        Some(true) => format!("was meant to end at {time} (over)"),
        _ => format!("is meant to end at {time}"),
    }
}

/// The active freezes of a repo behind its newest one: those whose time is over, and how many there
/// are. Nothing if there is none.
pub fn further_words(further: &FurtherFreezes, now: Timestamp, show: Show<'_>) -> Vec<String> {
    let over = further.over.iter().map(|over| {
        let words = until_words(&over.until, now, show);
        format!("freeze {} {words}", over.freeze_id)
    });
    let number = match further.count {
        0 => None,
        1 => Some("1 older freeze of the repo is active too".into()),
        count => Some(format!("{count} older freezes of the repo are active too")),
    };
    over.chain(number).collect()
}

impl JobWork {
    /// How it is, in a sentence without a full stop.
    pub fn in_words(&self, show: Show<'_>) -> String {
        let text = |text: &Option<String>| text.as_deref().map(show);
        let quoted =
            |value: &Option<String>| text(value).map_or("-".into(), |text| format!("`{text}`"));
        let job = format!(
            "job {} for {}",
            self.job_id.unwrap_or_default(),
            quoted(&self.agent)
        );
        let on = self.worker.as_deref();
        let on = on.map_or(String::new(), |worker| format!(" on `{}`", show(worker)));
        let until = |what: &str| {
            let until = self.lease_until.as_deref()?;
            Some(format!("{what}{}", time(until, show)))
        };
        let error = text(&self.error).filter(|error| !error.is_empty());
        match self.state {
            WorkState::Running => {
                let since = text(&self.since).map(|since| format!(" since {since} UTC"));
                let attempt = self.attempt.map(|attempt| format!(", attempt {attempt}"));
                let lease = until(", lease until ");
                let parts = [since, attempt, lease].into_iter().flatten();
                format!("{job} is running{on}{}", parts.collect::<String>())
            }
            WorkState::Lapsed => format!(
                "{job} was running{on}, and nothing was heard from its worker before the lease ended{}",
                until(" at ").unwrap_or_default()
            ),
            WorkState::Foreign if self.worker.is_some() => format!(
                "{job} was claimed{on} and no longer has a lease: the gate cannot tell whether it \
                 is still worked on"
            ),
            WorkState::Foreign if self.status.as_deref() == Some("running") => format!(
                "{job} is `running`, and no claim of the gate is known for it: the gate cannot \
                 tell whether it is still worked on"
            ),
            WorkState::Foreign => format!(
                "{job} is {}, a status of another program: the gate cannot tell whether it is \
                 still worked on",
                quoted(&self.status)
            ),
            WorkState::PutOff if self.is_due => format!(
                "{job} was put off{}, and the next claim tries it again{}",
                until(" until ").unwrap_or_default(),
                because(error)
            ),
            WorkState::PutOff => format!(
                "{job} is tried again{}{}",
                until(" after ").unwrap_or_default(),
                because(error)
            ),
            WorkState::Failed => format!(
                "{job} failed{on}{}",
                error.map_or(", without an error message".into(), |error| format!(
                    ": {error}"
                ))
            ),
            WorkState::Queued => {
                let again =
                    error.map_or(String::new(), |error| format!("; its last error: {error}"));
                format!("{job} is queued, and no worker has it{again}")
            }
            WorkState::Finished => "all its jobs have ended".into(),
            WorkState::NoJob => "it has no job".into(),
        }
    }
}

/// Why a job was put off: its error says what failed, the cut of its branch or an attempt.
fn because(error: Option<String>) -> String {
    error.map_or(String::new(), |error| format!(": {error}"))
}
