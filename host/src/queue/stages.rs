//! Stages that look finished and are not.
//!
//! Owns what is said of the stage that somebody gives a task. The rules alone say what is finished, by exact text; a task in
//! `Done` or `cancelled` is unfinished under the usual rules, and holds every later task of its repo for good. Nothing is
//! refused here: a stage may have any name.

use jiff::Timestamp;

use super::nearest::named;
use super::{Error, Queue, with_causes};
use crate::store::{FinishedStages, TaskOutcome};

/// What other systems call the end of a task.
const USUAL: [&str; 24] = [
    "abandoned",
    "aborted",
    "accepted",
    "archived",
    "canceled",
    "cancelled",
    "closed",
    "complete",
    "completed",
    "deployed",
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
];

/// What to say of a task that had ended before it was ended once more.
pub fn ended_note(before: TaskOutcome, now: TaskOutcome) -> String {
    match (before == now, before.name(), now.name()) {
        (true, before, _) => format!("was {before} already"),
        (false, before, now) => format!("was {before} already, and is {now} now"),
    }
}

impl Queue {
    /// How a task has ended under the rules; none if it has not, or there is no such task.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn outcome(&mut self, task: i64) -> Result<Option<TaskOutcome>, Error> {
        let finished = self.finished_stages()?;
        Ok(self.store.task_outcome(task, &finished)?)
    }

    /// What to say of a task that was brought to a stage, and of how it had ended before. The change is made by then, so
    /// that nothing here fails.
    pub fn moved_note(
        &mut self,
        now: Timestamp,
        task: i64,
        before: Option<TaskOutcome>,
        stage: &str,
    ) -> Option<String> {
        let note = self.find_moved_note(now, task, before, stage);
        note.unwrap_or_else(|error| unsaid(&error))
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
            let note = ended_note(before, TaskOutcome::Done);
            return Ok(Some(format!("it {note}")));
        }
        let repo = self.store.task(task)?.and_then(|task| task.repo);
        self.stage_note(now, repo.as_deref(), stage)
    }

    /// What to say of the first stage of a task that was added; likewise.
    pub fn first_stage_note(&mut self, now: Timestamp, repo: &str, stage: &str) -> Option<String> {
        let note = self.find_first_stage_note(now, repo, stage);
        note.unwrap_or_else(|error| unsaid(&error))
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
        self.stage_note(now, Some(repo), stage)
    }

    /// That a stage is not a finished one, where it looks like one.
    fn stage_note(
        &mut self,
        now: Timestamp,
        repo: Option<&str>,
        stage: &str,
    ) -> Result<Option<String>, Error> {
        let finished = self.finished_stages()?;
        if !looks_finished(stage, &finished) {
            return Ok(None);
        }
        let verb = if finished.all().len() == 1 {
            "is"
        } else {
            "are"
        };
        let names = named(finished.all(), " and ");
        let said = format!(
            "`{}` is not a finished stage ({names} {verb})",
            stage.escape_debug()
        );
        Ok(Some(match repo {
            Some(repo) if self.stage_holds(now, repo, stage)? => format!(
                "{said}: the task holds later tasks of `{}`",
                repo.escape_debug()
            ),
            _ => format!("{said}: the task is unfinished"),
        }))
    }
}

fn unsaid(error: &Error) -> Option<String> {
    tracing::warn!(
        "whether the stage is a finished one cannot be said: {}",
        with_causes(error)
    );
    None
}

/// Whether a stage is not finished under the rules, and people could take it to be.
fn looks_finished(stage: &str, finished: &FinishedStages) -> bool {
    if finished.contains(stage) {
        return false;
    }
    let folded = stage.trim().to_lowercase();
    let is_usual = USUAL.contains(&folded.as_str());
    is_usual
        || finished
            .all()
            .iter()
            .any(|name| is_near(&folded, &name.to_lowercase()))
}

/// A slip of one letter in a short name, and of two in a longer one.
fn is_near(stage: &str, finished: &str) -> bool {
    let most = if finished.chars().count() < 4 {
        0
    } else if finished.chars().count() < 7 {
        1
    } else {
        2
    };
    // Longer ones are no slip, and cost the square of their length.
    stage.len() <= finished.len() + 8 && strsim::osa_distance(stage, finished.trim()) <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_looks_finished_is_told_from_one_that_is() {
        let usual = FinishedStages::default();
        for stage in [
            "Done",
            "done ",
            "DONE",
            "don",
            "doen",
            "dones",
            "cancelled",
            "Merged",
            "closed",
        ] {
            assert!(looks_finished(stage, &usual), "{stage}");
        }
        for stage in [
            "done",
            "analysis",
            "development",
            "review",
            "testing",
            "deploy",
            "dev",
            "zone-2",
        ] {
            assert!(!looks_finished(stage, &usual), "{stage}");
        }
    }

    #[test]
    fn the_rules_say_what_is_finished() {
        let rules = FinishedStages::new(vec!["merged".into(), "cancelled".into()]);
        assert!(!looks_finished("merged", &rules) && !looks_finished("cancelled", &rules));
        assert!(looks_finished("done", &rules) && looks_finished("canceled", &rules));
    }
}
