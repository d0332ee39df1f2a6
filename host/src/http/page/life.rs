//! The life of a task in lines, for its page.
//!
//! Owns the words. Leaves which steps there are to the queue.

use jiff::Timestamp;
use serial_gate::queue::{Because, Step, Timeline, What};
use serial_gate::store::{AttemptEnd, PullState, TaskOutcome, sql_time};
use serial_gate::worker::branch::is_link;

use super::markup::Markup;
use super::past::what;
use super::work::{clause, task_link};
use crate::http::api::age::{age_of, in_words};

/// A step.
pub struct Line {
    pub at: Markup,
    pub class: &'static str,
    pub text: Markup,
    /// How long it lasted, or lasts.
    pub long: Option<Markup>,
    /// What more there is to say: reasons, an error.
    pub notes: Vec<Markup>,
}

/// The steps of a life, the last one first.
pub fn lines(life: &Timeline, now: Timestamp) -> Vec<Line> {
    let steps = life.steps.iter().rev();
    steps.map(|step| line(step, now)).collect()
}

fn line(step: &Step, now: Timestamp) -> Line {
    let (class, text, notes) = words(&step.what, step.until);
    let lasts = matches!(step.what, What::Waited { .. } | What::Worked { .. });
    Line {
        at: Markup::at(step.at),
        class,
        text,
        long: match step.until.filter(|_| lasts) {
            Some(until) => age_of(Some(step.at), until).map(|age| Markup::text(&in_words(age))),
            None => Markup::so_long(&sql_time(step.at), now).filter(|_| lasts),
        },
        notes,
    }
}

fn words(step: &What, until: Option<Timestamp>) -> (&'static str, Markup, Vec<Markup>) {
    match step {
        What::Added => ("quiet", clause("added"), Vec::new()),
        What::Waited {
            job,
            agent,
            because,
        } => (
            "held",
            clause(&format!(
                "job {job} for `{}` {}",
                name(agent.as_deref()),
                if until.is_some() { "waited" } else { "waits" }
            )),
            because.iter().map(reason).collect(),
        ),
        What::Worked {
            job,
            agent,
            worker,
            attempt,
            end,
            goes_on,
            error,
        } => {
            let (class, ended) = ended(*end, *goes_on, until);
            let attempt = match attempt {
                ..=1 => String::new(),
                attempt => format!(", attempt {attempt}"),
            };
            let agent = name(agent.as_deref());
            let text = format!("job {job} for `{agent}` on `{worker}`{attempt}: {ended}");
            let error = error.iter().filter(|error| !error.is_empty());
            let error = error.map(|error| Markup::sentence(error));
            (class, clause(&text), error.collect())
        }
        What::Moved { from, to, who, why } => {
            let from = name(from.as_deref());
            let text = format!("from {from} to {}, by {who}", name(to.as_deref()));
            ("quiet", clause(&text), said(Some(why)))
        }
        What::BranchCut { branch, base } => {
            let text = format!("branch `{branch}` was cut from `{base}`");
            ("quiet", clause(&text), Vec::new())
        }
        What::PullRequest { state, who, url } => {
            let (class, state) = match state {
                PullState::Open => ("quiet", "opened"),
                PullState::Merged => ("free", "merged"),
                PullState::Closed => ("failed", "closed without a merge"),
            };
            let url = url.iter().filter(|url| is_link(url));
            let url = url.map(|url| Markup::link(url, "Open it"));
            let text = format!("the pull request was {state} by `{who}`");
            (class, clause(&text), url.collect())
        }
        What::Changed(entry) => {
            let text = format!("{}, by {}", what(entry), entry.who);
            ("quiet", clause(&text), said(Some(&entry.why)))
        }
        What::Ended { outcome, who, why } => {
            let class = match outcome {
                TaskOutcome::Done => "free",
                TaskOutcome::Cancelled => "failed",
            };
            let by = who.as_ref().map(|who| format!(", by {who}"));
            let text = format!("{}{}", outcome.name(), by.unwrap_or_default());
            (class, clause(&text), said(why.as_ref()))
        }
    }
}

fn ended(
    end: Option<AttemptEnd>,
    goes_on: bool,
    until: Option<Timestamp>,
) -> (&'static str, &'static str) {
    match end {
        None if goes_on && until.is_some() => {
            ("failed", "its lease is over, and no worker has ended it")
        }
        None if goes_on => ("free", "it runs"),
        None => ("quiet", "how it ended is not known"),
        Some(AttemptEnd::Done) => ("free", "done"),
        Some(AttemptEnd::Failed) => ("failed", "failed"),
        Some(AttemptEnd::Cancelled) => ("quiet", "cancelled"),
        Some(AttemptEnd::GivenBack) => ("held", "the worker gave it back"),
        Some(AttemptEnd::PutOff) => ("held", "put off, because its branch could not be cut"),
        Some(AttemptEnd::TriedAgain) => ("failed", "failed, and is tried again"),
        Some(AttemptEnd::LeaseOver) => ("failed", "the worker fell silent, and the lease ended"),
        Some(AttemptEnd::Requeued) => ("quiet", "an operator put it back"),
    }
}

fn reason(because: &Because) -> Markup {
    match because {
        Because::EarlierTask {
            task,
            work_item,
            until,
        } => {
            let until = match until {
                Some(until) => format!("was unfinished until {}", utc(*until)),
                None => "is unfinished".into(),
            };
            task_link(*task, work_item.as_deref()).then(&until)
        }
        Because::Frozen {
            freeze,
            from,
            until,
            reason,
        } => {
            let until = match until {
                None => "now".into(),
                Some(until) => utc(*until),
            };
            let reason = reason.as_ref().map(|reason| format!(": {reason}"));
            clause(&format!(
                "the repo was frozen from {} to {until} (freeze {freeze}){}",
                utc(*from),
                reason.unwrap_or_default()
            ))
        }
        Because::MoreFreezes { count: 1 } => clause("the repo was frozen once more"),
        Because::MoreFreezes { count } => {
            clause(&format!("the repo was frozen {count} more times"))
        }
        Because::Delay => clause("the attempt before had failed or was put off"),
        Because::NoWorker { from, until } => {
            let long = age_of(Some(*from), *until).map_or_else(String::new, in_words);
            clause(&format!("no worker took it for {long}"))
        }
    }
}

fn utc(moment: Timestamp) -> String {
    format!("{} UTC", serial_gate::store::sql_time(moment))
}

fn name(name: Option<&str>) -> &str {
    name.unwrap_or("-")
}

/// What somebody gave as the reason.
fn said(why: Option<&String>) -> Vec<Markup> {
    let why = why.filter(|why| !why.is_empty()).into_iter();
    why.map(|why| Markup::sentence(why)).collect()
}
