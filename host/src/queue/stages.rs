//! Stages that look finished and are not.
//!
//! Owns the notes about a task's new stage. The rules alone define the finished stages, by exact
//! text: a task in `Done` or `cancelled` is unfinished under the usual rules, and holds every later
//! task of its repo for good. Leaves the change of a stage to `tasks`. Callers rely on this:
//! nothing is refused, because a stage may have any name.

use jiff::Timestamp;

use super::added::or_unsaid;
use super::freezes::joined;
use super::nearest::named;
use super::{Error, Queue};
use crate::store::{FinishedStages, TaskOutcome, WITHOUT_WORK, plain};

/// What other systems call the end of a task, in lower case letters.
const USUAL: [&str; 23] = [
    "abandoned",
    "aborted",
    "archived",
    "canceled",
    "cancelled",
    "closed",
    "complete",
    "completed",
    "discarded",
    "done",
    "dropped",
    "ended",
    "failed",
    "finished",
    "fixed",
    "merged",
    "obsolete",
    "rejected",
    "released",
    "resolved",
    "shipped",
    "success",
    "wontfix",
];

/// The subject of the notes of this file.
const WHAT: &str = "whether the stage is a finished one";

/// The verb of `task` that ends a task as its stage was probably meant.
pub(super) fn end_meant(stage: &str) -> &'static str {
    let plain = plain(stage);
    let is_meant = |name: &&str| plain == **name || is_a_slip(&plain, name);
    match WITHOUT_WORK.iter().any(is_meant) {
        true => "cancel",
        false => "done",
    }
}

/// The finished stage in which a task ends. A stage that means an end without the work is for
/// cancelled tasks only, if the rules have another stage.
pub fn stage_of(outcome: TaskOutcome, finished: &FinishedStages) -> &str {
    let done = finished.of_done();
    let cancelled = |stage: &&str| matches!(plain(stage).as_str(), "cancelled" | "canceled");
    match outcome {
        TaskOutcome::Done => done,
        TaskOutcome::Cancelled => finished
            .iter()
            .find(cancelled)
            .or_else(|| {
                let is_without_work = |stage: &&str| outcome_in(stage) == TaskOutcome::Cancelled;
                finished.iter().find(is_without_work)
            })
            .unwrap_or(done),
    }
}

/// How a task ends that is moved to this finished stage.
pub(super) fn outcome_in(stage: &str) -> TaskOutcome {
    TaskOutcome::in_stage(stage)
}

/// The note about a task that had ended before it was ended again.
pub fn ended_note(before: TaskOutcome, now: TaskOutcome) -> String {
    match (before == now, before.name(), now.name()) {
        (true, before, _) => format!("was {before} already"),
        (false, before, now) => format!("was {before}, and is {now} now"),
    }
}

impl Queue {
    /// The note about a task that was moved to a stage, and how it had ended before. Nothing fails
    /// here, because the change is made by then.
    pub fn moved_note(
        &mut self,
        now: Timestamp,
        task: i64,
        before: Option<TaskOutcome>,
        stage: &str,
    ) -> Option<String> {
        let note = self.find_moved_note(now, task, before, stage);
        or_unsaid(note, WHAT)
    }

    fn find_moved_note(
        &mut self,
        now: Timestamp,
        task: i64,
        before: Option<TaskOutcome>,
        stage: &str,
    ) -> Result<Option<String>, Error> {
        let is_end = self.finished_stages()?.contains(stage);
        if let Some(before) = before.filter(|_| is_end) {
            let note = ended_note(before, outcome_in(stage));
            return Ok(Some(format!("it {note}")));
        }
        let repo = self.store.task(task)?.and_then(|task| task.repo);
        let reopened = before.map(|before| {
            format!(
                "it was {}, and is open again: later tasks of its repo may wait for it",
                before.name()
            )
        });
        let looks = self.stage_note(now, repo.as_deref(), stage)?;
        let by_pipeline = match looks {
            None if !is_end => self.note_by_pipeline(stage, Some(task))?,
            _ => None,
        };
        Ok(joined([reopened, joined([looks, by_pipeline])]))
    }

    /// The note about the first stage of a task that was added. Nothing fails here either.
    pub fn first_stage_note(&mut self, now: Timestamp, repo: &str, stage: &str) -> Option<String> {
        let note = self.find_first_stage_note(now, repo, stage);
        or_unsaid(note, WHAT)
    }

    fn find_first_stage_note(
        &mut self,
        now: Timestamp,
        repo: &str,
        stage: &str,
    ) -> Result<Option<String>, Error> {
        if self.finished_stages()?.contains(stage) {
            return Ok(Some(format!(
                "`{}` is a finished stage: the task holds no later task",
                stage.escape_debug()
            )));
        }
        match self.stage_note(now, Some(repo), stage)? {
            None => self.note_by_pipeline(stage, None),
            note => Ok(note),
        }
    }

    /// The note that a stage is not a finished one, where it looks like one.
    fn stage_note(
        &mut self,
        now: Timestamp,
        repo: Option<&str>,
        stage: &str,
    ) -> Result<Option<String>, Error> {
        let finished = self.finished_stages()?;
        if near_finished(stage, &finished).is_none() {
            return Ok(None);
        }
        let verb = if finished.all().len() == 1 {
            "is"
        } else {
            "are"
        };
        let names = named(finished.all(), " and ");
        let what = format!(
            "`{}` is not a finished stage ({names} {verb})",
            stage.escape_debug()
        );
        let ends = format!("`task {}` ends it", end_meant(stage));
        Ok(Some(match repo {
            Some(repo) if self.stage_holds(now, repo, stage)? => format!(
                "{what}: the task holds later tasks of `{}` until {ends}",
                repo.escape_debug()
            ),
            _ => format!("{what}: the task is unfinished until {ends}"),
        }))
    }
}

/// The finished stage that was probably meant by a stage which is not finished; none if it looks
/// like work.
pub fn near_finished<'a>(stage: &str, finished: &'a FinishedStages) -> Option<&'a str> {
    if finished.contains(stage) {
        return None;
    }
    let plain = plain(stage);
    if plain.is_empty() {
        return None;
    }
    let is_meant = |name: &&str| {
        let name = self::plain(name);
        plain == name || is_a_slip(&plain, &name)
    };
    let meant = finished.iter().find(is_meant);
    meant.or_else(|| USUAL.contains(&plain.as_str()).then(|| finished.first()))
}

/// One letter of a short name, and two of a longer one, are left out, added, changed or swapped.
/// The first letter is rarely wrong, and `none` is not `done`.
fn is_a_slip(typed: &str, meant: &str) -> bool {
    let most = match meant.chars().count() {
        ..4 => return false,
        4..7 => 1,
        _ => 2,
    };
    // A longer one is no slip, and would cost the square of its length.
    let is_near = typed.len() <= meant.len() + 8;
    is_near
        && typed.chars().next() == meant.chars().next()
        && strsim::osa_distance(typed, meant) <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_looks_finished_is_told_from_one_that_is() {
        let usual = FinishedStages::default();
        for stage in [
            "Done",
            "DONE",
            "done ",
            "done\n",
            "don",
            "doen",
            "dnoe",
            "doone",
            "done.",
            "dome",
            "\u{feff}done",
            "cancelled",
            "Merged",
            "won't fix",
        ] {
            assert_eq!(near_finished(stage, &usual), Some("done"), "{stage:?}");
        }
        for stage in [
            "done",
            "",
            " ",
            "analysis",
            "development",
            "review",
            "testing",
            "deploy",
            "deployed",
            "doing",
            "dev",
            "demo",
            "none",
            "one",
            "to do",
            "open",
            "zone-2",
        ] {
            assert_eq!(near_finished(stage, &usual), None, "{stage:?}");
        }
    }

    #[test]
    fn a_task_ends_in_the_stage_that_means_its_end() {
        use TaskOutcome::{Cancelled, Done};
        for (stages, done, cancelled) in [
            (&["done"][..], "done", "done"),
            (&["done", "cancelled"], "done", "cancelled"),
            (&["Canceled", "abandoned", "merged"], "merged", "Canceled"),
            (&["abandoned", "done", "cancelled"], "done", "cancelled"),
            (&["closed", "wont-fix"], "closed", "wont-fix"),
            (&["cancelled"], "cancelled", "cancelled"),
        ] {
            let rules = FinishedStages::new(stages.iter().map(|stage| (*stage).into()).collect());
            let found = [Done, Cancelled].map(|outcome| stage_of(outcome, &rules));
            assert_eq!(found, [done, cancelled], "{stages:?}");
        }
    }

    #[test]
    fn the_rules_say_what_is_finished() {
        let rules = FinishedStages::new(vec!["merged".into(), "cancelled".into()]);
        for (stage, meant) in [
            ("merged", None),
            ("cancelled", None),
            ("done", Some("merged")),
            ("megred", Some("merged")),
            ("Canceled", Some("cancelled")),
        ] {
            assert_eq!(near_finished(stage, &rules), meant, "{stage}");
        }
    }
}
