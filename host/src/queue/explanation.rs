//! The answer of `explain`, as types and as a document.
//!
//! Owns its keys. Leaves the search to `explain`.

use std::ops::Deref;

use serde::Serialize;
use utoipa::ToSchema;

use super::Doubt;
use super::advice::{Advice, AdviceDocument};
use super::pipeline::InPipeline;
use crate::observe::Contradiction;
use crate::store::{
    ActiveFreeze, FrozenDeploy, FurtherFreezes, JobOutput, JobRow, JobWork, TaskBranch, TaskRow,
    TaskWork, WorkState,
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
    /// Whether its task is in a finished stage: nothing is to be done for its branch then.
    pub task_is_over: bool,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FreezeAhead {
    /// The repo.
    pub repo: String,
    /// The freeze.
    #[serde(flatten)]
    pub freeze: ActiveFreeze,
    /// The deploy that it is about; none if people made it.
    pub deploy: Option<FrozenDeploy>,
    /// The repo's active freezes besides this one.
    #[serde(skip_serializing_if = "FurtherFreezes::are_none")]
    pub further: FurtherFreezes,
}

/// The same as a document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationDocument {
    /// The job
    job: JobRow,
    /// Whether it may be claimed
    standing: StandingName,
    /// How many claimable jobs come before a claimable one, or how many tasks a held one waits for
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<usize>,
    /// Whether it waits for more tasks than are named
    #[serde(skip_serializing_if = "Option::is_none")]
    more_ahead: Option<bool>,
    /// The tasks that it waits for, the first one first
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<Ahead>>,
    /// The newest freeze of each repo that is in its way
    #[serde(skip_serializing_if = "Option::is_none")]
    freezes: Option<Vec<FreezeAhead>>,
    /// Further reasons, in the policy's words
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<String>>,
    /// How it is
    state: WorkState,
    /// The same, and what belongs to it
    work: JobWork,
    /// What helps, the best first
    advice: Vec<AdviceDocument>,
    /// What the policy names that does not exist, or is not what the policy takes it for
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    doubts: Vec<Doubt>,
    /// The policy's two answers about it, if they differ
    #[serde(skip_serializing_if = "Option::is_none")]
    contradiction: Option<Contradiction>,
    /// Its task's branch, once that is planned
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<TaskBranch>,
    /// The last lines that its latest attempt printed, if they were kept
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<JobOutput>,
}

/// Whether a job may be claimed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StandingName {
    #[serde(rename = "not queued")]
    NotQueued,
    Claimable,
    Held,
}

impl Explanation {
    /// As a document, for machines.
    pub fn to_document(&self) -> ExplanationDocument {
        let held = match &self.standing {
            Standing::Held(held) => Some(held),
            _ => None,
        };
        let (standing, ahead) = match &self.standing {
            Standing::NotQueued => (StandingName::NotQueued, None),
            Standing::Claimable { ahead } => (StandingName::Claimable, Some(*ahead)),
            Standing::Held(held) => (StandingName::Held, Some(held.tasks.len())),
        };
        ExplanationDocument {
            job: self.job.clone(),
            standing,
            ahead,
            more_ahead: held.map(|held| held.more_tasks),
            tasks: held.map(|held| held.tasks.clone()),
            freezes: held.map(|held| held.freezes.clone()),
            rules: held.map(|held| held.rules.clone()),
            state: self.work.state,
            work: self.work.clone(),
            advice: self.advice.iter().map(Advice::to_document).collect(),
            doubts: held.map_or_else(Vec::new, |held| held.doubts.clone()),
            contradiction: self.contradiction.clone(),
            branch: self.branch.clone(),
            output: self.output.clone(),
        }
    }
}
