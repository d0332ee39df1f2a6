//! The page of one repo: what runs, its waiting line with the reasons, what is frozen, and what
//! happened before.
//!
//! Owns its template. Leaves the answers to the queue, and the buttons' actions to `forms`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serial_gate::model::Verdict;
use serial_gate::printable::as_it_is;
use serial_gate::queue::{
    Acting, Doubt, Queue, RepoState, Span, State as QueueState, Waiting, further_words, reasons,
    until_words,
};
use serial_gate::store::{PageOf, TaskFilter, TaskOutcome, time_since};
use serial_gate::worker::branch::{Project, project_of};
use utoipa::IntoParams;

use super::activity::span_of;
use super::branch::Branch;
use super::links;
use super::markup::Markup;
use super::pager::{Pager, first_page};
use super::past::{Past, past_of};
use super::pictures::{Charts, Lanes};
use super::visible::field_value;
use super::visitor::{Frame, Place, Said, Visitor};
use super::work::{Line, end_of, lines, sentence, task_link};
use crate::http::app::App;
use crate::http::transport::extract::Query;
use crate::http::transport::fields::number;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

/// The waiting jobs of one page.
const JOBS: u32 = 50;
/// The failed jobs whose output is shown, and how many of its letters.
const OUTPUTS: usize = 5;
const LETTERS: usize = 4_000;
/// The tasks that are listed, the newest ones.
const TASKS: u32 = 10;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The repo
    #[param(min_length = 1)]
    name: String,
    /// The page of its waiting line
    #[serde(default = "first_page", deserialize_with = "number")]
    #[param(default = 1)]
    page: i64,
    /// How far back its pictures go: `day` or `week`
    #[serde(default)]
    #[param(default = "day", pattern = "^(|day|week)$")]
    span: String,
}

/// What of a repo is shown.
pub struct Part {
    name: String,
    page: i64,
    span: Span,
}

impl Part {
    /// The repo as its link shows it.
    pub fn first(name: String) -> Part {
        Part {
            name,
            page: first_page(),
            span: Span::Day,
        }
    }

    fn of(asked: Asked) -> Result<Part, Problem> {
        if asked.name.is_empty() {
            return Err(Problem::invalid("no repo: give its `name`"));
        }
        Ok(Part {
            span: span_of(&asked.span)?,
            name: asked.name,
            page: asked.page,
        })
    }

    fn link(&self, page: impl ToString, span: Span) -> String {
        let page = page.to_string();
        let mut parameters = vec![("name", self.name.as_str())];
        if page != "1" {
            parameters.push(("page", &page));
        }
        if span == Span::Week {
            parameters.push(("span", "week"));
        }
        links::with_parameters("/repo", parameters)
    }
}

#[derive(Template)]
#[template(path = "repo.html")]
struct RepoPage {
    frame: Frame,
    name: String,
    /// What the caller should know, about the gate and about this repo.
    notes: Vec<Markup>,
    error: Option<String>,
    freeze: Option<Freeze>,
    active: Option<Active>,
    work: Vec<Line>,
    waiting: Vec<Job>,
    held: usize,
    /// Those about which the policy gave no answer.
    undecided: usize,
    pager: Pager,
    tasks: Vec<Task>,
    past: Past,
    is_week: bool,
    /// The links to the pictures of a day and of a week.
    day: String,
    week: String,
    charts: Charts,
    lanes: Lanes,
}

/// What is known of the repo's newest active freeze.
struct Freeze {
    id: Option<i64>,
    reason: Option<String>,
    since: Option<Markup>,
    /// Whether that time is in the future.
    is_ahead: bool,
    who: Option<String>,
    /// When it is meant to end.
    until: Option<Markup>,
    /// What else there is to know of it.
    notes: Vec<Markup>,
}

struct Active {
    link: Markup,
    id: i64,
    stage: String,
    since: Option<Markup>,
    branch: Option<Branch>,
}

struct Job {
    id: i64,
    task: Option<Markup>,
    waits_for: Option<Markup>,
    reason: Option<Markup>,
    class: &'static str,
    /// The clause's answer, if it differs.
    but: Option<&'static str>,
    since: Option<Markup>,
}

struct Task {
    link: Markup,
    stage: String,
    since: Option<Markup>,
}

impl RepoPage {
    fn heading(&self) -> Markup {
        Markup::text(&self.name)
    }

    /// The repo's name for a form.
    fn field_value(&self) -> String {
        field_value(&self.name)
    }
}

/// A repo
#[utoipa::path(
    get, path = "/repo", operation_id = "repo_page", tag = "dashboard", security(("token" = ["reader"])), params(Asked),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 304, description = "The page with this mark has not changed"),
    )
)]
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    show(&app, visitor, Part::of(asked)?, None).await
}

/// The page, with what became of a form above it.
pub async fn show(
    app: &App,
    visitor: Visitor,
    part: Part,
    said: Option<Said>,
) -> Result<Response, Problem> {
    let address = part.link(part.page, part.span);
    let frame = Frame {
        said,
        ..visitor.frame(&part.name, Place::Repos, address)
    };
    let project = project_of(&app.service.projects, Some(&part.name)).cloned();
    let read = move |reader: &mut Reader, frame| read(reader, frame, part, project.as_ref());
    visitor.page(app, frame, read).await
}

fn read(
    reader: &mut Reader,
    frame: Frame,
    part: Part,
    project: Option<&Project>,
) -> Result<RepoPage, Problem> {
    let activity = reader.activity(part.span, Some(&part.name))?;
    let history = reader.repo_history(part.span, &part.name)?;
    let queue = &mut reader.queue;
    queue.from_one_state(|queue| {
        let now = Timestamp::now();
        let name = part.name.as_str();
        let mut state = queue.state_of(now, std::slice::from_ref(&part.name))?;
        let Some(found) = state.per_repo.remove(name) else {
            return Err(Problem::bug("a state lacks the repo that it is of"));
        };
        let mut notes: Vec<Markup> = state.notes.iter().map(|note| sentence(note)).collect();
        if state.enabled {
            notes.extend(state.switches.iter().map(|note| sentence(note)));
            notes.extend(found.acting.and_then(Acting::note).map(sentence));
        } else {
            notes.push(sentence(
                "the gate is switched off: every job may be claimed",
            ));
        }
        let mut work = lines(name, &found);
        let failed = work.iter_mut().filter(|line| line.job.is_some());
        for line in failed.take(OUTPUTS) {
            if let Some((job, _)) = line.job {
                let output = queue.store().output_of(job)?;
                line.output = output.map(|output| end_of(&output.text, LETTERS));
            }
        }
        let freeze = match found.frozen {
            true => Some(freeze_of(queue, name, &found, now)?),
            false => None,
        };
        let active = match &found.active_task {
            Some(active) => queue.store().task(active.task.id)?.map(|task| Active {
                link: task_link(task.id, task.work_item_id.as_deref()),
                id: task.id,
                stage: active.task.stage.clone().unwrap_or_default(),
                since: task.since.and_then(|since| Markup::so_long(&since, now)),
                branch: {
                    let branch = active.task.branch.as_ref();
                    branch.map(|branch| Branch::of(branch, project, now))
                },
            }),
            None => None,
        };
        let verdicts = || found.waiting.iter().map(|job| &job.verdict);
        let is_hold = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Hold(_)));
        let held = verdicts().filter(is_hold).count();
        let undecided = verdicts().filter(|verdict| verdict.is_none()).count();
        let page_link = |page| part.link(page, part.span);
        let pager = Pager::of(found.waiting.len(), JOBS, part.page, page_link);
        let mut waiting = Vec::new();
        // Most of them wait for the same task.
        let mut earlier = BTreeMap::new();
        for job in pager.of_page(&found.waiting) {
            waiting.push(job_of(queue, &mut earlier, job, &state, now)?);
        }
        let filter = TaskFilter {
            repo: Some(name),
            ..TaskFilter::default()
        };
        let newest = PageOf {
            before: None,
            limit: TASKS,
        };
        let mut tasks = Vec::new();
        for task in queue.store().tasks(filter, newest)?.rows {
            let is_cancelled = queue.outcome(task.id)? == Some(TaskOutcome::Cancelled);
            tasks.push(Task {
                link: task_link(task.id, task.work_item_id.as_deref()),
                stage: match is_cancelled {
                    true => TaskOutcome::Cancelled.name().into(),
                    false => task.stage.unwrap_or_default(),
                },
                since: task.since.and_then(|since| Markup::so_long(&since, now)),
            });
        }
        Ok(RepoPage {
            frame,
            notes,
            error: found.error,
            freeze,
            active,
            work,
            held,
            undecided,
            waiting,
            pager,
            tasks,
            past: past_of(queue, name, now)?,
            is_week: part.span == Span::Week,
            day: part.link(1, Span::Day),
            week: part.link(1, Span::Week),
            charts: Charts::of(&activity, part.span, now),
            lanes: Lanes::of(&history, part.span, now),
            name: part.name,
        })
    })
}

fn freeze_of(
    queue: &mut Queue,
    name: &str,
    found: &RepoState,
    now: Timestamp,
) -> Result<Freeze, Problem> {
    let freeze = queue.frozen(Some(name)).1;
    let who = match &freeze {
        Some(freeze) => queue.store().frozen_by(name, freeze)?,
        None => None,
    };
    let effect = found.freeze_note.iter();
    let effect = effect.map(|note| sentence(&format!("frozen, but {note}")));
    let further = further_words(&found.further_freezes, now, &as_it_is);
    Ok(Freeze {
        id: found.freeze_id,
        reason: found.frozen_reason.clone(),
        since: found.frozen_since.map(|since| Markup::ago(since, now)),
        is_ahead: found
            .frozen_since
            .is_some_and(|since| time_since(since, now).is_none()),
        who,
        until: found
            .frozen_until
            .as_deref()
            .map(|until| sentence(&format!("it {}", until_words(until, now, &as_it_is)))),
        notes: effect
            .chain(further.iter().map(|note| sentence(note)))
            .collect(),
    })
}

fn job_of(
    queue: &mut Queue,
    known: &mut BTreeMap<i64, Markup>,
    waiting: &Waiting,
    state: &QueueState,
    now: Timestamp,
) -> Result<Job, Problem> {
    let job = &waiting.job;
    let (reason, class) = match &waiting.verdict {
        Some(Verdict::Claim) => ("may be claimed".into(), "free"),
        Some(Verdict::Hold(hold)) => (reasons(hold, None, &waiting.doubts, &as_it_is), "held"),
        None => ("not decided: see the note above".into(), "held"),
    };
    let earlier = match &waiting.verdict {
        Some(Verdict::Hold(hold)) if !waiting.doubts.iter().any(Doubt::is_of_task) => {
            hold.earlier_task
        }
        _ => None,
    };
    let waits_for = match earlier {
        Some(id) => {
            let task = match known.entry(id) {
                Entry::Occupied(found) => found.into_mut(),
                Entry::Vacant(new) => {
                    let task = queue.store().task(id)?;
                    let name = task.and_then(|task| task.work_item_id);
                    new.insert(task_link(id, name.as_deref()))
                }
            };
            Some(task.clone())
        }
        None => None,
    };
    Ok(Job {
        id: job.job_id,
        task: job
            .task_id
            .map(|id| task_link(id, job.work_item_id.as_deref())),
        waits_for,
        reason: Some(reason)
            .filter(|reason| !reason.is_empty())
            .map(|reason| Markup::sentence(&reason)),
        class,
        but: state.beside_verdict(job.job_id),
        since: waiting.since.map(|since| Markup::ago(since, now)),
    })
}
