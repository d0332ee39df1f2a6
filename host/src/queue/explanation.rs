//! The answer of `explain`, as types and as a document.
//!
//! Owns its keys. Leaves the search to `explain`.

use std::ops::Deref;

use serde_json::{Value, json};

use super::Doubt;
use super::advice::Advice;
use super::pipeline::InPipeline;
use crate::observe::Contradiction;
use crate::store::{
    ActiveFreeze, FrozenDeploy, JobOutput, JobRow, JobWork, TaskBranch, TaskRow, TaskWork,
};

/// A job, its standing, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The job.
    pub job: JobRow,
    /// Whether it may be claimed, and why not.
    pub standing: Standing,
    /// The policy's two answers about it, if they differ; the standing is then only one of them.
    pub contradiction: Option<Contradiction>,
    /// How it is.
    pub work: JobWork,
    /// What helps, the best first.
    pub advice: Vec<Advice>,
    /// Its task's branch, once that is planned.
    pub branch: Option<TaskBranch>,
    /// The last lines that its latest attempt printed, if they were kept.
    pub output: Option<JobOutput>,
}

/// Whether a job may be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was claimed, or it ended.
    NotQueued,
    /// It may be claimed, after the claimable jobs before it.
    Claimable {
        /// How many there are.
        ahead: usize,
    },
    /// It may not be claimed now.
    Held(Held),
}

/// Why a job is held. Each reason is named by the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The tasks that it waits for, first one first.
    pub tasks: Vec<Ahead>,
    /// Whether there are more tasks than are named.
    pub more_tasks: bool,
    /// The newest freeze of each repo that is in its way.
    pub freezes: Vec<FreezeAhead>,
    /// Reasons in the policy's words. What they need is not known here.
    pub rules: Vec<String>,
    /// What the policy names that does not exist, or is not what the policy takes it for.
    pub doubts: Vec<Doubt>,
    /// Whether there is a reason that no change of the gate would clear.
    pub stuck: bool,
}

/// A task that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Ahead {
    /// The task.
    #[serde(flatten)]
    pub task: TaskRow,
    /// What its jobs do.
    pub work: TaskWork,
    /// The finished stage that its stage was probably meant to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<String>,
    /// What the pipeline says of its stage.
    #[serde(skip)]
    pub in_pipeline: Option<InPipeline>,
}

impl Deref for Ahead {
    type Target = TaskRow;
    fn deref(&self) -> &TaskRow {
        &self.task
    }
}

/// A freeze that is in a job's way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FreezeAhead {
    /// The repo.
    pub repo: String,
    /// The freeze.
    #[serde(flatten)]
    pub freeze: ActiveFreeze,
    /// The deploy that it is about; none if people made it.
    pub deploy: Option<FrozenDeploy>,
}

impl Explanation {
    /// As a document, for machines.
    pub fn to_json(&self) -> Value {
        let job = &self.job;
        let mut document = match &self.standing {
            Standing::NotQueued => json!({ "job": job, "standing": "not queued" }),
            Standing::Claimable { ahead } => {
                json!({ "job": job, "standing": "claimable", "ahead": ahead })
            }
            Standing::Held(held) => json!({
                "job": job,
                "standing": "held",
                "ahead": held.tasks.len(),
                "more_ahead": held.more_tasks,
                "tasks": held.tasks,
                "freezes": held.freezes,
                "rules": held.rules,
            }),
        };
        if let Some(document) = document.as_object_mut() {
            document.insert("state".into(), json!(self.work.state));
            document.insert("work".into(), json!(self.work));
            let advice = self.advice.iter().map(Advice::to_json).collect();
            document.insert("advice".into(), Value::Array(advice));
            if let Standing::Held(held) = &self.standing
                && !held.doubts.is_empty()
            {
                document.insert("doubts".into(), json!(held.doubts));
            }
            if let Some(contradiction) = &self.contradiction {
                document.insert("contradiction".into(), json!(contradiction));
            }
            if let Some(branch) = &self.branch {
                document.insert("branch".into(), json!(branch));
            }
            if let Some(output) = &self.output {
                document.insert("output".into(), json!(output));
            }
        }
        document
    }
}
