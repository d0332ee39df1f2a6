//! How the state of the queue is read: the reference's `snapshot`, and each waiting job's verdict.
//!
//! Owns the reading. Leaves the keys to `state`, and what runs or failed to `work`. Callers rely on
//! this: it changes nothing and never fails as a whole: what cannot be read of a repo is said with
//! that repo, which then counts as frozen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::acting::{Acting, Rules};
use super::state::{Others, Registry, RepoState, State, Waiting};
use super::work::{Live, cut};
use super::{Error, Queue};
use crate::clause::Agents;
use crate::error::with_causes;
use crate::gate::{self, Answered, CurrentClause, NotInForce, of_the_default_rule};
use crate::model::Verdict;
use crate::observe::{Compared, decide_and_compare};
use crate::printable::printable;
use crate::store::{self, FurtherFreezes, TaskWork};

/// What a state shows.
struct View {
    /// The agents of the jobs in the waiting lines.
    agents: Agents,
    /// The present; none for the reference's state, which has no times.
    now: Option<Timestamp>,
    /// The rules in force; none for the reference's state.
    rules: Option<Rules>,
    /// The repos without verdicts, and why.
    failures: BTreeMap<String, String>,
}

/// What is to be counted or marked once a state was read.
struct Looked {
    clause: Arc<CurrentClause>,
    /// The jobs that the policy lets through.
    claimable: Vec<i64>,
    compared: Option<Compared>,
}

impl Queue {
    /// The state as the reference gives it, without verdicts, and with the default rule's waiting
    /// lines. `registry` are repos to list besides those with live state.
    pub fn reference_state(&mut self, registry: &Registry) -> State {
        let view = View {
            agents: of_the_default_rule(),
            now: None,
            rules: None,
            failures: BTreeMap::new(),
        };
        self.state_with(registry, &[], &view, BTreeMap::new(), Vec::new(), None)
    }

    /// The state with each waiting job's verdict, as it is at one moment.
    pub fn state(&mut self, now: Timestamp, registry: &Registry) -> Result<State, Error> {
        self.state_about(now, registry, &[])
    }

    /// The same of these repos only, at least one. Only their queued jobs are read, with what can
    /// matter to them, and the policy's two answers about them are not compared. A note names each
    /// repo that nothing knows.
    pub fn state_of(&mut self, now: Timestamp, repos: &[String]) -> Result<State, Error> {
        self.state_about(now, &[], repos)
    }

    fn state_about(
        &mut self,
        now: Timestamp,
        registry: &Registry,
        only: &[String],
    ) -> Result<State, Error> {
        let (mut state, looked) =
            self.from_one_state(|queue| queue.read_state(now, registry, only))?;
        self.doubt_heads(&looked.clause, &looked.claimable);
        if let Some(compared) = looked.compared {
            self.tell_contradictions(now, compared, &mut state);
        }
        for note in &mut state.notes {
            *note = printable(note).into_owned();
        }
        Ok(state)
    }

    fn read_state(
        &mut self,
        now: Timestamp,
        registry: &Registry,
        only: &[String],
    ) -> Result<(State, Looked), Error> {
        let clause = self.clause(now)?;
        let mut notes = self.notes_of(now, &clause)?;
        for repo in only {
            notes.extend(self.unknown_repo(repo)?);
        }
        let asked = match only {
            [] => decide_and_compare(&mut self.gate, &mut self.store, now, None),
            only => self
                .decide_of(now, &clause, only)
                .map(|found| (found, None)),
        };
        let (answered, compared) = match asked {
            Err(error) if error.is_of_the_database() => return Err(error.into()),
            Err(error) => {
                notes.push(format!("there are no verdicts: {}", with_causes(&error)));
                (Answered::default(), None)
            }
            Ok(asked) => asked,
        };
        let Answered {
            decisions,
            failures,
        } = answered;
        notes.extend(without_verdicts(&failures));
        let free = decisions
            .iter()
            .filter(|decision| decision.verdict == Verdict::Claim);
        let claimable = free.map(|decision| decision.job).collect();
        let verdicts = decisions.into_iter();
        let verdicts = verdicts
            .map(|decision| (decision.job, decision.verdict))
            .collect();
        let view = View {
            agents: self.gated_agents(now),
            now: Some(now),
            rules: Some(self.acting_rules(now)?),
            failures,
        };
        let live = self.live(now, &mut notes);
        let mut state = self.state_with(registry, only, &view, verdicts, notes, Some(live));
        self.note_doubts(&mut state);
        let looked = Looked {
            clause,
            claimable,
            compared,
        };
        Ok((state, looked))
    }

    /// What an operator should know of the clause and its heads, whatever is queued.
    pub(super) fn notes_of(
        &mut self,
        now: Timestamp,
        clause: &CurrentClause,
    ) -> Result<Vec<String>, Error> {
        let mut notes = clause.notes.clone();
        let differences = self.differences(now)?;
        if differences > 0 {
            notes.push(format!(
                "heads were not what the clause gives, {differences} times, and were put right"
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
        Ok(notes)
    }

    fn decide_of(
        &mut self,
        now: Timestamp,
        clause: &CurrentClause,
        repos: &[String],
    ) -> Result<Answered, gate::Error> {
        let state = self.store.snapshot_of_repos(&clause.footprint(), repos)?;
        self.gate.decide_each(&mut self.store, now, &state)
    }

    fn state_with(
        &mut self,
        registry: &Registry,
        only: &[String],
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
        if only.is_empty() {
            match self.store.live_repos(&view.agents) {
                Ok(live) => repos.extend(live),
                Err(error) => notes.push(format!("repos may be missing here: {error}")),
            }
            repos.extend(live.iter().flat_map(Live::repos));
            let without_verdicts = view.failures.keys().filter(|repo| !repo.is_empty());
            repos.extend(without_verdicts.cloned());
        }
        repos.extend(only.iter().cloned());
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
        if let Some(live) = live.as_mut().filter(|_| only.is_empty()) {
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
            enabled: self.settings().enabled,
            freeze_enabled: self.settings().freeze_enabled,
            repos: self.settings().repos.clone(),
            per_repo,
            others,
            contradictions: Vec::new(),
            is_rolled_back: false,
            notes,
            switches: match view.now {
                Some(_) => self.switches(),
                None => Vec::new(),
            },
        }
    }

    /// Says in a state what was found, and counts it. Last of all: another generation may be active
    /// after it.
    fn tell_contradictions(&mut self, now: Timestamp, compared: Compared, state: &mut State) {
        let (observer, gate, store) = self.parts();
        let back = observer.count_look(gate, store, now, &compared);
        state
            .notes
            .extend(compared.found.note().map(|note| match back {
                None => format!("{note}: roll back"),
                Some(good) => {
                    format!("{note}; it failed too often, and generation {good} is active again")
                }
            }));
        state.is_rolled_back = back.is_some();
        state.contradictions = compared.found.jobs;
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
        let freeze_id = frozen_by.map(|freeze| freeze.id);
        let frozen_deploy = frozen_by
            .map_or(Ok(None), |freeze| {
                self.store.deploy_of_freeze(repo, freeze.id)
            })
            .unwrap_or_else(|problem| {
                error = Some(problem.to_string());
                None
            });
        let further_freezes = match (view.now, freeze_id) {
            (Some(now), Some(newest)) => self.store.further_freezes(repo, newest, now),
            _ => Ok(FurtherFreezes::default()),
        };
        let further_freezes = further_freezes.unwrap_or_else(|problem| {
            error = Some(problem.to_string());
            FurtherFreezes::default()
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
            freeze_id,
            further_freezes,
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
            frozen_until: freeze
                .as_ref()
                .filter(|_| is_live)
                .and_then(|freeze| freeze.until.clone()),
            frozen_since: freeze.as_ref().and_then(|freeze| freeze.since),
            frozen_at: freeze.and_then(|freeze| freeze.frozen_at),
            error,
        }
    }
}

/// The note about jobs without verdicts, since their repos may not be shown.
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
