//! The page for people: what runs, what waits and why, what is frozen, and the buttons of an operator.
//!
//! Owns one template, one stylesheet and a script without which the page is whole. It shows what the API tells and does
//! what the API does. Callers rely on this: whatever stands in the database is text on the page and nothing else.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serial_gate::model::{Hold, Verdict};
use serial_gate::queue::{self as gate, RepoState, State as QueueState, Waiting};
use serial_gate::store::{AuditEntry, FROZEN, GenerationEvent, GenerationState, Role, sql_time};
use utoipa::ToSchema;

use super::App;
use super::access::Caller;
use super::body::{Body, Fields};
use super::freezes::{self, Freeze, Unfreeze};
use super::policy::{self, RollBack};
use super::problem::Problem;
use super::reader::Reader;

const STYLE: &str = include_str!("../../templates/dashboard.css");
const SCRIPT: &str = include_str!("../../templates/dashboard.js");

/// How much of the policy's history is shown.
const EVENTS: usize = 20;
/// How far back the audit is searched for who froze a repo.
const AUDIT: u32 = 50;
/// How many waiting jobs of a repo are shown.
const JOBS: usize = 50;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Page {
    state: QueueState,
    repos: Vec<Repo>,
    held: usize,
    frozen: usize,
    policy: Policy,
    now: String,
    may_operate: bool,
    said: Option<String>,
}

struct Repo {
    name: String,
    active: Option<Active>,
    waiting: Vec<Job>,
    more: usize,
    held: usize,
    frozen: bool,
    freeze_id: Option<i64>,
    frozen_reason: Option<String>,
    frozen_at: Option<String>,
    frozen_by: Option<String>,
    error: Option<String>,
}

struct Active {
    name: String,
    stage: String,
    since: Option<String>,
}

struct Job {
    id: i64,
    name: String,
    reason: String,
    class: &'static str,
}

struct Policy {
    generation: i64,
    name: Option<String>,
    shadow: Option<Shadow>,
    events: Vec<GenerationEvent>,
    may_go_back: bool,
}

struct Shadow {
    generation: i64,
    looks: String,
    disagreements: usize,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    wrong: bool,
}

#[derive(Deserialize, ToSchema)]
pub struct Login {
    /// The token
    token: String,
}

/// The page
#[utoipa::path(
    get, path = "/", tag = "dashboard", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
    )
)]
pub async fn page(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Html<String>, Problem> {
    draw(&app, &caller, None).await
}

/// Close a repo, by a form
#[utoipa::path(
    post, path = "/dashboard/freeze", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = Freeze, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is frozen; the page is the next to see"),
        (status = "default", description = "It was refused; the page says why", content((String = "text/html"), (Problem = "application/problem+json"))),
    )
)]
pub async fn freeze(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Fields(form): Fields<Freeze>,
) -> Result<Response, Problem> {
    let done = freezes::freeze(State(app.clone()), Extension(caller.clone()), Body(form)).await;
    back(&app, &caller, done.map(|_| ())).await
}

/// Open a repo, by a form
#[utoipa::path(
    post, path = "/dashboard/unfreeze", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = Unfreeze, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is open; the page is the next to see"),
        (status = "default", description = "It was refused; the page says why", content((String = "text/html"), (Problem = "application/problem+json"))),
    )
)]
pub async fn unfreeze(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Fields(form): Fields<Unfreeze>,
) -> Result<Response, Problem> {
    let done = freezes::unfreeze(State(app.clone()), Extension(caller.clone()), Body(form)).await;
    back(&app, &caller, done.map(|_| ())).await
}

/// Go back to the policy before, by a form
#[utoipa::path(
    post, path = "/dashboard/rollback", tag = "dashboard", security(("token" = ["operator"])),
    request_body(content = RollBack, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is active; the page is the next to see"),
        (status = "default", description = "It was refused; the page says why", content((String = "text/html"), (Problem = "application/problem+json"))),
    )
)]
pub async fn rollback(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Fields(form): Fields<RollBack>,
) -> Result<Response, Problem> {
    let done = policy::rollback(State(app.clone()), Extension(caller.clone()), Body(form)).await;
    back(&app, &caller, done.map(|_| ())).await
}

/// Where a browser is asked for its token
#[utoipa::path(
    get, path = "/login", tag = "dashboard", security(()),
    responses((status = 200, description = "The form", body = String, content_type = "text/html"))
)]
pub async fn login_page() -> Result<Html<String>, Problem> {
    html(&LoginPage { wrong: false })
}

/// Keep a token in the browser
#[utoipa::path(
    post, path = "/login", tag = "dashboard", security(()),
    request_body(content = Login, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is kept; the page is the next to see"),
        (status = 401, description = "The token is not good", body = String, content_type = "text/html"),
    )
)]
pub async fn login(
    State(app): State<App>,
    axum::extract::ConnectInfo(from): axum::extract::ConnectInfo<std::net::SocketAddr>,
    Fields(Login { token }): Fields<Login>,
) -> Result<Response, Problem> {
    match app.access.check(&token, from) {
        Ok(_) => {
            let cookie = super::access::cookie(&token);
            Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            let page = html(&LoginPage { wrong: true })?;
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
        Err(problem) => Err(problem),
    }
}

/// The page's looks
#[utoipa::path(
    get, path = "/dashboard.css", tag = "dashboard", security(()),
    responses((status = 200, description = "The stylesheet", body = String, content_type = "text/css"))
)]
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// What keeps the page up to date
#[utoipa::path(
    get, path = "/dashboard.js", tag = "dashboard", security(()),
    responses((status = 200, description = "The script", body = String, content_type = "text/javascript"))
)]
pub async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

/// The page again: whole if it was done, and with the reason if not.
async fn back(app: &App, caller: &Caller, done: Result<(), Problem>) -> Result<Response, Problem> {
    match done {
        Ok(()) => Ok(Redirect::to("/").into_response()),
        Err(problem) => {
            let status = problem.status();
            let page = draw(app, caller, Some(problem.detail().to_owned())).await?;
            Ok((status, page).into_response())
        }
    }
}

async fn draw(app: &App, caller: &Caller, said: Option<String>) -> Result<Html<String>, Problem> {
    let may_operate = caller.role >= Role::Operator;
    let read = move |reader: &mut Reader| read(reader, may_operate, said);
    html(&app.reader.run(read).await??)
}

fn html(page: &impl Template) -> Result<Html<String>, Problem> {
    page.render()
        .map(Html)
        .map_err(|error| Problem::inside(&error))
}

fn read(reader: &mut Reader, may_operate: bool, said: Option<String>) -> Result<Page, gate::Error> {
    let now = Timestamp::now();
    let mut state = reader.state()?;
    let mut repos = Vec::new();
    for (name, found) in std::mem::take(&mut state.per_repo) {
        repos.push(repo(reader, name, found)?);
    }
    // What somebody has to do something about comes first.
    repos.sort_by_key(|repo| !repo.frozen);
    let held = repos.iter().map(|repo| repo.held).sum::<usize>() + state.others.held.len();
    Ok(Page {
        held,
        frozen: repos.iter().filter(|repo| repo.frozen).count(),
        policy: policy_of(reader)?,
        now: sql_time(now),
        state,
        repos,
        may_operate,
        said,
    })
}

const HELD: &str = "held";

fn repo(reader: &mut Reader, name: String, found: RepoState) -> Result<Repo, gate::Error> {
    let freeze_id = if found.frozen {
        let (_, freeze) = reader.queue.frozen(Some(&name));
        freeze.map(|freeze| freeze.id)
    } else {
        None
    };
    let store = reader.queue.store();
    let active = match &found.active_task {
        Some(task) => store.task(task.id)?.map(|task| Active {
            name: task
                .work_item_id
                .unwrap_or_else(|| format!("task {}", task.id)),
            stage: task.stage.unwrap_or_default(),
            since: task.since,
        }),
        None => None,
    };
    let frozen_by = if found.frozen {
        frozen_by(store.audit(Some(&name), AUDIT)?)
    } else {
        None
    };
    let waiting: Vec<Job> = found.waiting.iter().map(job).collect();
    Ok(Repo {
        active,
        more: waiting.len().saturating_sub(JOBS),
        held: waiting.iter().filter(|job| job.class == HELD).count(),
        waiting: waiting.into_iter().take(JOBS).collect(),
        frozen: found.frozen,
        freeze_id,
        frozen_reason: found.frozen_reason,
        frozen_at: found.frozen_at,
        frozen_by,
        error: found.error,
        name,
    })
}

/// Who froze a repo last, if the audit still tells.
fn frozen_by(audit: Vec<AuditEntry>) -> Option<String> {
    let mut entries = audit.into_iter();
    let entry = entries.find(|entry| entry.after.as_deref() == Some(FROZEN))?;
    Some(entry.who)
}

fn job(waiting: &Waiting) -> Job {
    let job = &waiting.job;
    let (reason, class) = match &waiting.verdict {
        Some(Verdict::Claim) => ("may be claimed".into(), "free"),
        Some(Verdict::Hold(hold)) => (reason(hold), HELD),
        None => ("not decided: see the note above".into(), HELD),
    };
    Job {
        id: job.job_id,
        name: job
            .work_item_id
            .clone()
            .or_else(|| Some(format!("task {}", job.task_id?)))
            .unwrap_or_else(|| "no task".into()),
        reason,
        class,
    }
}

/// Each reason in the order in which an operator would clear them.
fn reason(hold: &Hold) -> String {
    let reasons = [
        hold.earlier_task
            .map(|task| format!("waits for task {task}")),
        hold.freeze.map(|freeze| format!("held by freeze {freeze}")),
        hold.rule.clone(),
    ];
    reasons.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn policy_of(reader: &mut Reader) -> Result<Policy, gate::Error> {
    let store = reader.queue.store();
    let active = store.generation_in(GenerationState::Active)?;
    let shadow = store.shadow_record()?.map(|record| Shadow {
        generation: record.generation,
        looks: record.looks.to_string(),
        disagreements: record.disagreements.len(),
    });
    let mut events = store.generation_events(None)?;
    events.truncate(EVENTS);
    Ok(Policy {
        generation: active.as_ref().map_or(0, |active| active.id),
        name: active.map(|active| format!("{} {}", active.name, active.version)),
        shadow,
        events,
        may_go_back: store.generation_before()?.is_some(),
    })
}
