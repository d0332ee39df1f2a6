//! Lists: tasks, jobs and freezes, newest first, a page at a time.
//!
//! Owns the query parameters. Leaves the rows and the filters to the store.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serial_gate::queue::{self, TaskDocument, TaskName, WholeJob};
use serial_gate::store::{
    FreezeFilter, JobFilter, JobStatus, ListedFreeze, ListedJob, ListedTask, PageOf, TaskFilter,
};
use utoipa::{IntoParams, ToSchema};

use super::tasks::Named;
use crate::http::app::App;
use crate::http::transport::access::Viewer;
use crate::http::transport::extract::{Json, Path, Query};
use crate::http::transport::fields::{flag, maybe_flag, maybe_number, maybe_time, number};
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

const MOST: u32 = 1_000;

fn a_page() -> u32 {
    50
}

fn page(before: Option<i64>, limit: u32) -> Result<PageOf, Problem> {
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid("`limit` is a number from 1 to 1000"));
    }
    Ok(PageOf { before, limit })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Tasks {
    /// Only this repo
    repo: Option<String>,
    /// Only this stage
    stage: Option<String>,
    /// Only tasks that are in no finished stage
    #[serde(default, deserialize_with = "flag")]
    #[param(default = false)]
    unfinished: bool,
    /// Only tasks that were added since this time
    #[serde(default, deserialize_with = "maybe_time")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only tasks before this one: the `next` of the page before
    #[serde(default, deserialize_with = "maybe_number")]
    before: Option<i64>,
    /// At most this many tasks
    #[serde(default = "a_page", deserialize_with = "number")]
    #[param(default = 50, minimum = 1, maximum = 1000)]
    limit: u32,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Jobs {
    /// Only this repo
    repo: Option<String>,
    /// Only this agent
    agent: Option<String>,
    /// Only jobs in this state: `running`, `queued`, `failed`, `finished`, `put_off`, `lapsed`,
    /// `foreign`; any other word is a status as another program writes it
    status: Option<String>,
    /// Only jobs of this task, by its id or its work item
    #[param(min_length = 1)]
    task: Option<String>,
    /// Only jobs that were added since this time
    #[serde(default, deserialize_with = "maybe_time")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only jobs before this one: the `next` of the page before
    #[serde(default, deserialize_with = "maybe_number")]
    before: Option<i64>,
    /// At most this many jobs
    #[serde(default = "a_page", deserialize_with = "number")]
    #[param(default = 50, minimum = 1, maximum = 1000)]
    limit: u32,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Freezes {
    /// Only this repo
    repo: Option<String>,
    /// Only active ones, or only cleared ones
    #[serde(default, deserialize_with = "maybe_flag")]
    active: Option<bool>,
    /// Only freezes that were made since this time
    #[serde(default, deserialize_with = "maybe_time")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only freezes before this one: the `next` of the page before
    #[serde(default, deserialize_with = "maybe_number")]
    before: Option<i64>,
    /// At most this many freezes
    #[serde(default = "a_page", deserialize_with = "number")]
    #[param(default = 50, minimum = 1, maximum = 1000)]
    limit: u32,
}

#[derive(Serialize, ToSchema)]
pub struct TaskPage {
    tasks: Vec<ListedTask>,
    /// Send it as `before` for the next page; null if this was the last one
    next: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub struct JobPage {
    jobs: Vec<ListedJob>,
    /// Send it as `before` for the next page; null if this was the last one
    next: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub struct FreezePage {
    freezes: Vec<ListedFreeze>,
    /// Send it as `before` for the next page; null if this was the last one
    next: Option<i64>,
}

/// Tasks, the newest first
///
/// A page looks at 100,000 tasks at most, so that it may be short, or empty, although `next` is
/// given.
#[utoipa::path(
    get, path = "/v1/tasks", tag = "tasks", security(("token" = ["reader"])), params(Tasks),
    responses(
        (status = 200, description = "A page", body = TaskPage),
    )
)]
pub async fn tasks(
    State(app): State<App>,
    _: Viewer,
    Query(asked): Query<Tasks>,
) -> Result<Json<TaskPage>, Problem> {
    let page = page(asked.before, asked.limit)?;
    let read = move |reader: &mut Reader| {
        let finished = match asked.unfinished {
            true => Some(reader.queue.finished_stages()?),
            false => None,
        };
        let filter = TaskFilter {
            repo: asked.repo.as_deref(),
            stage: asked.stage.as_deref(),
            unfinished: finished.as_ref(),
            since: asked.since,
        };
        Ok::<_, queue::Error>(reader.queue.store().tasks(filter, page)?)
    };
    let found = app.reader.run(read).await??;
    Ok(Json(TaskPage {
        tasks: found.rows,
        next: found.next,
    }))
}

/// A task: its branch, its jobs, what it waits for, and what operators did to it
#[utoipa::path(
    get, path = "/v1/tasks/{task}", tag = "tasks", security(("token" = ["reader"])),
    params(Named),
    responses(
        (status = 200, description = "The task", body = TaskDocument),
    )
)]
pub async fn task(
    State(app): State<App>,
    _: Viewer,
    Path(name): Path<TaskName>,
) -> Result<Json<TaskDocument>, Problem> {
    let read = move |reader: &mut Reader| {
        let id = reader.queue.task_named(&name)?;
        reader.queue.whole_task(Timestamp::now(), id)
    };
    let whole = app.reader.run(read).await??;
    Ok(Json(whole.to_document()))
}

/// Jobs, the newest first
///
/// A page looks at 100,000 jobs at most, so that it may be short, or empty, although `next` is
/// given.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs", security(("token" = ["reader"])), params(Jobs),
    responses(
        (status = 200, description = "A page", body = JobPage),
    )
)]
pub async fn jobs(
    State(app): State<App>,
    _: Viewer,
    Query(asked): Query<Jobs>,
) -> Result<Json<JobPage>, Problem> {
    let page = page(asked.before, asked.limit)?;
    let task: Option<TaskName> = match &asked.task {
        Some(name) => Some(name.parse().map_err(Problem::invalid)?),
        None => None,
    };
    let read = move |reader: &mut Reader| {
        let task = match &task {
            Some(name) => Some(reader.queue.task_named(name)?),
            None => None,
        };
        let filter = JobFilter {
            repo: asked.repo.as_deref(),
            agent: asked.agent.as_deref(),
            status: asked.status.as_deref().map(JobStatus::of),
            task,
            since: asked.since,
        };
        let now = Timestamp::now();
        Ok::<_, queue::Error>(reader.queue.store().jobs(now, filter, page)?)
    };
    let found = app.reader.run(read).await??;
    Ok(Json(JobPage {
        jobs: found.rows,
        next: found.next,
    }))
}

/// A job
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs", security(("token" = ["reader"])),
    params(("id" = i64, Path, description = "The job")),
    responses(
        (status = 200, description = "The job", body = WholeJob),
    )
)]
pub async fn job(
    State(app): State<App>,
    _: Viewer,
    Path(id): Path<i64>,
) -> Result<Json<WholeJob>, Problem> {
    let read = move |reader: &mut Reader| reader.queue.whole_job(Timestamp::now(), id);
    Ok(Json(app.reader.run(read).await??))
}

/// Freezes, active and cleared ones, the newest first
#[utoipa::path(
    get, path = "/v1/freezes", tag = "freezes", security(("token" = ["reader"])),
    params(Freezes),
    responses(
        (status = 200, description = "A page", body = FreezePage),
    )
)]
pub async fn freezes(
    State(app): State<App>,
    _: Viewer,
    Query(asked): Query<Freezes>,
) -> Result<Json<FreezePage>, Problem> {
    let page = page(asked.before, asked.limit)?;
    let read = move |reader: &mut Reader| {
        let filter = FreezeFilter {
            repo: asked.repo.as_deref(),
            active: asked.active,
            since: asked.since,
        };
        reader.queue.store().freezes(filter, page)
    };
    let found = app.reader.run(read).await??;
    Ok(Json(FreezePage {
        freezes: found.rows,
        next: found.next,
    }))
}
