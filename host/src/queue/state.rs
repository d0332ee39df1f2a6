//! The state of the queue for people: the reference's `snapshot`, and each waiting job's verdict.
//!
//! Owns the keys of `queue --json`, which are the reference's (semantics 29–32). It changes nothing
//! and never fails as a whole: what cannot be read of a repo is said with that repo, which then
//! counts as frozen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::acting::{Acting, Rules};
use super::by_repo::Answered;
use super::gated::of_the_default_rule;
use super::work::{Active, JobCounts, Live, cut};
use super::{Contradiction, Doubt, Error, NotInForce, Queue, with_causes};
use crate::clause::Agents;
use crate::model::{self, Verdict};
use crate::printable::printable;
use crate::store::{self, FrozenDeploy, JobWork, TaskWork, WaitingJob};

/// The repos that an orchestrator knows of, whether or not they have work. Names may be missing.
pub type Registry = [Option<String>];

/// The state of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct State {
    /// The kill switch.
    pub enabled: bool,
    /// Whether a freeze holds anything.
    pub freeze_enabled: bool,
    /// The scope, as it was set.
    pub repos: String,
    /// Every known repo, by the code points of its name.
    pub per_repo: BTreeMap<String, RepoState>,
    /// Queued jobs that stand in no waiting line: other agents', and those without a repo.
    #[serde(skip_serializing_if = "Others::are_none")]
    pub others: Others,
    /// Queued jobs about which the policy contradicts itself, up to 100: the clause is what claims use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contradictions: Vec<Contradiction>,
    /// What an operator should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to say of the switches; nothing if all is on.
    #[serde(skip)]
    pub switches: Vec<&'static str>,
}

/// Queued jobs that stand in no waiting line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Others {
    /// How many may be claimed.
    pub claimable: usize,
    /// Those that are held.
    pub held: Vec<OtherHeld>,
    /// Jobs without a repo that run or failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<JobWork>,
    /// How many more there are of these.
    #[serde(skip_serializing_if = "is_none")]
    pub more_work: usize,
    /// How many run and failed without a repo, with those of active tasks.
    #[serde(skip)]
    pub jobs: JobCounts,
}

/// A held job that stands in no waiting line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OtherHeld {
    /// Its id.
    pub job_id: i64,
    /// Why it is held.
    #[serde(serialize_with = "model::verdict_as_json")]
    #[schema(value_type = serde_json::Value)]
    pub verdict: Option<Verdict>,
    /// What the policy names in it that is not there, or not what it says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub doubts: Vec<Doubt>,
}

impl State {
    /// What to add to the verdict of a job, if the policy contradicts itself about it.
    pub fn beside_verdict(&self, job: i64) -> Option<&'static str> {
        let mut found = self.contradictions.iter();
        found.find(|found| found.job == job)?.beside_verdict()
    }
}

impl Others {
    fn are_none(&self) -> bool {
        *self == Others::default()
    }

    fn add(&mut self, job_id: i64, verdict: Verdict) {
        match verdict {
            Verdict::Claim => self.claimable += 1,
            hold @ Verdict::Hold(_) => self.held.push(OtherHeld {
                job_id,
                verdict: Some(hold),
                doubts: Vec::new(),
            }),
        }
    }
}

/// The state of one repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RepoState {
    /// The first unfinished task.
    pub active_task: Option<Active>,
    /// The queued jobs of the agents that the policy gates, claimable ones included.
    pub waiting: Vec<Waiting>,
    /// Whether the repo is frozen.
    pub frozen: bool,
    /// Why.
    pub frozen_reason: Option<String>,
    /// Since when, as it is in the row: UTC, if the gate has written it.
    pub frozen_at: Option<String>,
    /// The same, if it is a time.
    #[serde(skip)]
    pub frozen_since: Option<Timestamp>,
    /// The deploy that the freeze is about; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_deploy: Option<FrozenDeploy>,
    /// Why tasks start although the repo is frozen, all or some of them; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_note: Option<String>,
    /// Whether the gate acts here; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies: Option<bool>,
    /// Whether it really does, by the clause that claims use and the exact name; none in the reference's state.
    #[serde(skip)]
    pub acting: Option<Acting>,
    /// How many jobs run and failed here; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobCounts>,
    /// Jobs that run or failed here and are not the active task's, up to twenty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_work: Vec<JobWork>,
    /// How many more there are of these.
    #[serde(skip_serializing_if = "is_none")]
    pub more_work: usize,
    /// What could not be read of this repo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A waiting job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// The job and its task.
    #[serde(flatten)]
    pub job: WaitingJob,
    /// Since when it is in the queue, if that is known: from its row, or since it was first seen at the head of its repo.
    /// Not a key of the reference's.
    #[serde(skip)]
    pub since: Option<Timestamp>,
    /// Its task's id; not in the reference's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<i64>,
    /// What the policy says, if it was asked and answered.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "model::verdict_as_json"
    )]
    #[schema(value_type = serde_json::Value)]
    pub verdict: Option<Verdict>,
    /// What the policy names in it that is not there, or not what it says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub doubts: Vec<Doubt>,
}

/// What a state is to show.
struct View {
    /// Whose jobs are in the waiting lines.
    agents: Agents,
    /// The present; none for the reference's state, which tells of no time.
    now: Option<Timestamp>,
    /// By what the gate acts; likewise.
    rules: Option<Rules>,
    /// The repos without verdicts, and why.
    failures: BTreeMap<String, String>,
}

impl Queue {
    /// The state as the reference gives it, without verdicts, and with the default rule's waiting lines. `registry` are
    /// repos to list besides those with live state.
    pub fn reference_state(&mut self, registry: &Registry) -> State {
        let view = View {
            agents: of_the_default_rule(),
            now: None,
            rules: None,
            failures: BTreeMap::new(),
        };
        self.state_with(registry, &view, BTreeMap::new(), Vec::new(), None)
    }

    /// The state with each waiting job's verdict.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn state(&mut self, now: Timestamp, registry: &Registry) -> Result<State, Error> {
        let clause = self.clause(now)?;
        let mut notes = clause.notes.clone();
        let differences = self.differences(now)?;
        if differences > 0 {
            notes.push(format!(
                "candidates were not what the clause gives, {differences} times, and were put right: `serial-gate doctor` compares all"
            ));
        }
        if let Some(
            instead @ (NotInForce::NotLoaded { .. }
            | NotInForce::NotTrusted { .. }
            | NotInForce::NoneTrusted { .. }),
        ) = self.not_in_force()
        {
            notes.push(instead.to_string());
        }
        let (mut failures, mut compared) = (BTreeMap::new(), None);
        let verdicts = match self.decide_and_compare(now, None) {
            Ok((
                Answered {
                    decisions,
                    failures: of_repos,
                },
                found,
            )) => {
                compared = found;
                failures = of_repos;
                notes.extend(without_verdicts(&failures));
                let free = decisions
                    .iter()
                    .filter(|decision| decision.verdict == Verdict::Claim);
                let free: Vec<i64> = free.map(|decision| decision.job).collect();
                self.doubt_candidates(&clause, &free);
                let verdicts = decisions.into_iter();
                verdicts
                    .map(|decision| (decision.job, decision.verdict))
                    .collect()
            }
            Err(error) if error.is_of_the_database() => return Err(error),
            Err(error) => {
                notes.push(format!("there are no verdicts: {}", with_causes(&error)));
                BTreeMap::new()
            }
        };
        let view = View {
            agents: self.gated_agents(now),
            now: Some(now),
            rules: Some(self.acting_rules(now)?),
            failures,
        };
        let live = self.live(now, &mut notes);
        let mut state = self.state_with(registry, &view, verdicts, notes, Some(live));
        if let Some(compared) = compared {
            self.tell_contradictions(now, compared, &mut state);
        }
        self.note_doubts(&mut state);
        for note in &mut state.notes {
            *note = printable(note).into_owned();
        }
        Ok(state)
    }

    fn state_with(
        &mut self,
        registry: &Registry,
        view: &View,
        mut verdicts: BTreeMap<i64, Verdict>,
        mut notes: Vec<String>,
        mut live: Option<Live>,
    ) -> State {
        let mut repos: BTreeSet<String> = registry
            .iter()
            .flatten()
            .filter(|repo| !repo.is_empty())
            .cloned()
            .collect();
        match self.store.live_repos(&view.agents) {
            Ok(live) => repos.extend(live),
            Err(error) => notes.push(format!("repos may be missing here: {error}")),
        }
        repos.extend(live.iter().flat_map(Live::repos));
        let without_verdicts = view.failures.keys().filter(|repo| !repo.is_empty());
        repos.extend(without_verdicts.cloned());
        let mut per_repo: BTreeMap<String, RepoState> = repos
            .into_iter()
            .map(|repo| {
                let state = self.repo_state(&repo, view, &mut verdicts, live.as_mut());
                (repo, state)
            })
            .collect();
        // What no waiting line has taken.
        let mut others = Others::default();
        for (job, verdict) in verdicts {
            others.add(job, verdict);
        }
        if let Some(live) = &mut live {
            let without_repo = live.take("");
            (others.work, others.jobs) = (without_repo.jobs, without_repo.counts);
        }
        // A job may work in another repo than its task is of.
        let active = per_repo
            .values()
            .filter_map(|repo| repo.active_task.as_ref());
        let active = active.filter_map(|active| active.work.as_ref());
        let shown = active.flat_map(TaskWork::jobs).filter_map(|job| job.job_id);
        let shown: BTreeSet<i64> = shown.collect();
        for repo in per_repo.values_mut() {
            if let Some(jobs) = &repo.jobs {
                repo.more_work = cut(&mut repo.other_work, jobs, &shown);
            }
        }
        others.more_work = cut(&mut others.work, &others.jobs, &shown);
        State {
            enabled: self.in_use.settings.enabled,
            freeze_enabled: self.in_use.settings.freeze_enabled,
            repos: self.in_use.settings.repos.clone(),
            per_repo,
            others,
            contradictions: Vec::new(),
            notes,
            switches: match view.now {
                Some(_) => self.switches(),
                None => Vec::new(),
            },
        }
    }

    fn repo_state(
        &mut self,
        repo: &str,
        view: &View,
        verdicts: &mut BTreeMap<i64, Verdict>,
        live: Option<&mut Live>,
    ) -> RepoState {
        let mut error = view.failures.get(repo).cloned();
        let mut or_else_say = |problem: store::Error| error = Some(problem.to_string());
        let active_task = self
            .active(live.as_deref(), repo)
            .unwrap_or_else(|problem| {
                or_else_say(problem);
                None
            });
        let waiting = self
            .store
            .waiting(repo, &view.agents)
            .unwrap_or_else(|problem| {
                or_else_say(problem);
                Vec::new()
            });
        let (frozen, freeze) = self.frozen(Some(repo));
        let is_live = live.is_some();
        let waiting: Vec<Waiting> = waiting
            .into_iter()
            .map(|job| Waiting {
                verdict: verdicts.remove(&job.job_id),
                since: view.now.and_then(|now| job.queued.at(now)),
                task_id: job.task_id.filter(|_| is_live),
                doubts: Vec::new(),
                job,
            })
            .collect();
        let frozen_by = freeze.as_ref().filter(|_| is_live);
        let frozen_deploy = frozen_by
            .map_or(Ok(None), |freeze| {
                self.store.deploy_of_freeze(repo, freeze.id)
            })
            .unwrap_or_else(|problem| {
                error = Some(problem.to_string());
                None
            });
        let freeze_note = view
            .now
            .filter(|_| frozen)
            .and_then(|now| self.freeze_effect(now, repo).note());
        let of_repo = live.map(|live| live.take(repo));
        let is_held = |waiting: &Waiting| matches!(waiting.verdict, Some(Verdict::Hold(_)));
        let acting = match &view.rules {
            // Whatever the settings say, a job is held.
            Some(_) if waiting.iter().any(is_held) => Some(Acting::Acts),
            Some(rules) => rules.acting(repo).map_or_else(
                |problem| {
                    error = Some(with_causes(&problem));
                    None
                },
                Some,
            ),
            None => None,
        };
        RepoState {
            acting,
            frozen_deploy,
            freeze_note,
            applies: is_live.then(|| self.applies(Some(repo))),
            jobs: of_repo.as_ref().map(|of_repo| of_repo.counts.clone()),
            other_work: of_repo.map(|of_repo| of_repo.jobs).unwrap_or_default(),
            more_work: 0,
            active_task,
            waiting,
            frozen,
            frozen_reason: freeze.as_ref().and_then(|freeze| freeze.reason.clone()),
            frozen_since: freeze.as_ref().and_then(|freeze| freeze.since),
            frozen_at: freeze.and_then(|freeze| freeze.frozen_at),
            error,
        }
    }
}

/// What to say of jobs without verdicts whose repo may not be shown.
fn without_verdicts(failures: &BTreeMap<String, String>) -> Option<String> {
    match failures.len() {
        0 => None,
        _ if failures.contains_key("") => failures
            .get("")
            .map(|why| format!("jobs without a repo have no verdicts: {why}")),
        1 => Some("the policy gives no verdicts for one repo, which says why".into()),
        repos => Some(format!(
            "the policy gives no verdicts for {repos} repos, which say why"
        )),
    }
}

/// Whether a number says nothing, and is left out.
fn is_none(number: &usize) -> bool {
    *number == 0
}
