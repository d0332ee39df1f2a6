//! `task list` and `job list`: rows, newest first, with filters.
//!
//! Owns the flags and the tables. Leaves the rows, the filters and the JSON, which is that of
//! `GET /v1/tasks` and `GET /v1/jobs`, to the store.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serial_gate::queue::{Queue, TaskName};
use serial_gate::store::{JobFilter, JobStatus, ListedJob, ListedTask, Page, PageOf, TaskFilter};

use super::Error;
use super::options::{Shared, at_least, numbered, past};
use super::output::Report;
use super::text::{moment_or_dash, shown_or_dash, state_word, task_name};

/// How often the store is asked for one list. It looks at a bounded number of rows each time.
const LOOKS: usize = 20;

/// List tasks, the newest first
#[derive(Args)]
#[command(after_help = "\
Examples:
  serial-gate task list --repo alpha --unfinished
  serial-gate task list --since 2h --json")]
pub struct TaskList {
    /// Only this repo
    #[arg(long, value_parser = super::text::repo)]
    repo: Option<String>,
    /// Only this stage
    #[arg(long)]
    stage: Option<String>,
    /// Only tasks that are in no finished stage
    #[arg(long)]
    unfinished: bool,
    #[command(flatten)]
    range: Range,
}

/// List jobs, the newest first
#[derive(Args)]
#[command(after_help = "\
The states are `running`, `queued`, `failed`, `finished` (shown as `done` or
`cancelled`), `put_off` (its branch could not be cut), `lapsed` (nothing was heard from
its worker) and `foreign` (another program moved it). Any other word is a status as
another program writes it.

Examples:
  serial-gate job list --status failed
  serial-gate job list --repo alpha --agent developer --since 2026-11-28T06:00:00Z")]
pub struct JobList {
    /// Only this repo
    #[arg(long, value_parser = super::text::repo)]
    repo: Option<String>,
    /// Only this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only jobs in this state
    #[arg(long, value_name = "STATE")]
    status: Option<String>,
    /// Only jobs of this task, by its id or its work item
    #[arg(long, allow_negative_numbers = true, value_parser = task_name)]
    task: Option<TaskName>,
    #[command(flatten)]
    range: Range,
}

/// Which rows of a list.
#[derive(Args)]
pub(super) struct Range {
    /// Only what was added since this time: `2026-11-28T06:00:00Z`, or `2h` for the last two hours
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub since: Option<Timestamp>,
    /// Show the newest N
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = at_least(1u32))]
    limit: u32,
    /// Only what has a lower id than this: the next page
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    #[arg(value_parser = numbered)]
    before: Option<i64>,
}

#[derive(Serialize)]
struct Tasks<'a> {
    tasks: &'a [ListedTask],
    next: Option<i64>,
}

#[derive(Serialize)]
struct Jobs<'a> {
    jobs: &'a [ListedJob],
    next: Option<i64>,
}

impl Range {
    /// Reads until the list is full.
    pub fn read<T>(
        &self,
        mut read: impl FnMut(PageOf) -> Result<Page<T>, Error>,
    ) -> Result<Page<T>, Error> {
        let mut all = Page {
            rows: Vec::new(),
            next: self.before,
        };
        for _ in 0..LOOKS {
            let read_so_far = u32::try_from(all.rows.len()).unwrap_or(u32::MAX);
            let page = read(PageOf {
                before: all.next,
                limit: self.limit.saturating_sub(read_so_far),
            })?;
            all.rows.extend(page.rows);
            all.next = page.next;
            if all.next.is_none() || all.rows.len() >= self.limit as usize {
                break;
            }
        }
        Ok(all)
    }

    /// Says that there is more.
    pub fn describe_more(&self, next: Option<i64>, report: &mut Report) {
        if let Some(next) = next {
            report.line(format!("more: --before {next}, or a higher --limit"));
        }
    }
}

/// The note about a repo that may be mistyped.
fn unknown_repo(queue: &mut Queue, repo: Option<&str>) -> Result<Option<String>, Error> {
    let note = repo.map(|repo| queue.unknown_repo(repo)).transpose()?;
    Ok(note.flatten())
}

impl TaskList {
    pub fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let finished = queue.finished_stages()?;
        let filter = TaskFilter {
            repo: self.repo.as_deref(),
            stage: self.stage.as_deref(),
            unfinished: Some(&finished).filter(|_| self.unfinished),
            since: self.range.since,
        };
        let page = self
            .range
            .read(|page| Ok(queue.store().tasks(filter, page)?))?;
        let mut report = shared.report();
        report.json(&Tasks {
            tasks: &page.rows,
            next: page.next,
        });
        if page.rows.is_empty() {
            report.line("no such task");
            let stage = self.stage.as_deref();
            let stage = stage.map(|stage| queue.unknown_stage(stage)).transpose()?;
            let notes = [unknown_repo(queue, self.repo.as_deref())?, stage.flatten()];
            notes.iter().flatten().for_each(|note| report.note(note));
        } else {
            let rows = page.rows.iter().map(|task| {
                vec![
                    task.id.to_string(),
                    shown_or_dash(task.work_item_id.as_deref()),
                    shown_or_dash(task.repo.as_deref()),
                    shown_or_dash(task.stage.as_deref()),
                    moment_or_dash(task.since.as_deref()),
                    shown_or_dash(task.label.as_deref()),
                ]
            });
            report.table(
                &["task", "work item", "repo", "stage", "since", "label"],
                rows,
            );
        }
        self.range.describe_more(page.next, &mut report);
        Ok(report)
    }
}

impl JobList {
    pub fn run(self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let task = match &self.task {
            Some(name) => Some(queue.task_named(name)?),
            None => None,
        };
        let filter = JobFilter {
            repo: self.repo.as_deref(),
            agent: self.agent.as_deref(),
            status: self.status.as_deref().map(JobStatus::of),
            task,
            since: self.range.since,
        };
        let now = Timestamp::now();
        let page = self
            .range
            .read(|page| Ok(queue.store().jobs(now, filter, page)?))?;
        let mut report = shared.report();
        report.json(&Jobs {
            jobs: &page.rows,
            next: page.next,
        });
        if page.rows.is_empty() {
            report.line("no such job");
            let agent = self.agent.as_deref();
            let agent = agent.map(|agent| queue.unknown_agent(agent)).transpose()?;
            let status = self.status.as_deref();
            let notes = [
                unknown_repo(queue, self.repo.as_deref())?,
                agent.flatten(),
                status.and_then(|status| queue.unknown_status(status)),
            ];
            notes.iter().flatten().for_each(|note| report.note(note));
        } else {
            let rows = page.rows.iter().map(|job| {
                vec![
                    job.id.to_string(),
                    job.task_id
                        .map_or_else(|| "-".into(), |task| task.to_string()),
                    shown_or_dash(job.work_item_id.as_deref()),
                    shown_or_dash(job.repo.as_deref()),
                    shown_or_dash(job.agent.as_deref()),
                    state_word(job),
                    job.attempt.to_string(),
                    shown_or_dash(job.worker.as_deref()),
                    moment_or_dash(job.created_at.as_deref()),
                ]
            });
            report.table(
                &[
                    "job",
                    "task",
                    "work item",
                    "repo",
                    "agent",
                    "state",
                    "attempt",
                    "worker",
                    "added",
                ],
                rows,
            );
        }
        self.range.describe_more(page.next, &mut report);
        Ok(report)
    }
}
