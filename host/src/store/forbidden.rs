//! What a database does not let the gate do, in words for an operator.
//!
//! Owns the list of attempts, which of them a queue needs, the sentence for each, and what helps.
//! Leaves the trial itself, and the reasons, to the engine. Callers rely on this: the sentences contain text of the database, which a
//! caller must escape.

use std::fmt;

/// The statuses that the gate writes to a job.
pub const STATUSES: [&str; 5] = ["queued", "running", "done", "failed", "cancelled"];

/// Something that the gate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// A job is put in the queue.
    Queue,
    /// A job is claimed.
    Claim,
    /// Its claim is prolonged.
    Heartbeat,
    /// It is done.
    Finish,
    /// It fails.
    Fail,
    /// Its worker gives it back.
    GiveBack,
    /// An operator puts it back in the queue.
    Requeue,
    /// It ends because its task has ended.
    Cancel,
    /// A second job of the task is done.
    FinishAnother,
    /// Two jobs of a task run at once.
    ClaimAnother,
    /// A task moves to another stage.
    MoveTask,
    /// A task ends.
    EndTask,
    /// A task is added with its first job.
    AddTask,
    /// A repo is frozen.
    Freeze,
    /// The freeze is cleared.
    Unfreeze,
    /// The repo is frozen once more.
    FreezeAgain,
}

impl Attempt {
    /// Whether a queue needs it. The others matter only when an operator asks for them.
    pub fn is_needed(self) -> bool {
        !matches!(
            self,
            Attempt::ClaimAnother | Attempt::MoveTask | Attempt::EndTask | Attempt::AddTask
        )
    }

    /// The status that it gives to a job.
    pub(crate) fn status(self) -> Option<&'static str> {
        match self {
            Attempt::Queue | Attempt::GiveBack | Attempt::Requeue => Some("queued"),
            Attempt::Claim => Some("running"),
            Attempt::Finish => Some("done"),
            Attempt::Fail => Some("failed"),
            Attempt::Cancel => Some("cancelled"),
            _ => None,
        }
    }

    /// The table whose rules and triggers it meets first.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Attempt::MoveTask | Attempt::EndTask | Attempt::AddTask => "tasks",
            Attempt::Freeze | Attempt::Unfreeze | Attempt::FreezeAgain => "repo_freeze",
            _ => "jobs",
        }
    }
}

/// Something that a database does not let the gate do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Forbidden {
    /// What.
    pub what: Attempt,
    /// The statuses that `jobs.status` cannot take, if that is why.
    pub statuses: Vec<&'static str>,
    /// What a new task needs, if that is all.
    pub needs: Option<String>,
    /// Whether it works for other jobs, or at another time.
    pub some: bool,
    /// Why, in the database's words, or in those of the orchestrator's trigger.
    pub reason: String,
    /// What helps, if the sentence does not have it.
    pub remedy: Option<&'static str>,
}

impl Forbidden {
    /// Whether a queue cannot be used because of it.
    pub fn is_needed(&self) -> bool {
        self.what.is_needed() && !self.some
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = &self.reason;
        if !self.statuses.is_empty() {
            return write!(
                f,
                "`jobs.status` cannot take {}: {reason}; allow {}",
                listed(&self.statuses),
                listed(&STATUSES)
            );
        }
        let (no_job, no_claim) = if self.some {
            ("some jobs cannot", "some claims cannot")
        } else {
            ("no job can", "no claim can")
        };
        match self.what {
            Attempt::Queue => write!(f, "{no_job} be put in the queue: {reason}"),
            Attempt::Claim => write!(f, "{no_job} be claimed: {reason}"),
            Attempt::Heartbeat => write!(f, "{no_claim} be prolonged: {reason}"),
            Attempt::Finish => write!(f, "{no_job} be finished: {reason}"),
            Attempt::Fail => write!(f, "{no_job} be failed: {reason}"),
            Attempt::GiveBack => write!(f, "{no_job} be given back: {reason}"),
            Attempt::Requeue => write!(f, "{no_job} be requeued: {reason}"),
            Attempt::Cancel => write!(f, "{no_job} be cancelled: {reason}"),
            Attempt::FinishAnother => {
                write!(f, "two jobs of a task cannot both be finished: {reason}")
            }
            Attempt::ClaimAnother => write!(
                f,
                "some jobs cannot run at once, and claims skip the second while the \
                 first runs: {reason}"
            ),
            Attempt::MoveTask => write!(f, "no task can be moved: {reason}"),
            Attempt::EndTask => write!(
                f,
                "no task can be ended: {reason}; if the stage has another name here, give it in \
                 the rules as `finished_stages`"
            ),
            Attempt::AddTask => match &self.needs {
                Some(needs) => write!(f, "a new task needs {needs} here: {reason}"),
                None => write!(
                    f,
                    "the gate cannot add a task here: {reason}; your own program has to add them"
                ),
            },
            Attempt::Freeze => write!(f, "no repo can be frozen: {reason}"),
            Attempt::Unfreeze => write!(f, "no freeze can be cleared: {reason}"),
            Attempt::FreezeAgain => {
                write!(f, "a repo cannot be frozen a second time: {reason}")
            }
        }?;
        match self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A reason, with the triggers that may be behind it.
pub(crate) fn with_triggers(words: &str, what: Attempt, triggers: &[String]) -> String {
    let names: Vec<&str> = triggers.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => words.into(),
        names => format!(
            "{words} (triggers on `{}`: {})",
            what.table(),
            listed(names)
        ),
    }
}

/// One line of bounded length: a CHECK may fill a page.
pub(crate) fn one_line(words: &str) -> String {
    const LONGEST: usize = 300;
    let mut line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Which kind of rule has refused a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Unique,
    Check,
    Reference,
    NotNull,
    Trigger,
    /// A trigger calls a function that is missing, or does not work.
    Function,
}

impl Broken {
    /// What helps, if the sentence about the attempt has no remedy.
    pub(crate) fn remedy(self, what: Attempt) -> Option<&'static str> {
        if !what.is_needed() {
            return None;
        }
        match self {
            Broken::Unique if what == Attempt::FreezeAgain => Some(
                "a freeze that was cleared keeps its row, so let the unique index have only rows \
                 `WHERE cleared_at IS NULL`",
            ),
            Broken::Unique => Some("drop that unique index, or leave `status` out of it"),
            Broken::Check => Some(
                "the gate writes `status` and its own columns only, so let the constraint allow \
                 that",
            ),
            Broken::Reference => Some("add the row that it refers to"),
            Broken::NotNull => None,
            Broken::Trigger => Some("let the triggers of this database allow it"),
            Broken::Function => Some("mend or drop the trigger"),
        }
    }
}

/// What a new task needs beyond a repo, in words.
pub(crate) fn needs(item: bool, (stage, agent): (&str, &str), usual: (&str, &str)) -> String {
    let mut needs = Vec::new();
    if item {
        needs.push("a work item".to_owned());
    }
    if stage != usual.0 {
        needs.push(format!("the stage `{stage}`"));
    }
    if agent != usual.1 {
        needs.push(format!("the agent `{agent}`"));
    }
    needs.join(", ")
}
