//! The words of an alert, the same for every channel.

use crate::queue::{Advice, frozen_words};
use crate::store::{Alert, AlertKind};

/// An alert in one line, in plain text.
pub fn text(alert: &Alert) -> String {
    let repo = alert.repo.as_deref().unwrap_or("-");
    let subject = alert.subject.unwrap_or_default();
    let note = alert.note.as_deref().unwrap_or("all repos");
    let are = if note == "1 repo" { "is" } else { "are" };
    let work_item = alert.work_item_id.clone();
    let by = Some(format!("by {}", alert.who)).filter(|_| !alert.who.is_empty());
    let (told, about) = match alert.kind {
        AlertKind::Freeze if alert.repo.is_none() => (
            format!("{note} {are} frozen"),
            [Some(format!("group {subject}")), None, by],
        ),
        AlertKind::Unfreeze if alert.repo.is_none() => (
            format!("the freezes of group {subject} are cleared, in {note}"),
            [None, by, None],
        ),
        AlertKind::FreezeOver if alert.repo.is_none() => (
            format!("{note} {are} still frozen"),
            [Some(format!("group {subject}")), None, None],
        ),
        AlertKind::FreezeOver => (
            format!("`{repo}` is still frozen"),
            [Some(format!("freeze {subject}")), None, None],
        ),
        AlertKind::Freeze => (
            frozen_words(repo, alert.note.as_deref()),
            [Some(format!("freeze {subject}")), work_item, by],
        ),
        AlertKind::Unfreeze => (format!("`{repo}` is open again"), [work_item, by, None]),
        AlertKind::Rollback => (
            format!("the policy was rolled back: generation {subject} is active again"),
            [by, None, None],
        ),
        AlertKind::JobFailed => (
            format!("job {subject} in `{repo}` failed"),
            [work_item, by, None],
        ),
        AlertKind::Waiting => (
            format!("job {subject} is the first in line in `{repo}` and has waited for long"),
            [work_item, None, None],
        ),
        AlertKind::Contradiction => (
            format!("generation {subject} of the policy contradicts itself in `{repo}`"),
            [None, None, None],
        ),
        AlertKind::LateTask => (
            format!("task {subject} of `{repo}` was added after a later one was started"),
            [work_item, None, None],
        ),
        AlertKind::Test => (
            "this is a test: the alerts of a queue arrive here".into(),
            [by, None, None],
        ),
    };
    let about: Vec<String> = about.into_iter().flatten().collect();
    let about = match about.join(", ") {
        nothing if nothing.is_empty() => nothing,
        about => format!(" ({about})"),
    };
    match alert.why.as_str() {
        "" => format!("{told}{about}"),
        why => format!("{told}{about}: {why}{}", reopen(alert).unwrap_or_default()),
    }
}

/// After a freeze whose time is over: the command that opens what it closed.
fn reopen(alert: &Alert) -> Option<String> {
    if alert.kind != AlertKind::FreezeOver {
        return None;
    }
    Some(match &alert.repo {
        Some(repo) => {
            let repo = repo.clone();
            let command = Advice::Unfreeze { repo, deploy: None }.command()?;
            format!(". If it can reopen: {command}")
        }
        None => format!(
            ". If they can reopen: serial-gate unfreeze --group {}",
            alert.subject?
        ),
    })
}
