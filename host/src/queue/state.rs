//! The state of the queue for people, as types.
//!
//! Owns the keys of `queue --json`, which are the reference's (docs/design.md, "The reference"); each
//! key that is not says so. Leaves how a state is read to `read_state`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Doubt;
use super::acting::Acting;
use super::work::{Active, JobCounts};
use crate::model::{self, Verdict};
use crate::observe::Contradiction;
use crate::store::{self, FrozenDeploy, FurtherFreezes, JobWork, WaitingJob};

/// The repos that an orchestrator knows of, whether or not they have work. Names may be missing.
pub type Registry = [Option<String>];

/// The state of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct State {
    /// The kill switch.
    pub enabled: bool,
    /// Whether a freeze holds anything.
    pub freeze_enabled: bool,
    /// The scope, as it was set.
    pub repos: String,
    /// Every known repo, by the code points of its name.
    pub per_repo: BTreeMap<String, RepoState>,
    /// Queued jobs in no waiting line: other agents', and those without a repo.
    #[serde(skip_serializing_if = "Others::are_none")]
    pub others: Others,
    /// Queued jobs about which the policy contradicts itself, up to 100. Claims follow the clause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contradictions: Vec<Contradiction>,
    /// Whether the generation that contradicted itself was rolled back because of it.
    #[serde(skip)]
    pub is_rolled_back: bool,
    /// What an operator should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Notes about the switches; none if all are on.
    #[serde(skip)]
    pub switches: Vec<&'static str>,
}

/// Queued jobs in no waiting line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Others {
    /// How many may be claimed.
    pub claimable: usize,
    /// Those that are held.
    pub held: Vec<OtherHeld>,
    /// Jobs without a repo that run or failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<JobWork>,
    /// How many more there are of these.
    #[serde(skip_serializing_if = "is_none")]
    pub more_work: usize,
    /// How many run and failed without a repo, with those of active tasks.
    #[serde(skip)]
    pub jobs: JobCounts,
}

/// A held job in no waiting line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OtherHeld {
    /// Its id.
    pub job_id: i64,
    /// Why it is held.
    #[serde(serialize_with = "model::verdict_as_json")]
    #[schema(value_type = serde_json::Value)]
    pub verdict: Option<Verdict>,
    /// What its verdict names that does not exist, or is not what the policy takes it for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub doubts: Vec<Doubt>,
}

impl State {
    /// What to add to the verdict of a job, if the policy contradicts itself about it.
    pub fn beside_verdict(&self, job: i64) -> Option<&'static str> {
        let mut found = self.contradictions.iter();
        found.find(|found| found.job == job)?.beside_verdict()
    }
}

impl Others {
    fn are_none(&self) -> bool {
        *self == Others::default()
    }

    pub(super) fn add(&mut self, job_id: i64, verdict: Verdict) {
        match verdict {
            Verdict::Claim => self.claimable += 1,
            hold @ Verdict::Hold(_) => self.held.push(OtherHeld {
                job_id,
                verdict: Some(hold),
                doubts: Vec::new(),
            }),
        }
    }
}

/// The state of one repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RepoState {
    /// The first unfinished task.
    pub active_task: Option<Active>,
    /// The queued jobs of the agents that the policy gates, claimable ones included.
    pub waiting: Vec<Waiting>,
    /// Whether the repo is frozen.
    pub frozen: bool,
    /// Why.
    pub frozen_reason: Option<String>,
    /// Since when, as the row has it: UTC, if the gate has written it.
    pub frozen_at: Option<String>,
    /// The same, if it is a time.
    #[serde(skip)]
    pub frozen_since: Option<Timestamp>,
    /// When people are reminded of that freeze, which opens nothing; not in the reference's answer.
    #[serde(
        serialize_with = "store::maybe_rfc3339",
        skip_serializing_if = "Option::is_none"
    )]
    pub frozen_until: Option<String>,
    /// The number of its newest freeze, by which an unfreeze knows it; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_id: Option<i64>,
    /// Its active freezes besides the newest one; not in the reference's answer.
    #[serde(skip_serializing_if = "FurtherFreezes::are_none")]
    pub further_freezes: FurtherFreezes,
    /// The deploy that the freeze is about; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_deploy: Option<FrozenDeploy>,
    /// Why tasks start although the repo is frozen, all or some of them; not in the reference's
    /// answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_note: Option<String>,
    /// Whether the gate acts here; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies: Option<bool>,
    /// Whether it acts by the clause in force and the exact name; none in the reference's state.
    #[serde(skip)]
    pub acting: Option<Acting>,
    /// How many jobs run and failed here; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobCounts>,
    /// Jobs that run or failed here and are not the active task's, up to twenty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_work: Vec<JobWork>,
    /// How many more there are of these.
    #[serde(skip_serializing_if = "is_none")]
    pub more_work: usize,
    /// What could not be read of this repo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A waiting job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// The job and its task.
    #[serde(flatten)]
    pub job: WaitingJob,
    /// Since when it is in the queue, if that is known: from its row, or since it was first seen at
    /// the head of its repo. Not a key of the reference's.
    #[serde(skip)]
    pub since: Option<Timestamp>,
    /// Its task's id; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<i64>,
    /// What the policy says, if it was asked and answered.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "model::verdict_as_json"
    )]
    #[schema(value_type = serde_json::Value)]
    pub verdict: Option<Verdict>,
    /// What its verdict names that does not exist, or is not what the policy takes it for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub doubts: Vec<Doubt>,
}

/// Whether a number is left out of the document.
fn is_none(number: &usize) -> bool {
    *number == 0
}
