//! The list of jobs.
//!
//! Owns what is shown of a job in a list, and the filters. Leaves the pages to `lists`, and the
//! states to `work_state`.

use jiff::Timestamp;

use super::lists::{Listing, Page, PageOf, Way};
use super::work_state::{JOB, JobWork, WorkState, job_at};
use crate::store::engine::{Row, ToValue, Tx, values};
use crate::store::indexes::{FAILED, IS_FOREIGN, LEASED, QUEUED};
use crate::store::job::{IS_FAILED, IS_QUEUED, IS_RUNNING};
use crate::store::{Error, Store, json_time, sql_time};

/// A job in a list. Times are as RFC 3339 has them; a text that is no time stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ListedJob {
    /// Its id.
    pub id: i64,
    /// Its task.
    pub task_id: Option<i64>,
    /// Its task's work item.
    pub work_item_id: Option<String>,
    /// The repo it works in.
    pub repo: Option<String>,
    /// Who does it.
    pub agent: Option<String>,
    /// How it is.
    pub state: WorkState,
    /// Its status in the database.
    pub status: Option<String>,
    /// How often it was claimed.
    pub attempt: i64,
    /// The worker that claimed it last.
    pub worker: Option<String>,
    /// When it was claimed last.
    pub claimed_at: Option<String>,
    /// When its lease or its delay ends.
    pub lease_until: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it was added.
    pub created_at: Option<String>,
}

/// Which jobs are listed: those that fit all that is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct JobFilter<'a> {
    /// That work in this repo.
    pub repo: Option<&'a str>,
    /// For this agent.
    pub agent: Option<&'a str>,
    /// In this state, or with this status.
    pub status: Option<JobStatus<'a>>,
    /// Of this task.
    pub task: Option<i64>,
    /// Added since then. A job whose time is not known is left out.
    pub since: Option<Timestamp>,
}

/// How a job is: in the gate's words, or in those of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus<'a> {
    /// A state that the gate tells from the row.
    State(WorkState),
    /// A status as the row has it.
    Status(&'a str),
}

impl<'a> JobStatus<'a> {
    /// A state by its name, any other text as a status.
    pub fn of(text: &'a str) -> JobStatus<'a> {
        let state = WorkState::OF_JOBS
            .into_iter()
            .find(|state| state.name() == text);
        state.map_or(JobStatus::Status(text), JobStatus::State)
    }
}

impl Store {
    /// A page of the jobs, the newest first.
    pub fn jobs(
        &mut self,
        now: Timestamp,
        filter: JobFilter<'_>,
        page: PageOf,
    ) -> Result<Page<ListedJob>, Error> {
        let now = sql_time(now);
        let since = filter.since.map(sql_time);
        self.read(|tx| {
            let mut list = Listing {
                table: "jobs",
                columns: columns(),
                joined: JOINED,
                values: vec![now.to_value()],
                conditions: Vec::new(),
                filters_later: matches!(filter.status, Some(JobStatus::State(_))),
            };
            if let Some(since) = &since {
                list.not_older("jobs.created_at", since);
            }
            if let Some(repo) = &filter.repo {
                list.only("jobs.repo = $V", *repo);
            }
            if let Some(agent) = &filter.agent {
                list.only("jobs.agent || '' = $V", *agent);
            }
            if let Some(task) = &filter.task {
                list.only("jobs.task_id = $V", task);
            }
            match &filter.status {
                Some(JobStatus::Status(status)) => list.only("jobs.status = $V", *status),
                Some(JobStatus::State(state)) => list.conditions.push(qualified(*state)),
                None => {}
            }
            let ways = ways(tx, &filter);
            list.page(tx, ways, page, |row| {
                let job = listed_at(row)?;
                let is_since = match filter.since {
                    None => true,
                    Some(since) => row.time(CREATED)? >= Some(since),
                };
                let is_so = match filter.status {
                    Some(JobStatus::State(state)) => job.state == state,
                    _ => true,
                };
                Ok((job.id, Some(job).filter(|_| is_since && is_so)))
            })
        })
    }

    /// A job as it is in the list.
    pub fn listed_job(&mut self, now: Timestamp, id: i64) -> Result<Option<ListedJob>, Error> {
        let sql = format!("SELECT {} FROM jobs {JOINED} WHERE jobs.id = $2", columns());
        self.read(|tx| tx.row(&sql, values![sql_time(now), id], listed_at))
    }
}

const JOINED: &str = "LEFT JOIN tasks ON tasks.id = jobs.task_id";

/// The columns after those of a job's work.
const WORK_ITEM: usize = 13;
const CREATED: usize = 14;

fn columns() -> String {
    format!("{JOB}, tasks.work_item_id, jobs.created_at")
}

/// The rows that may be in a state, as far as their status tells.
fn may_be(state: WorkState) -> String {
    match state {
        WorkState::Queued => IS_QUEUED.into(),
        WorkState::Failed => IS_FAILED.into(),
        WorkState::Running | WorkState::PutOff | WorkState::Lapsed => IS_RUNNING.into(),
        WorkState::Foreign => format!("({IS_RUNNING} OR {IS_FOREIGN})"),
        WorkState::Finished | WorkState::NoJob => {
            "coalesce(status, '') NOT IN ('queued', 'running', 'failed')".into()
        }
    }
}

/// The same beside the tasks, which may have a column of this name, too.
fn qualified(state: WorkState) -> String {
    may_be(state).replace("status", "jobs.status")
}

/// The ways to the jobs, the best first.
fn ways<'a>(tx: &dyn Tx, filter: &'a JobFilter<'a>) -> Vec<Way<'a>> {
    let mut ways = Vec::new();
    if let Some(task) = &filter.task {
        ways.push(Way {
            by_index: tx.by_index("serial_gate_jobs_task"),
            condition: "task_id = $D",
            value: Some(task.to_value()),
            is_in_order: true,
        });
    }
    let of_state = match filter.status {
        Some(JobStatus::State(state)) => Some(state),
        Some(JobStatus::Status("queued")) => Some(WorkState::Queued),
        Some(JobStatus::Status("failed")) => Some(WorkState::Failed),
        _ => None,
    };
    let by_state = match of_state {
        Some(WorkState::Queued) => Some((QUEUED, IS_QUEUED)),
        Some(WorkState::Failed) => Some((FAILED, IS_FAILED)),
        Some(WorkState::Running | WorkState::PutOff | WorkState::Lapsed) => {
            Some((LEASED, IS_RUNNING))
        }
        _ => None,
    };
    if let Some((index, condition)) = by_state {
        ways.push(Way {
            by_index: tx.by_index(index),
            condition,
            value: None,
            is_in_order: false,
        });
    }
    if let Some(agent) = &filter.agent {
        ways.push(Way {
            by_index: tx.by_index("serial_gate_jobs_agent"),
            condition: "agent || '' = $D",
            value: Some(agent.to_value()),
            is_in_order: false,
        });
    }
    if let Some(repo) = &filter.repo {
        ways.push(Way {
            by_index: tx.by_index("serial_gate_jobs_repo"),
            condition: "repo = $D",
            value: Some(repo.to_value()),
            is_in_order: true,
        });
    }
    if of_state == Some(WorkState::Queued) {
        ways.push(Way {
            by_index: tx.by_index(QUEUED),
            condition: IS_QUEUED,
            value: None,
            is_in_order: true,
        });
    }
    ways
}

fn listed_at(row: Row<'_>) -> Result<ListedJob, Error> {
    let job: JobWork = job_at(row)?;
    let time = |text: Option<String>| text.map(|text| json_time(&text));
    Ok(ListedJob {
        id: job.job_id.unwrap_or_default(),
        task_id: row.id(1)?,
        work_item_id: row.shown(WORK_ITEM)?,
        repo: job.repo,
        agent: job.agent,
        state: job.state,
        status: job.status,
        attempt: job.attempt.unwrap_or_default(),
        worker: job.worker,
        claimed_at: time(job.since),
        lease_until: time(job.lease_until),
        error: job.error,
        created_at: row.moment(CREATED)?,
    })
}
