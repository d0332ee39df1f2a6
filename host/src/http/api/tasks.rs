//! Tasks: an orchestrator adds, moves and cancels them.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serial_gate::queue::{self, Queue, Running, TaskName, ended_note};
use serial_gate::store::{Added, Error, NewTask, TaskOutcome, TaskRow};
use serial_gate::worker::branch;
use utoipa::{IntoParams, ToSchema};

use super::idempotency::{Key, MayBeRepeated};
use crate::http::app::App;
use crate::http::transport::access::Worker;
use crate::http::transport::extract::{Json, Path};
use crate::http::transport::fields::{given, maybe_token};
use crate::http::transport::problem::Problem;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddTask {
    /// The repo that the task changes
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    /// The name that people know the task by
    #[schema(example = "ORCH-88")]
    work_item: Option<String>,
    /// Its first stage; if left out, the pipeline's first, or `analysis`
    #[schema(min_length = 1, example = "analysis")]
    stage: Option<String>,
    /// The agent of its first job; if left out, the stage's in the pipeline, or `analyst`
    #[schema(min_length = 1, example = "analyst")]
    agent: Option<String>,
    /// A label that a policy may read
    #[schema(min_length = 1)]
    label: Option<String>,
}

/// The task of a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(
    dead_code,
    reason = "it describes the part of the path, which `TaskName` reads"
)]
pub struct Named {
    /// The task: digits are its id, anything else is its work item, and so is what follows `item:`
    #[param(min_length = 1, example = "ORCH-88")]
    task: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct ChangeTask {
    /// The new stage; a finished one, such as `done`, ends the task and cancels its queued jobs
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, example = "done")]
    stage: Option<String>,
    /// The new label; null removes it
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, min_length = 1)]
    label: Option<Option<String>>,
    /// The token of the task's running job: its holder may end the task, and the job keeps running
    #[serde(default, deserialize_with = "maybe_token")]
    token: Option<String>,
    /// End the task even if jobs of it are running: they are cancelled. Needs `reason`
    #[serde(default)]
    #[schema(default = false)]
    force: bool,
    /// Why, for the history
    #[serde(default)]
    #[schema(default = "")]
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelTask {
    /// The token of the task's running job: its holder may end the task, and the job keeps running
    #[serde(default, deserialize_with = "maybe_token")]
    token: Option<String>,
    /// Cancel the task even if jobs of it are running: they are cancelled, too. Needs `reason`
    #[serde(default)]
    #[schema(default = false)]
    force: bool,
    /// Why, for the history
    #[serde(default)]
    #[schema(default = "")]
    reason: String,
}

/// A task that was added.
#[derive(Serialize, ToSchema)]
pub struct AddedTask {
    #[serde(flatten)]
    added: Added,
    /// The name that people know the task by
    work_item_id: Option<String>,
    /// A warning: its first stage is a finished one or looks like one, or the freeze of its repo
    /// does not hold it
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A task as it is now.
#[derive(Serialize, ToSchema)]
pub struct ChangedTask {
    #[serde(flatten)]
    task: TaskRow,
    /// A warning: the stage only looks finished, or the task had ended before
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Add a task with its first job, queued
#[utoipa::path(
    post, path = "/v1/tasks", tag = "tasks", security(("token" = ["worker"])), params(MayBeRepeated),
    request_body = AddTask,
    responses(
        (status = 201, description = "It was added", body = AddedTask),
    )
)]
pub async fn add_task(
    State(app): State<App>,
    Worker(caller): Worker,
    key: Key,
    Json(task): Json<AddTask>,
) -> Result<(StatusCode, Json<AddedTask>), Problem> {
    let keyed = key.of(&caller, "POST /v1/tasks", &task)?;
    let project = branch::project_of(&app.service.projects, Some(&task.repo)).cloned();
    let add = move |queue: &mut Queue| {
        let first = queue.first_job(task.stage.as_deref(), task.agent.as_deref())?;
        let new = NewTask {
            repo: &task.repo,
            work_item: task.work_item.as_deref(),
            stage: &first.stage,
            agent: &first.agent,
            label: task.label.as_deref(),
        };
        let now = Timestamp::now();
        let request = keyed.as_ref().map(|keyed| keyed.as_repeatable());
        let added = match (&project, request) {
            (Some(project), request) => {
                let finished = queue.finished_stages()?;
                let store = queue.store_mut();
                branch::add_task_in_line(store, project, new, &finished, now, request)?
            }
            (None, Some(request)) => queue.store_mut().add_task_once(now, new, None, request)?,
            (None, None) => queue.store_mut().add_task(now, new)?,
        };
        let note = queue.added_task_note(now, new);
        let work_item_id = task.work_item.clone();
        Ok::<AddedTask, Problem>(AddedTask {
            added,
            work_item_id,
            note,
        })
    };
    let added = app.writer.change(add).await??;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Move a task to a stage, or label it
#[utoipa::path(
    patch, path = "/v1/tasks/{task}", tag = "tasks", security(("token" = ["worker"])),
    params(Named), request_body = ChangeTask,
    responses(
        (status = 200, description = "The task as it is now", body = ChangedTask),
    )
)]
pub async fn change_task(
    State(app): State<App>,
    Worker(caller): Worker,
    Path(name): Path<TaskName>,
    Json(task): Json<ChangeTask>,
) -> Result<Json<ChangedTask>, Problem> {
    if let (None, None) = (&task.stage, &task.label) {
        return Err(Problem::invalid(
            "nothing to change: give `stage` or `label`",
        ));
    }
    let change = move |queue: &mut Queue| {
        let label = task.label.as_ref().map(Option::as_deref);
        let stage = task.stage.as_deref();
        let running = running(task.token.as_deref(), task.force);
        let actor = caller.actor(&task.reason);
        let id = queue.task_named(&name)?;
        let before = queue.outcome(id)?;
        queue.change_task(actor, id, stage, label, running)?;
        let note = stage.and_then(|stage| queue.moved_note(actor.now, id, before, stage));
        row(queue, id, note)
    };
    Ok(Json(app.writer.change(change).await??))
}

/// Cancel a task: its queued jobs are cancelled, and the next task of its repo may start
#[utoipa::path(
    post, path = "/v1/tasks/{task}/cancel", tag = "tasks", security(("token" = ["worker"])),
    params(Named), request_body = CancelTask,
    responses(
        (status = 200, description = "The task as it is now", body = ChangedTask),
    )
)]
pub async fn cancel_task(
    State(app): State<App>,
    Worker(caller): Worker,
    Path(name): Path<TaskName>,
    Json(task): Json<CancelTask>,
) -> Result<Json<ChangedTask>, Problem> {
    let cancel = move |queue: &mut Queue| {
        let running = running(task.token.as_deref(), task.force);
        let id = queue.task_named(&name)?;
        let before = queue.outcome(id)?;
        queue.cancel_tasks(caller.actor(&task.reason), &[id], running)?;
        let note =
            before.map(|before| format!("it {}", ended_note(before, TaskOutcome::Cancelled)));
        row(queue, id, note)
    };
    Ok(Json(app.writer.change(cancel).await??))
}

fn running(token: Option<&str>, force: bool) -> Running<'_> {
    Running { token, force }
}

fn row(queue: &mut Queue, id: i64, note: Option<String>) -> Result<ChangedTask, queue::Error> {
    let task = queue.store().task(id)?.ok_or(Error::NoTask { id })?;
    Ok(ChangedTask { task, note })
}
