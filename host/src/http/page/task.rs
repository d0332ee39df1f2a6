//! The page of one task: where it is, what it waits for, its branch, and its jobs.
//!
//! Owns its template. Leaves the answers to the queue, and the buttons' actions to `forms`.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serial_gate::printable::as_it_is;
use serial_gate::queue::{Advice, Ahead, Explanation, Held, Queue, Standing};
use serial_gate::store::{ListedJob, TaskBranch, TaskOutcome, WorkState};
use serial_gate::worker::branch::{Project, project_of};

use super::branch::Branch;
use super::life::{Line, lines};
use super::links;
use super::markup::Markup;
use super::visitor::{Frame, Place, Said, Visitor};
use super::work::{clause, end_of, named, sentence, short};
use crate::http::app::App;
use crate::http::transport::extract::Path;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

/// The jobs whose output is shown, the newest ones, and how many of its letters.
const OUTPUTS: usize = 3;
const LETTERS: usize = 10_000;

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    id: i64,
    name: String,
    /// Where the tracker shows its work item.
    work_item_url: Option<String>,
    repo: Option<Markup>,
    stage: Option<String>,
    since: Option<Markup>,
    added: Option<Markup>,
    label: Option<String>,
    outcome: Option<&'static str>,
    branch: Option<Branch>,
    waiting: Option<Why>,
    /// Why it is not known what it waits for.
    not_explained: Option<Markup>,
    /// What continues it, and the command, the best first.
    advice: Vec<(Markup, Option<String>)>,
    jobs: Vec<Job>,
    more_jobs: bool,
    life: Vec<Line>,
    is_cut: bool,
}

/// What the task's first queued job waits for.
struct Why {
    job: i64,
    class: &'static str,
    reasons: Vec<Markup>,
    advice: Vec<(Markup, Option<String>)>,
}

struct Job {
    id: i64,
    agent: String,
    state: &'static str,
    class: &'static str,
    attempt: i64,
    worker: Option<String>,
    queued: Option<Markup>,
    claimed: Option<Markup>,
    lease: Option<Markup>,
    /// When it is tried again.
    again: Option<Markup>,
    error: Option<String>,
    output: Option<String>,
    may_be_put_back: bool,
}

/// A task
#[utoipa::path(
    get, path = "/tasks/{id}", operation_id = "task_page", tag = "dashboard", security(("token" = ["reader"])),
    params(("id" = i64, Path, description = "The task")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 304, description = "The page with this mark has not changed"),
    )
)]
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    show(&app, visitor, id, None).await
}

/// The page, with what became of a form above it.
pub async fn show(
    app: &App,
    visitor: Visitor,
    id: i64,
    said: Option<Said>,
) -> Result<Response, Problem> {
    let title = format!("task {id}");
    let frame = Frame {
        said,
        ..visitor.frame(&title, Place::Elsewhere, links::task(id))
    };
    let parts = app.clone();
    let read = move |reader: &mut Reader, frame| {
        let projects = &parts.service.projects;
        let read = |queue: &mut Queue| read(queue, projects, frame, id);
        reader.queue.from_one_state(read)
    };
    visitor.page(app, frame, read).await
}

fn read(
    queue: &mut Queue,
    projects: &[Project],
    mut frame: Frame,
    id: i64,
) -> Result<TaskPage, Problem> {
    let now = Timestamp::now();
    let whole = queue.whole_task(now, id)?;
    let mut jobs = Vec::new();
    let is_merged = whole.branch.as_ref().is_some_and(TaskBranch::is_merged);
    // The newest are first: a job with a later one of its agent was replaced.
    let mut replaced = BTreeSet::new();
    for (place, job) in whole.jobs.into_iter().enumerate() {
        let is_last = replaced.insert(job.agent.clone());
        let output = match place < OUTPUTS {
            true => queue.store().output_of(job.id)?,
            false => None,
        };
        let output = output.map(|output| end_of(&output.text, LETTERS));
        let may_go_on = is_last && whole.outcome.is_none() && !is_merged;
        jobs.push(job_of(job, output, may_go_on, now));
    }
    let life = queue.timeline(now, id)?;
    let task = whole.task;
    let name = short(id, task.work_item_id.as_deref());
    frame.title.clone_from(&name);
    let project = project_of(projects, task.repo.as_deref());
    let work_item = task.work_item_id.as_deref();
    let ago = |time: Option<String>| time.map(|time| Markup::ago_text(&time, now));
    Ok(TaskPage {
        frame,
        id,
        name,
        work_item_url: project
            .zip(work_item)
            .and_then(|(project, work_item)| project.link_of_work_item(work_item)),
        repo: task
            .repo
            .map(|repo| Markup::link(&links::repo(&repo), &repo)),
        stage: task.stage,
        since: task.since.and_then(|since| Markup::so_long(&since, now)),
        added: ago(task.created_at),
        label: task.label,
        outcome: whole.outcome.map(TaskOutcome::name),
        branch: whole.branch.map(|branch| Branch::of(&branch, project, now)),
        waiting: whole.waiting.as_ref().map(why),
        not_explained: whole
            .not_explained
            .map(|problem| sentence(&format!("it is not known what it waits for: {problem}"))),
        advice: whole.advice.iter().map(advised).collect(),
        jobs,
        more_jobs: whole.more_jobs,
        life: lines(&life, now),
        is_cut: life.is_cut,
    })
}

fn job_of(job: ListedJob, output: Option<String>, may_go_on: bool, now: Timestamp) -> Job {
    let is_running = matches!(job.state, WorkState::Running | WorkState::Lapsed);
    let (state, class) = match job.state {
        WorkState::Running => ("running", "free"),
        WorkState::PutOff => ("tried again later", "held"),
        WorkState::Lapsed => ("lease over", "failed"),
        WorkState::Foreign => ("another program has it", "failed"),
        WorkState::Failed => ("failed", "failed"),
        WorkState::Queued => ("queued", "held"),
        WorkState::Finished | WorkState::NoJob => ("ended", "quiet"),
    };
    let may_be_put_back =
        matches!(job.state, WorkState::Failed | WorkState::Lapsed) || is(&job, "cancelled");
    let is_cancelled = is(&job, "cancelled");
    let is_put_off = job.state == WorkState::PutOff;
    let until = job.lease_until.clone().filter(|_| is_put_off);
    let ago = |time: Option<String>| time.map(|time| Markup::ago_text(&time, now));
    Job {
        id: job.id,
        agent: job.agent.unwrap_or_else(|| "-".into()),
        state: match state {
            "ended" if is_cancelled => "cancelled",
            "ended" => "done",
            state => state,
        },
        class,
        attempt: job.attempt,
        worker: job.worker,
        queued: ago(job.created_at),
        claimed: ago(job.claimed_at),
        lease: job
            .lease_until
            .filter(|_| is_running)
            .map(|until| Markup::at_text(&until)),
        again: until.map(|until| Markup::at_text(&until)),
        error: job.error.filter(|error| !error.is_empty()),
        output,
        may_be_put_back: may_be_put_back && may_go_on,
    }
}

fn is(job: &ListedJob, status: &str) -> bool {
    job.status.as_deref() == Some(status)
}

fn why(explanation: &Explanation) -> Why {
    let (class, reasons) = match &explanation.standing {
        Standing::Held(held) => ("held", of_held(held)),
        Standing::Claimable { ahead: 0 } => (
            "free",
            vec![sentence("it may be claimed: the next worker takes it")],
        ),
        Standing::Claimable { ahead } => {
            let others = match ahead {
                1 => "another one".into(),
                ahead => format!("{ahead} others"),
            };
            let words = format!("it may be claimed, after {others} that may be claimed");
            ("free", vec![sentence(&words)])
        }
        Standing::NotQueued => ("quiet", Vec::new()),
    };
    let contradiction = explanation.contradiction.as_ref();
    let but = contradiction.and_then(|found| found.beside_verdict());
    Why {
        job: explanation.job.id,
        class,
        reasons: reasons.into_iter().chain(but.map(sentence)).collect(),
        advice: explanation.advice.iter().map(advised).collect(),
    }
}

fn advised(advice: &Advice) -> (Markup, Option<String>) {
    (clause(&advice.in_words(&as_it_is)), advice.command())
}

fn of_held(held: &Held) -> Vec<Markup> {
    let mut reasons: Vec<Markup> = held.tasks.iter().map(of_ahead).collect();
    if held.more_tasks {
        reasons.push(sentence("more tasks are ahead of it"));
    }
    reasons.extend(held.freezes.iter().map(|ahead| {
        let reason = ahead.freeze.reason.as_deref().unwrap_or_default();
        let words = format!("is frozen: {}", reason);
        Markup::link(&links::repo(&ahead.repo), &ahead.repo).then(&words)
    }));
    reasons.extend(held.rules.iter().map(|rule| sentence(rule)));
    reasons.extend(held.doubts.iter().map(|doubt| {
        sentence(&format!(
            "the policy names {}",
            as_it_is(&doubt.to_string())
        ))
    }));
    reasons
}

fn of_ahead(ahead: &Ahead) -> Markup {
    let task = &ahead.task;
    let stage = task.stage.as_deref().unwrap_or_default();
    let work = ahead.work.first.in_words(&as_it_is);
    let words = format!("in {stage} comes first: {work}");
    let name = named(task.id, task.work_item_id.as_deref());
    Markup::link(&links::task(task.id), &name).then(&words)
}
