//! The page of all repos: what needs people first, and a row a repo that opens.
//!
//! Owns its template, and the filters in its address. Leaves the order and the counts to the queue.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serial_gate::queue::{
    Overview, OverviewFilter, Queue, RepoDetails, RepoRow, RepoStanding, Sort, Totals, WithoutRepo,
};
use serial_gate::worker::branch::{Project, project_of};
use utoipa::IntoParams;

use super::links::with_parameters;
use super::markup::Markup;
use super::pager::{Pager, first_page};
use super::row::{Row, label};
use super::visitor::{Frame, Place, Visitor};
use super::work::{contradictions, sentence, task_link};
use crate::http::app::App;
use crate::http::transport::extract::Query;
use crate::http::transport::fields::number;
use crate::http::transport::problem::Problem;
use crate::http::transport::reader::Reader;

/// The repos of one page.
const REPOS: u32 = 50;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Only repos with this in their name, or in the name of their active task
    #[serde(default)]
    q: String,
    /// Only repos that are `frozen`, `failed`, `stuck`, `to_merge`, `waiting`, `running` or `idle`
    #[serde(default)]
    #[param(pattern = "^(|frozen|failed|stuck|to_merge|waiting|running|idle)$")]
    standing: String,
    /// The order: `need` (what needs people first), `name`, `waiting` (most jobs first) or `oldest`
    #[serde(default)]
    #[param(pattern = "^(|need|name|waiting|oldest)$")]
    sort: String,
    /// The page
    #[serde(default = "first_page", deserialize_with = "number")]
    #[param(default = 1)]
    page: i64,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    notes: Vec<Markup>,
    /// Each standing that a repo has, and how many have it.
    totals: Vec<Total>,
    jobs: String,
    text: String,
    standings: Vec<Choice>,
    orders: Vec<Choice>,
    /// The tasks that the search finds.
    tasks: Vec<Markup>,
    more_tasks: bool,
    rows: Vec<Row>,
    pager: Pager,
    is_empty: bool,
}

/// How many repos have a standing.
struct Total {
    label: &'static str,
    class: &'static str,
    repos: usize,
    link: String,
    is_chosen: bool,
}

/// All repos
#[utoipa::path(
    get, path = "/", operation_id = "overview_page", tag = "dashboard", security(("token" = ["reader"])), params(Asked),
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
    let (filter, page) = (asked.filter()?, asked.page);
    let address = address(&filter, filter.standing, usize::try_from(page).ok());
    let frame = visitor.frame(&title(&filter), Place::Repos, address);
    let parts = app.clone();
    let read = move |reader: &mut Reader, frame| {
        let projects = &parts.service.projects;
        let read = |queue: &mut Queue| read(queue, projects, frame, &filter, page);
        reader.queue.from_one_state(read)
    };
    visitor.page(&app, frame, read).await
}

impl Asked {
    fn filter(&self) -> Result<OverviewFilter, Problem> {
        let standing = RepoStanding::ALL
            .into_iter()
            .find(|standing| standing.name() == self.standing);
        let sort = Sort::ALL.into_iter().find(|sort| sort.name() == self.sort);
        if standing.is_none() && !self.standing.is_empty() {
            let names = RepoStanding::ALL.map(RepoStanding::name).join("`, `");
            return Err(Problem::invalid(format!("`standing` is one of `{names}`")));
        }
        if sort.is_none() && !self.sort.is_empty() {
            let names = Sort::ALL.map(Sort::name).join("`, `");
            return Err(Problem::invalid(format!("`sort` is one of `{names}`")));
        }
        Ok(OverviewFilter {
            text: Some(self.q.trim().to_owned()).filter(|text| !text.is_empty()),
            standing,
            sort: sort.unwrap_or_default(),
        })
    }
}

fn read(
    queue: &mut Queue,
    projects: &[Project],
    frame: Frame,
    filter: &OverviewFilter,
    page: i64,
) -> Result<OverviewPage, Problem> {
    let now = Timestamp::now();
    let overview = &queue.overview(now)?;
    let found = overview.filtered(filter);
    let pager = Pager::of(found.len(), REPOS, page, |page| {
        address(filter, filter.standing, Some(page))
    });
    let visible: Vec<&RepoRow> = pager.of_page(&found).copied().collect();
    let names: Vec<String> = visible.iter().map(|row| row.name.clone()).collect();
    let mut details: BTreeMap<String, RepoDetails> = queue.overview_details(now, &names)?;
    let mut rows = Vec::new();
    for row in visible {
        let details = details.remove(&row.name).unwrap_or_default();
        let effect = match row.standing {
            RepoStanding::Frozen => queue.freeze_effect(now, &row.name).note(),
            _ => None,
        };
        let project = project_of(projects, Some(&row.name));
        rows.push(Row::of(row, &details, project, effect, now));
    }
    let mut notes: Vec<Markup> = overview.notes.iter().map(|note| sentence(note)).collect();
    if overview.enabled {
        notes.extend(overview.switches.iter().map(|note| sentence(note)));
    } else {
        notes.push(sentence(
            "the gate is switched off: every job may be claimed",
        ));
    }
    let (tasks, more_tasks) = match &filter.text {
        Some(text) => tasks_of(queue, text)?,
        None => (Vec::new(), false),
    };
    notes.extend(contradictions(queue)?);
    notes.extend(without_repo(&overview.without_repo).map(|words| sentence(&words)));
    Ok(OverviewPage {
        frame,
        notes,
        totals: totals(overview, filter),
        jobs: jobs(&overview.totals),
        text: filter.text.clone().unwrap_or_default(),
        standings: standings(filter.standing),
        orders: orders(filter.sort),
        tasks,
        more_tasks,
        rows,
        pager,
        is_empty: overview.repos.is_empty(),
    })
}

/// The page's title, by which bookmarks differ.
fn title(filter: &OverviewFilter) -> String {
    let text = filter.text.as_ref().map(|text| format!(": {text}"));
    let kind = filter.standing.map_or("Repos", label);
    format!("{kind}{}", text.unwrap_or_default())
}

/// The page with this filter. Its first page needs no number.
fn address(filter: &OverviewFilter, standing: Option<RepoStanding>, page: Option<usize>) -> String {
    let number = page.filter(|page| *page > 1).map(|page| page.to_string());
    let sort = Some(filter.sort.name()).filter(|_| filter.sort != Sort::default());
    let parameters = [
        ("q", filter.text.as_deref()),
        ("standing", standing.map(RepoStanding::name)),
        ("sort", sort),
        ("page", number.as_deref()),
    ];
    let given = parameters.into_iter();
    with_parameters("/", given.filter_map(|(name, value)| Some((name, value?))))
}

/// How many repos with the searched text have each standing.
fn totals(overview: &Overview, filter: &OverviewFilter) -> Vec<Total> {
    let of_text = overview.filtered(&OverviewFilter {
        standing: None,
        ..filter.clone()
    });
    let all = Total {
        label: "All",
        class: "",
        repos: of_text.len(),
        link: address(filter, None, None),
        is_chosen: filter.standing.is_none(),
    };
    let of_standing = RepoStanding::ALL.into_iter().map(|standing| Total {
        label: label(standing),
        class: standing.name(),
        repos: of_text
            .iter()
            .filter(|row| row.standing == standing)
            .count(),
        link: address(filter, Some(standing), None),
        is_chosen: filter.standing == Some(standing),
    });
    let there_are = |total: &Total| total.repos > 0 || total.is_chosen;
    std::iter::once(all)
        .chain(of_standing.filter(there_are))
        .collect()
}

/// What a field may be set to.
struct Choice {
    name: &'static str,
    label: &'static str,
    is_chosen: bool,
}

fn standings(chosen: Option<RepoStanding>) -> Vec<Choice> {
    let choice = |standing: RepoStanding| Choice {
        name: standing.name(),
        label: label(standing),
        is_chosen: chosen == Some(standing),
    };
    RepoStanding::ALL.into_iter().map(choice).collect()
}

fn orders(chosen: Sort) -> Vec<Choice> {
    let choice = |sort: Sort| Choice {
        name: sort.name(),
        label: match sort {
            Sort::Need => "what needs people",
            Sort::Name => "name",
            Sort::Waiting => "most queued jobs",
            Sort::Oldest => "oldest queued job",
        },
        is_chosen: chosen == sort,
    };
    Sort::ALL.into_iter().map(choice).collect()
}

/// The sums of all jobs, in words.
fn jobs(totals: &Totals) -> String {
    let words = counts([
        totals.running,
        totals.waiting,
        totals.put_off,
        totals.failed,
        totals.lapsed,
        totals.foreign,
    ]);
    match words.is_empty() {
        true => "no job runs or waits".into(),
        false => format!("jobs: {words}"),
    }
}

/// The jobs without a repo, which have no row.
fn without_repo(WithoutRepo { jobs, waiting }: &WithoutRepo) -> Option<String> {
    let words = counts([
        jobs.running,
        *waiting,
        jobs.put_off,
        jobs.failed,
        jobs.lapsed,
        jobs.foreign,
    ]);
    (!words.is_empty()).then(|| {
        format!("jobs without a repo: {words}; `serial-gate queue` names those that need people")
    })
}

/// What each count of [`counts`] is of.
const COUNTED: [&str; 6] = [
    "running",
    "queued",
    "tried again later",
    "failed",
    "without a heartbeat",
    "of another program",
];

/// The counts that are not zero, in words.
fn counts(counts: [usize; 6]) -> String {
    let there_are = counts
        .into_iter()
        .zip(COUNTED)
        .filter(|(count, _)| *count > 0);
    let words: Vec<String> = there_are
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    words.join(", ")
}

/// The tasks that somebody may have searched for.
fn tasks_of(queue: &mut Queue, text: &str) -> Result<(Vec<Markup>, bool), Problem> {
    let (found, has_more) = queue.tasks_searched(text)?;
    let links = found.iter().map(|task| {
        let of = Markup::text(task.repo.as_deref().unwrap_or("no repo"));
        task_link(task.id, task.work_item_id.as_deref())
            .and(Markup::text("in"))
            .and(of)
    });
    Ok((links.collect(), has_more))
}
