//! All repos at a glance: one row a repo, what needs people first.
//!
//! Owns the rows and their totals, read without the policy in a number of statements that does not
//! depend on how many repos there are. Leaves the order to `overview_order`, more about a few repos
//! to `overview_details`, and verdicts to `read_state`. Callers rely on this: an overview is of one
//! moment, and what cannot be read is an error.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::freeze_rules::FreezeRules;
use super::overview_order::{self, RepoStanding};
use super::work::JobCounts;
use super::{Error, Queue};
use crate::printable::printable;
use crate::store::{
    Line, NewestFreeze, Pipeline, TaskRow, TaskWork, WorkCount, WorkState, from_sql_time,
};

/// All repos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The kill switch.
    pub enabled: bool,
    /// Notes about the switches; none if all are on.
    pub switches: Vec<&'static str>,
    /// What an operator should know, besides the switches.
    pub notes: Vec<String>,
    /// The sums of all repos, and of what has no repo.
    pub totals: Totals,
    /// What has no repo, and so no row.
    pub without_repo: WithoutRepo,
    /// Every known repo, what needs people first.
    pub repos: Vec<RepoRow>,
}

/// The sums of an overview.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many repos there are.
    pub repos: usize,
    /// How many repos are [`RepoStanding::Frozen`].
    pub frozen: usize,
    /// How many repos are [`RepoStanding::Stuck`].
    pub stuck: usize,
    /// How many repos are [`RepoStanding::ToMerge`].
    pub to_merge: usize,
    /// How many jobs failed, and were not replaced.
    pub failed: usize,
    /// How many jobs run.
    pub running: usize,
    /// How many jobs are tried again later.
    pub put_off: usize,
    /// How many jobs have workers that let the lease run out.
    pub lapsed: usize,
    /// How many jobs another program has.
    pub foreign: usize,
    /// How many jobs are queued.
    pub waiting: usize,
}

/// The jobs without a repo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WithoutRepo {
    /// How many run and failed.
    pub jobs: JobCounts,
    /// How many are queued.
    pub waiting: usize,
}

/// A repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoRow {
    /// Its name.
    pub name: String,
    /// What it needs.
    pub standing: RepoStanding,
    /// Since when, as far as that is known: of a frozen repo its newest freeze, of a failed or
    /// lapsed job its claim, of an active task that stands still its stage, of a waiting repo its
    /// first queued job, of a running one the first claim.
    pub since: Option<Timestamp>,
    /// Its newest active freeze, whether or not that holds anything.
    pub freeze: Option<FreezeOfRow>,
    /// How many jobs run and failed.
    pub jobs: JobCounts,
    /// How many jobs are queued, of any agent.
    pub waiting: usize,
    /// Since when the first of these is in the queue, if that is known.
    pub first_waiting_since: Option<Timestamp>,
    /// Its first unfinished task.
    pub active: Option<ActiveOfRow>,
}

/// The newest active freeze of a repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeOfRow {
    /// Its number.
    pub number: i64,
    /// When the repo was frozen, if that is a time.
    pub since: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// How many active freezes the repo has, this one included.
    pub active: usize,
    /// Why the gate holds nothing there all the same; none if it holds the jobs of the gated agents.
    /// Whether the tasks begin with others, [`Queue::freeze_effect`] tells.
    pub note: Option<String>,
}

/// The first unfinished task of a repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveOfRow {
    /// Its id.
    pub id: i64,
    /// The name that people know it by.
    pub work_item_id: Option<String>,
    /// Its stage.
    pub stage: Option<String>,
    /// Since when it is in that stage, if that is known.
    pub since: Option<Timestamp>,
    /// Its state, by the job that matters most.
    pub state: WorkState,
    /// Whether it has been through the pipeline and waits for its merge.
    pub waits_for_merge: bool,
}

/// What was read of a repo.
#[derive(Default)]
struct Parts {
    freeze: Option<FreezeOfRow>,
    jobs: JobCounts,
    failed_since: Option<Timestamp>,
    lapsed_since: Option<Timestamp>,
    waiting: usize,
    first_waiting_since: Option<Timestamp>,
    active: Option<ActiveOfRow>,
}

impl Queue {
    /// All repos at a glance. The policy is not asked about any job.
    pub fn overview(&mut self, now: Timestamp) -> Result<Overview, Error> {
        self.from_one_state(|queue| queue.read_overview(now))
    }

    fn read_overview(&mut self, now: Timestamp) -> Result<Overview, Error> {
        let clause = self.clause(now)?;
        let notes = self.notes_of(now, &clause)?;
        let finished = self.gate.finished_stages();
        let pipeline = self.store.pipeline()?;
        let rows = self.store.overview_rows(now, &finished)?;
        let rules = match rows.freezes.is_empty() {
            true => None,
            false => Some(self.freeze_rules(now)?),
        };
        // Rows without a repo have an empty name.
        let mut all = BTreeMap::<String, Parts>::new();
        for repo in rows.repos.into_iter().chain(self.configured.clone()) {
            all.entry(repo).or_default();
        }
        for (task, work) in rows.active {
            let repo = task.repo.clone().unwrap_or_default();
            let active = ActiveOfRow::of(task, &work, pipeline.as_ref());
            all.entry(repo).or_default().active.get_or_insert(active);
        }
        if let Some(rules) = &rules {
            for freeze in rows.freezes {
                let parts = all.entry(freeze.repo.clone()).or_default();
                parts.freeze = Some(FreezeOfRow::of(freeze, rules)?);
            }
        }
        for count in rows.counts {
            let repo = count.repo.clone().unwrap_or_default();
            all.entry(repo).or_default().count(count);
        }
        for line in rows.waiting {
            let repo = line.repo.clone().unwrap_or_default();
            all.entry(repo).or_default().line_up(&line, now);
        }
        let without_repo = all.remove("").unwrap_or_default();
        let without_repo = WithoutRepo {
            jobs: without_repo.jobs,
            waiting: without_repo.waiting,
        };
        let mut repos: Vec<RepoRow> = all
            .into_iter()
            .map(|(name, parts)| parts.into_row(name))
            .collect();
        repos.sort_by(overview_order::by_need);
        let notes = notes.iter().map(|note| printable(note).into_owned());
        Ok(Overview {
            enabled: self.settings().enabled,
            switches: self.switches(),
            notes: notes.collect(),
            totals: Totals::of(&repos, &without_repo),
            without_repo,
            repos,
        })
    }
}

impl FreezeOfRow {
    fn of(freeze: NewestFreeze, rules: &FreezeRules) -> Result<FreezeOfRow, Error> {
        Ok(FreezeOfRow {
            note: rules.effect(&freeze.repo)?.note(),
            number: freeze.number,
            since: freeze.since,
            reason: freeze.reason,
            active: freeze.active,
        })
    }
}

impl ActiveOfRow {
    fn of(task: TaskRow, work: &TaskWork, pipeline: Option<&Pipeline>) -> ActiveOfRow {
        let stage = task.stage.as_deref();
        let is_at_the_end = pipeline
            .zip(stage)
            .is_some_and(|(pipeline, stage)| pipeline.waits_for_merge(stage));
        ActiveOfRow {
            id: task.id,
            since: task.since.as_deref().and_then(from_sql_time),
            state: work.state(),
            waits_for_merge: is_at_the_end
                && matches!(work.state(), WorkState::Finished | WorkState::NoJob),
            work_item_id: task.work_item_id,
            stage: task.stage,
        }
    }
}

impl Parts {
    fn count(&mut self, count: WorkCount) {
        let since = count.since.as_deref().and_then(from_sql_time);
        match count.state {
            WorkState::Failed => earlier(&mut self.failed_since, since),
            WorkState::Lapsed => earlier(&mut self.lapsed_since, since),
            _ => {}
        }
        self.jobs.add(count);
    }

    fn line_up(&mut self, line: &Line, now: Timestamp) {
        self.waiting += line.jobs;
        earlier(&mut self.first_waiting_since, line.first.at(now));
    }

    fn into_row(self, name: String) -> RepoRow {
        let (standing, since) = self.standing();
        RepoRow {
            name,
            standing,
            since,
            freeze: self.freeze,
            jobs: self.jobs,
            waiting: self.waiting,
            first_waiting_since: self.first_waiting_since,
            active: self.active,
        }
    }

    /// The first standing that fits. A job may work in another repo than its task is of, so the
    /// state of the active task counts as well.
    fn standing(&self) -> (RepoStanding, Option<Timestamp>) {
        let (jobs, active) = (&self.jobs, self.active.as_ref());
        let active_since = active.and_then(|active| active.since);
        let state = active.map(|active| active.state);
        let waits_for_merge = active.is_some_and(|active| active.waits_for_merge);
        let holding = self.freeze.as_ref().filter(|freeze| freeze.note.is_none());
        if let Some(freeze) = holding {
            return (RepoStanding::Frozen, freeze.since);
        }
        if jobs.failed > 0 || state == Some(WorkState::Failed) {
            return (RepoStanding::Failed, self.failed_since.or(active_since));
        }
        let stands_still = matches!(
            state,
            Some(WorkState::Lapsed | WorkState::Foreign | WorkState::Finished | WorkState::NoJob)
        );
        if jobs.lapsed + jobs.foreign > 0 || stands_still && !waits_for_merge {
            return (RepoStanding::Stuck, self.lapsed_since.or(active_since));
        }
        if waits_for_merge {
            return (RepoStanding::ToMerge, active_since);
        }
        if jobs.running > 0 || state == Some(WorkState::Running) {
            let since = jobs.oldest_running_since.as_deref();
            return (RepoStanding::Running, since.and_then(from_sql_time));
        }
        let waits = matches!(state, Some(WorkState::Queued | WorkState::PutOff));
        if self.waiting + jobs.put_off > 0 || waits {
            return (RepoStanding::Waiting, self.first_waiting_since);
        }
        (RepoStanding::Idle, None)
    }
}

/// Keeps the earlier of two times, as far as they are known.
fn earlier(time: &mut Option<Timestamp>, other: Option<Timestamp>) {
    *time = [*time, other].into_iter().flatten().min();
}

impl Totals {
    fn of(repos: &[RepoRow], without_repo: &WithoutRepo) -> Totals {
        let mut totals = Totals {
            repos: repos.len(),
            ..Totals::default()
        };
        for row in repos {
            totals.add(&row.jobs, row.waiting);
            match row.standing {
                RepoStanding::Frozen => totals.frozen += 1,
                RepoStanding::Stuck => totals.stuck += 1,
                RepoStanding::ToMerge => totals.to_merge += 1,
                _ => {}
            }
        }
        totals.add(&without_repo.jobs, without_repo.waiting);
        totals
    }

    fn add(&mut self, jobs: &JobCounts, waiting: usize) {
        self.failed += jobs.failed;
        self.running += jobs.running;
        self.put_off += jobs.put_off;
        self.lapsed += jobs.lapsed;
        self.foreign += jobs.foreign;
        self.waiting += waiting;
    }
}
