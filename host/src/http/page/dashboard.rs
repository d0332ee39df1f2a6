//! The page for people: what runs, what waits and why, what is frozen, and an operator's buttons.
//!
//! Owns the template, the stylesheet, and a script without which the page still works. Leaves the
//! buttons' actions to `forms`. Callers rely on this: text from the database is never markup, and
//! shows what is not seen.

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serial_gate::model::Verdict;
use serial_gate::printable::as_it_is;
use serial_gate::queue::{
    Acting, Doubt, Error, RepoState, State as QueueState, Waiting, further_words, reasons,
    until_words,
};
use serial_gate::store::{GenerationEvent, GenerationState, Role, sql_time, time_since};

use super::branch::Branch;
use super::visible::{field_value, visible};
use super::work::{FAILED, Line, Named, Tasks, lines};
use crate::http::api::age::{age, age_of, in_words};
use crate::http::app::App;
use crate::http::transport::access::{Caller, Viewer};
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

const STYLE: &str = include_str!("../../../templates/dashboard.css");
const SCRIPT: &str = include_str!("../../../templates/dashboard.js");

/// The shown entries of the policy's history.
const EVENTS: usize = 20;
/// The failed jobs whose output is shown, and how many of its letters: the page is read again after
/// each change.
const OUTPUTS: usize = 20;
const LETTERS: usize = 2_000;
/// The shown waiting jobs of each repo.
const JOBS: usize = 50;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Page {
    state: QueueState,
    /// Whether the gate is off by this service's own settings only.
    off_here: bool,
    /// Notes about the switches while the gate is on.
    switches: Vec<String>,
    repos: Vec<Repo>,
    held: usize,
    frozen: usize,
    failed: usize,
    policy: Policy,
    now: String,
    may_operate: bool,
    /// The caller, if its token came from a cookie.
    signed_in: Option<SignedIn>,
    said: Option<String>,
}

struct SignedIn {
    name: String,
    role: &'static str,
}

struct Repo {
    name: String,
    /// Why the gate does not act here although it is on.
    idle_note: Option<String>,
    active: Option<Active>,
    work: Vec<Line>,
    failed: usize,
    waiting: Vec<Job>,
    more: usize,
    held: usize,
    frozen: bool,
    freeze_id: Option<i64>,
    frozen_reason: Option<String>,
    frozen_at: Option<String>,
    /// Whether that time is in the future.
    is_ahead: bool,
    frozen_by: Option<String>,
    /// When the freeze is meant to end.
    until: Option<String>,
    /// Its older active freezes.
    further: Vec<String>,
    freeze_note: Option<String>,
    error: Option<String>,
}

struct Active {
    id: i64,
    anchor: Option<String>,
    name: String,
    stage: String,
    since: Option<String>,
    age: Option<String>,
    branch: Option<Branch>,
}

struct Job {
    id: i64,
    anchor: Option<String>,
    name: String,
    waits_for: Option<Named>,
    reason: String,
    class: &'static str,
    /// The clause's answer, if it differs.
    but: Option<&'static str>,
    age: Option<String>,
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

/// The page
#[utoipa::path(
    get, path = "/", tag = "dashboard", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
    )
)]
pub async fn page(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Result<Viewer, Problem>,
) -> Result<Response, Problem> {
    match caller {
        Ok(Viewer(caller)) => Ok(draw(&app, &caller, None).await?.into_response()),
        // A browser needs the form to send a token.
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED && is_browser(&headers) => {
            Ok(Redirect::to("/login").into_response())
        }
        Err(problem) => Err(problem),
    }
}

fn is_browser(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// The page's stylesheet
#[utoipa::path(
    get, path = "/dashboard.css", tag = "dashboard", security(()),
    responses(
        (status = 200, description = "The stylesheet", body = String, content_type = "text/css"),
    )
)]
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// The script that keeps the page up to date, also as a worker that a browser's tabs share
#[utoipa::path(
    get, path = "/dashboard.js", tag = "dashboard", security(()),
    responses(
        (status = 200, description = "The script", body = String, content_type = "text/javascript"),
    )
)]
pub async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

/// The page for a caller, with a message above it.
pub async fn draw(
    app: &App,
    caller: &Caller,
    said: Option<String>,
) -> Result<Html<Bytes>, Problem> {
    app.answers.check()?;
    let caller = caller.clone();
    // Drawing a long queue would block a thread that serves connections for too long.
    let drawn = app.reader.run(move |reader| {
        let page = read(reader, &caller, said)?;
        page.render()
            .map(|page| visible(&page))
            .map_err(Problem::bug)
    });
    Ok(Html(app.answers.hold(drawn.await??)))
}

fn read(reader: &mut Reader, caller: &Caller, said: Option<String>) -> Result<Page, Error> {
    let now = Timestamp::now();
    let mut state = reader.state()?;
    let mut repos = Vec::new();
    for (name, found) in std::mem::take(&mut state.per_repo) {
        let mut repo = repo(reader, name, found, &state, now)?;
        // If the gate is off, the page says so once, at the top.
        repo.idle_note = repo.idle_note.filter(|_| state.enabled);
        repos.push(repo);
    }
    let stored_is_on = reader.queue.stored_settings().map(|stored| stored.enabled);
    // What needs an operator comes first.
    repos.sort_by_key(|repo| {
        let is_stuck = repo.work.iter().any(|line| line.class == FAILED);
        (!repo.frozen, !is_stuck)
    });
    let failed = repos.iter_mut().flat_map(|repo| &mut repo.work);
    for line in failed.filter(|line| line.job.is_some()).take(OUTPUTS) {
        if let Some(job) = line.job {
            let output = reader.queue.store().output_of(job)?;
            line.output = output.map(|output| end_of(&output.text));
        }
    }
    let held = repos.iter().map(|repo| repo.held).sum::<usize>() + state.others.held.len();
    Ok(Page {
        held,
        frozen: repos.iter().filter(|repo| repo.frozen).count(),
        failed: repos.iter().map(|repo| repo.failed).sum(),
        policy: policy_of(reader)?,
        now: sql_time(now),
        off_here: !state.enabled && stored_is_on == Some(true),
        switches: state
            .switches
            .iter()
            .copied()
            .filter(|_| state.enabled)
            .map(sentence)
            .collect(),
        state,
        repos,
        may_operate: caller.role >= Role::Operator,
        signed_in: caller.has_cookie.then(|| SignedIn {
            name: caller.name.clone(),
            role: caller.role.name(),
        }),
        said,
    })
}

impl Repo {
    /// Its name for a form.
    fn field_value(&self) -> String {
        field_value(&self.name)
    }
}

/// The end of an output.
fn end_of(output: &str) -> String {
    let letters = output.chars().count().saturating_sub(LETTERS);
    let end: String = output.chars().skip(letters).collect();
    end.lines().collect::<Vec<_>>().join("\n")
}

pub(super) const HELD: &str = "held";

fn repo(
    reader: &mut Reader,
    name: String,
    found: RepoState,
    state: &QueueState,
    now: Timestamp,
) -> Result<Repo, Error> {
    let for_so_long = |since: Option<&str>| age(since, now).map(in_words);
    let freeze = match found.frozen {
        true => reader.queue.frozen(Some(&name)).1,
        false => None,
    };
    // The state may be older than this read.
    let freeze = freeze.filter(|freeze| Some(freeze.id) == found.freeze_id);
    let store = reader.queue.store();
    let frozen_by = match &freeze {
        Some(freeze) => store.frozen_by(&name, freeze)?,
        None => None,
    };
    let mut tasks = Tasks::of(&found, JOBS);
    let active = match &found.active_task {
        Some(active) => store.task(active.task.id)?.map(|task| Active {
            id: task.id,
            anchor: tasks.anchor(Some(task.id)),
            name: task
                .work_item_id
                .unwrap_or_else(|| format!("task {}", task.id)),
            stage: active.task.stage.clone().unwrap_or_default(),
            age: for_so_long(task.since.as_deref()),
            since: task.since,
            branch: {
                let of_task = active.task.branch.as_ref();
                of_task.map(|of_task| Branch::of(of_task, now))
            },
        }),
        None => None,
    };
    let waiting = found.waiting.iter();
    let waiting: Vec<Job> = waiting
        .map(|waiting| job(waiting, state, &mut tasks, now))
        .collect();
    Ok(Repo {
        idle_note: found.acting.and_then(Acting::note).map(sentence),
        work: lines(&name, &found),
        failed: found.jobs.as_ref().map_or(0, |jobs| jobs.failed),
        active,
        more: waiting.len().saturating_sub(JOBS),
        held: waiting.iter().filter(|job| job.class == HELD).count(),
        waiting: waiting.into_iter().take(JOBS).collect(),
        frozen: found.frozen,
        freeze_id: found.freeze_id,
        frozen_reason: found.frozen_reason,
        until: found
            .frozen_until
            .map(|until| until_words(&until, now, &as_it_is)),
        further: further_words(&found.further_freezes, now, &as_it_is),
        is_ahead: found
            .frozen_since
            .is_some_and(|since| time_since(since, now).is_none()),
        frozen_at: found.frozen_since.map(sql_time),
        frozen_by,
        freeze_note: found.freeze_note,
        error: found.error,
        name,
    })
}

/// A note that begins with a capital letter.
pub(super) fn sentence(note: &str) -> String {
    let mut letters = note.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.clone()).collect()
}

fn job(waiting: &Waiting, state: &QueueState, tasks: &mut Tasks, now: Timestamp) -> Job {
    let job = &waiting.job;
    let (reason, class) = match &waiting.verdict {
        Some(Verdict::Claim) => ("may be claimed".into(), "free"),
        Some(Verdict::Hold(hold)) => (reasons(hold, None, &waiting.doubts, &as_it_is), HELD),
        None => ("not decided: see the note above".into(), HELD),
    };
    let earlier = match &waiting.verdict {
        Some(Verdict::Hold(hold)) if !waiting.doubts.iter().any(Doubt::is_of_task) => {
            hold.earlier_task
        }
        _ => None,
    };
    Job {
        id: job.job_id,
        anchor: tasks.anchor(job.task_id),
        waits_for: earlier.map(|task| tasks.named(task)),
        name: job
            .work_item_id
            .clone()
            .or_else(|| Some(format!("task {}", job.task_id?)))
            .unwrap_or_else(|| "no task".into()),
        reason,
        class,
        but: state.beside_verdict(job.job_id),
        age: age_of(waiting.since, now).map(in_words),
    }
}

fn policy_of(reader: &mut Reader) -> Result<Policy, Error> {
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
