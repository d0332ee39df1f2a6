//! What a claim is asked for, and what it gives.

use std::time::Duration;

use jiff::Timestamp;

use super::Claim;
use crate::clause::{Agents, Rendered, Table};

/// For whom and until when a job is claimed.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// The worker's name.
    pub worker: &'a str,
    /// The agents whose jobs it does; without any, those of every agent.
    pub agents: &'a [String],
    /// The generation that made the clause, if one did.
    pub generation: Option<i64>,
    /// Now.
    pub now: Timestamp,
    /// After how long without a heartbeat the job goes back to the queue.
    pub lease: Duration,
}

impl<'a> Lease<'a> {
    /// The agents to look for, one after the other; `None` is every agent.
    pub(crate) fn each_agent(self) -> impl Iterator<Item = Option<&'a str>> {
        let every = self.agents.is_empty().then_some(None);
        let each = self.agents.iter().map(|agent| Some(agent.as_str()));
        every.into_iter().chain(each)
    }
}

/// A clause, as a claim uses it that looks at one queued job after another.
#[derive(Debug, Clone, Copy)]
pub struct Scanned<'a> {
    /// What runs.
    pub clause: &'a Rendered,
    /// The clause's digest.
    pub digest: &'a str,
    /// The agents whose jobs it may hold.
    pub gated: &'a Agents,
    /// Whether it reads rows of the job's own repo only.
    pub reads_own_repo_only: bool,
}

/// A clause whose shape allows an index of heads.
#[derive(Debug, Clone, Copy)]
pub struct Shaped<'a> {
    /// What runs.
    pub clause: &'a Rendered,
    /// The clause's digest.
    pub digest: &'a str,
    /// The agents whose jobs it may hold.
    pub gated: &'a Agents,
    /// The tables of its sub-selects.
    pub reads: &'a [Table],
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Claimed {
    /// The job.
    pub id: i64,
    /// Its task.
    pub task_id: Option<i64>,
    /// Its task's work item.
    pub work_item_id: Option<String>,
    /// The repo it works in.
    pub repo: Option<String>,
    /// Who does it.
    pub agent: Option<String>,
    /// How often the job was claimed, this time included.
    pub attempt: i64,
    /// What the worker shows to finish the job, to fail it or to keep it. Random, and new with
    /// every claim.
    pub token: String,
    /// For other systems, which refuse a late worker by it: greater than that of every earlier
    /// claim of the job, and below 2^53.
    pub fence: i64,
    /// The worker.
    pub worker: String,
    /// When the job goes back to the queue without a heartbeat, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
    #[schema(format = DateTime)]
    pub lease_until: String,
    /// The generation that let it through; none if its settings were overridden, or no policy's
    /// clause was in force.
    pub generation: Option<i64>,
}

impl Claimed {
    /// The claim, as its holder shows it.
    pub fn claim(&self) -> Claim<'_> {
        Claim {
            job: self.id,
            token: &self.token,
        }
    }
}

/// What a claim by heads comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadClaim {
    /// A job.
    Claimed(Claimed),
    /// No queued job may be claimed.
    Nothing,
    /// The heads could not be found in time (progress is kept), or the clause exceeds its budget
    /// for one repo.
    NotReady,
}
