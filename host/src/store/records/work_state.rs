//! The state of a job, as people see it.
//!
//! Owns the states, decided in one match over a job's row. Leaves the lists to `work`. Callers rely
//! on this: a job that another program moved without a lease is never reported as worked on, and
//! the remains of an earlier claim are not reported for a later one.

use crate::store::Error;
use crate::store::engine::Row;
use crate::store::job::is_put_off;

/// The state of a job, or of a task by the job that matters most.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// A worker has claimed it, and its lease has not ended.
    Running,
    /// It was claimed, and its branch could not be cut, or its attempt failed. It is tried again
    /// later.
    PutOff,
    /// Its lease ended without a heartbeat. The next claim puts it back.
    Lapsed,
    /// Another program moved it without a lease. The gate does not know whether it is worked on.
    Foreign,
    /// It failed.
    Failed,
    /// It waits for a worker, or is held.
    Queued,
    /// It has ended. Of a task: every job has, and nothing runs or waits.
    Finished,
    /// The task has no job.
    #[default]
    NoJob,
}

impl WorkState {
    /// Those that a job may have.
    pub const OF_JOBS: [WorkState; 7] = [
        WorkState::Running,
        WorkState::PutOff,
        WorkState::Lapsed,
        WorkState::Foreign,
        WorkState::Failed,
        WorkState::Queued,
        WorkState::Finished,
    ];

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            WorkState::Running => "running",
            WorkState::PutOff => "put_off",
            WorkState::Lapsed => "lapsed",
            WorkState::Foreign => "foreign",
            WorkState::Failed => "failed",
            WorkState::Queued => "queued",
            WorkState::Finished => "finished",
            WorkState::NoJob => "no_job",
        }
    }
}

/// A job and its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct JobWork {
    /// Its state.
    pub state: WorkState,
    /// Its id; none where a task has no job.
    pub job_id: Option<i64>,
    /// Its task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<i64>,
    /// Its task's work item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_item_id: Option<String>,
    /// The repo it works in.
    #[serde(skip)]
    pub repo: Option<String>,
    /// Who does it.
    pub agent: Option<String>,
    /// Its status in the database.
    pub status: Option<String>,
    /// The worker that claimed it last.
    pub worker: Option<String>,
    /// How often it was claimed.
    pub attempt: Option<i64>,
    /// When it was claimed last, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// When its lease or its delay ends, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    #[schema(format = DateTime)]
    pub lease_until: Option<String>,
    /// Whether that time is over.
    #[serde(skip)]
    pub is_due: bool,
    /// What went wrong last.
    pub error: Option<String>,
}

impl JobWork {
    /// Whether it counts as running: it may be worked on.
    pub(crate) fn is_under_way(&self) -> bool {
        self.status.as_deref() == Some("running")
    }
}

/// The columns of [`job_at`]; `$1` is now. An end of a lease is compared as a claim compares it.
pub(crate) const JOB: &str = concat!(
    "jobs.id, jobs.task_id, jobs.repo, jobs.agent, jobs.status,
    jobs.gate_worker, jobs.gate_claimed_at,
    jobs.gate_lease_until, jobs.gate_error, CAST(coalesce(jobs.gate_attempt, 0) AS BIGINT),
    ",
    is_put_off!(),
    ", jobs.gate_lease_until <= $1, jobs.gate_token IS NOT NULL AND jobs.gate_outcome IS NULL"
);

/// The columns of [`state_at`], by which counts are grouped; `$1` is now.
pub(crate) const STATE: &str = concat!(
    "jobs.status, ",
    is_put_off!(),
    ", jobs.gate_lease_until <= $1"
);

pub(crate) fn state_at(row: Row<'_>, first: usize) -> Result<WorkState, Error> {
    let status = row.shown(first)?;
    Ok(state(status.as_deref(), lease_at(row, first + 1)?))
}

/// From two columns: whether it would be a delay, and whether it is over.
fn lease_at(row: Row<'_>, first: usize) -> Result<Lease, Error> {
    Ok(match row.get::<Option<bool>>(first + 1)? {
        None => Lease::None,
        Some(_) if row.get::<bool>(first)? => Lease::PutOff,
        Some(false) => Lease::GoesOn,
        Some(true) => Lease::IsOver,
    })
}

pub(crate) fn job_at(row: Row<'_>) -> Result<JobWork, Error> {
    let text = |column| row.shown(column);
    let status = text(4)?;
    let lease_until = text(7)?;
    let state = state(status.as_deref(), lease_at(row, 10)?);
    // The remains of an earlier claim do not describe a job that waits, or that another program
    // took.
    let is_claimed = match state {
        WorkState::Queued => false,
        // Only the lease was removed.
        WorkState::Foreign => row.get::<bool>(12)? && status.as_deref() == Some("running"),
        _ => true,
    };
    let is_under_way = status.as_deref() == Some("running");
    Ok(JobWork {
        state,
        job_id: Some(row.get(0)?),
        task_id: None,
        work_item_id: None,
        repo: text(2)?,
        agent: text(3)?,
        status,
        worker: text(5)?.filter(|_| is_claimed),
        attempt: Some(row.get::<i64>(9)?.clamp(0, 1_000_000)),
        since: text(6)?.filter(|_| is_claimed),
        lease_until: lease_until.filter(|_| is_under_way),
        is_due: is_under_way && row.get::<Option<bool>>(11)?.unwrap_or(false),
        error: text(8)?,
    })
}

/// A job's lease.
#[derive(Clone, Copy)]
enum Lease {
    /// There is no lease.
    None,
    /// It is a delay: the branch could not be cut, or an attempt failed.
    PutOff,
    GoesOn,
    IsOver,
}

/// The one place that decides a job's state.
fn state(status: Option<&str>, lease: Lease) -> WorkState {
    match (status, lease) {
        (Some("queued"), _) => WorkState::Queued,
        (Some("failed"), _) => WorkState::Failed,
        (Some("done" | "cancelled"), _) => WorkState::Finished,
        (Some("running"), Lease::PutOff) => WorkState::PutOff,
        (Some("running"), Lease::GoesOn) => WorkState::Running,
        (Some("running"), Lease::IsOver) => WorkState::Lapsed,
        (Some("running"), Lease::None) => WorkState::Foreign,
        (Some(other), _) if ends_a_job(other) => WorkState::Finished,
        (_, _) => WorkState::Foreign,
    }
}

/// Whether another program's status is a usual word for a job that ended well or is no longer
/// wanted.
fn ends_a_job(status: &str) -> bool {
    // The index of such jobs leaves out the same words.
    const ENDS: [&str; 10] = [
        "done",
        "complete",
        "completed",
        "finished",
        "success",
        "succeeded",
        "canceled",
        "cancelled",
        "skipped",
        "closed",
    ];
    ENDS.contains(&status.trim().to_lowercase().as_str())
}
