//! What people should know about a pipeline, and about a task that went to a stage or did not.
//!
//! Leaves a stage that looks finished to `stages`. Callers rely on this: nothing is refused here,
//! because a stage may have any name, and the change is made by then.

use jiff::Timestamp;

use super::nearest::{did_you_mean, nearest};
use super::stages::near_finished;
use super::{Error, Queue};
use crate::clause::Agents;
use crate::store::{EndedJob, MERGE, Pipeline, Stayed, Then};

impl Queue {
    /// What an operator should know about a pipeline under the rules of now.
    pub fn pipeline_notes(
        &mut self,
        now: Timestamp,
        pipeline: &Pipeline,
    ) -> Result<Vec<String>, Error> {
        let mut notes = Vec::new();
        let finished = self.finished_stages()?;
        let merge = (pipeline.then == Then::Merge).then_some(MERGE);
        let stages = pipeline.stages.iter().map(|one| one.stage.as_str());
        for stage in stages.clone().chain(merge) {
            let shown = stage.escape_debug();
            if finished.contains(stage) {
                notes.push(format!(
                    "`{shown}` of the pipeline is a finished stage: a task that comes there is over"
                ));
            } else if let Some(meant) = near_finished(stage, &finished) {
                notes.push(format!(
                    "`{shown}` of the pipeline is not a finished stage (`{}` is): a task in it \
                     holds the later ones",
                    meant.escape_debug()
                ));
            }
        }
        let gated = self.gated_agents(now);
        let is_gated = |agent: &str| is_among(&gated, agent);
        let first = pipeline.stages.first().map(|first| first.agent.as_str());
        if let Some(first) = first.filter(|first| !is_gated(first)) {
            notes.push(format!(
                "the gate does not hold jobs of `{}`, the first agent of the pipeline: no task \
                 waits for an earlier one",
                first.escape_debug()
            ));
        }
        let mut known: Vec<&str> = finished.iter().collect();
        known.extend(stages.chain(merge));
        for (stage, tasks) in self.store.tasks_outside(&known)? {
            let (tasks, them) = match tasks {
                1 => ("1 task is".to_owned(), "it"),
                tasks => (format!("{tasks} tasks are"), "them"),
            };
            notes.push(format!(
                "{tasks} in `{}`, which is not a stage of the pipeline: no job moves {them} on",
                stage.escape_debug()
            ));
        }
        Ok(notes)
    }

    /// The note about where the task of a job that ended went, or why it did not. `asked` is the
    /// stage that the worker has named. A stage of the pipeline needs no note.
    pub fn sent_note(
        &mut self,
        now: Timestamp,
        ended: &EndedJob,
        asked: Option<&str>,
    ) -> Option<String> {
        if let Some(stayed) = &ended.stayed {
            return Some(stayed.in_words().into());
        }
        let (moved, asked) = ended.moved.as_ref().zip(asked)?;
        let is_known = moved.next_job.is_some() || moved.waits_for_merge;
        if is_known {
            return None;
        }
        self.moved_note(now, moved.task_id, None, asked)
    }

    /// The note that a stage is not in the pipeline, or that no job of it waits for a task which a
    /// person has moved there.
    pub(super) fn note_by_pipeline(
        &mut self,
        stage: &str,
        moved: Option<i64>,
    ) -> Result<Option<String>, Error> {
        let Some(pipeline) = self.store.pipeline()? else {
            return Ok(None);
        };
        if pipeline.waits_for_merge(stage) {
            return Ok(None);
        }
        let Some(agent) = pipeline.agent_of(stage) else {
            let stages: Vec<String> = pipeline
                .stages
                .iter()
                .map(|one| one.stage.clone())
                .collect();
            return Ok(Some(format!(
                "the pipeline has no stage `{}`, and does not move the task on{}",
                stage.escape_debug(),
                did_you_mean(&nearest(stage, &stages))
            )));
        };
        Ok(match moved {
            Some(task) if !self.store.has_open_job(task, agent)? => Some(format!(
                "no job of `{}` waits for it there: `job add` adds one",
                agent.escape_debug()
            )),
            _ => None,
        })
    }
}

impl Stayed {
    /// In a few words.
    pub fn in_words(&self) -> &'static str {
        match self {
            Stayed::Over => "its task is over, and stays in its stage",
            Stayed::Elsewhere => {
                "its task is in the stage of another agent by now, and stays there"
            }
            Stayed::Merged => {
                "the branch of its task was merged: the task ends with its last running job"
            }
            Stayed::NotAlone { .. } => {
                "another job of its task still runs: the task ends with that"
            }
        }
    }
}

fn is_among(agents: &Agents, agent: &str) -> bool {
    let is_it = |name: &Option<String>| name.as_deref() == Some(agent);
    match agents {
        Agents::Only(named) => named.iter().any(is_it),
        Agents::AllBut(named) => !named.iter().any(is_it),
    }
}
