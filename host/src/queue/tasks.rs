//! Tasks that move to another stage, end, or are cancelled.
//!
//! Owns which of these a change is: the rules say which stages are finished. Leaves the rows, the
//! jobs that end with a task and the audit to the store.

use jiff::Timestamp;

use super::stages::{outcome_in, stage_of};
use super::{Error, Queue, Running};
use crate::gate::finished_stages;
use crate::store::{Actor, FinishedStages, Hook, HookEffect, Move, TaskEnd, TaskOutcome};

impl Queue {
    /// The stages in which a task is finished, as the rules have them now.
    pub fn finished_stages(&mut self) -> Result<FinishedStages, Error> {
        let settings = self.gate.settings_now(&mut self.store)?;
        Ok(finished_stages(&settings))
    }

    /// How a task has ended under the rules; none if it has not, or there is no such task.
    pub fn outcome(&mut self, task: i64) -> Result<Option<TaskOutcome>, Error> {
        let finished = self.finished_stages()?;
        let outcome = self.store.task_outcome(task, &finished)?;
        if outcome != Some(TaskOutcome::Done) {
            return Ok(outcome);
        }
        // Another program may have moved it to a stage that says more.
        let stage = self.store.task(task)?.and_then(|task| task.stage);
        Ok(Some(stage.as_deref().map_or(TaskOutcome::Done, outcome_in)))
    }

    /// Whether a task that is moved to this stage is done.
    pub fn ends_as_done(&mut self, stage: &str) -> Result<bool, Error> {
        let is_finished = self.finished_stages()?.contains(stage);
        Ok(is_finished && outcome_in(stage) == TaskOutcome::Done)
    }

    /// Moves tasks to a stage, all of them or none, with a row in the audit for each. A finished
    /// stage ends them, as [`Store::end_tasks`](crate::store::Store::end_tasks) does. Fails when
    /// the stage is empty, a task does not exist, or it would end while a job of it runs.
    pub fn move_tasks(
        &mut self,
        actor: Actor<'_>,
        ids: &[i64],
        stage: &str,
        running: Running<'_>,
    ) -> Result<(), Error> {
        match self.move_to(stage, running)? {
            Move::To(stage) => Ok(self.store.set_stage_by(actor, ids, stage)?),
            Move::End(end) => Ok(self.store.end_tasks(actor, ids, end)?),
        }
    }

    /// Moves a task to a stage and marks it, both or neither. What is not given stays as it is.
    /// Fails as [`Queue::move_tasks`] does, and when the mark is empty.
    pub fn change_task(
        &mut self,
        actor: Actor<'_>,
        id: i64,
        stage: Option<&str>,
        label: Option<Option<&str>>,
        running: Running<'_>,
    ) -> Result<(), Error> {
        let moved = stage
            .map(|stage| self.move_to(stage, running))
            .transpose()?;
        Ok(self.store.change_task(actor, id, moved, label)?)
    }

    /// Cancels tasks, all of them or none, with a row in the audit for each. Fails as
    /// [`Queue::move_tasks`] does.
    pub fn cancel_tasks(
        &mut self,
        actor: Actor<'_>,
        ids: &[i64],
        running: Running<'_>,
    ) -> Result<(), Error> {
        let finished = self.finished_stages()?;
        let end = TaskEnd {
            outcome: TaskOutcome::Cancelled,
            stage: stage_of(TaskOutcome::Cancelled, &finished),
            running,
        };
        Ok(self.store.end_tasks(actor, ids, end)?)
    }

    /// Takes a delivery of a forge's webhook, as
    /// [`Store::take_hook`](crate::store::Store::take_hook) does under the rules of now.
    pub fn take_hook(&mut self, now: Timestamp, hook: Hook<'_>) -> Result<HookEffect, Error> {
        let finished = self.finished_stages()?;
        Ok(self.store.take_hook(now, hook, &finished)?)
    }

    fn move_to<'a>(&mut self, stage: &'a str, running: Running<'a>) -> Result<Move<'a>, Error> {
        let finished = self.finished_stages()?;
        Ok(if finished.contains(stage) {
            Move::End(TaskEnd {
                outcome: outcome_in(stage),
                stage,
                running,
            })
        } else {
            Move::To(stage)
        })
    }
}
