//! Verdicts repo by repo, where the policy fails on the queue as a whole: the broken state of one
//! repo does not cost the others their verdicts.
//!
//! Owns the search for the repos that the policy fails on: the repos are halved until each part is
//! answered or is a single repo, so that a few failures among many repos take a few calls. The
//! search is made only where the clause proves that a repo's verdicts depend on its own rows, so
//! that a part gets the same verdicts as the whole. Callers rely on this: the search has a bound in
//! calls and in time, and each repo that was left out because of it is named with that reason.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::zip;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::clause::Source;
use super::{Error, Gate, Purpose};
use crate::error::with_causes;
use crate::model::{Decision, Freezes, Jobs, NULL, Snapshot, Symbol, Symbols, Tasks};
use crate::printable::printable;
use crate::store::Store;

/// How many calls a search makes.
const CALLS: usize = 100;

/// How long a search goes on; a call that is then under way still has its own limit.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the policy decided, and where it did not.
#[derive(Default)]
pub(crate) struct Answered {
    pub decisions: Vec<Decision>,
    /// The repos without verdicts, and why. The empty name is that of jobs without a repo.
    pub failures: BTreeMap<String, String>,
}

/// A search under way.
struct Search<'a> {
    now: Timestamp,
    state: &'a Snapshot,
    begun: Instant,
    calls: usize,
    found: Answered,
}

impl Gate {
    /// The policy's decisions for all queued jobs of a state, as far as it has any. An error means
    /// that the policy fails on no particular repo.
    pub(crate) fn decide_each(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        state: &Snapshot,
    ) -> Result<Answered, Error> {
        let failure = match self.decide_over(store, now, state) {
            Ok(decisions) => {
                return Ok(Answered {
                    decisions,
                    failures: BTreeMap::new(),
                });
            }
            Err(failure) => failure,
        };
        let clause = self.clause(store, Purpose::Look, now)?;
        let is_by_repo = clause.source != Source::FreezeOnly && clause.clause.reads_own_repo_only();
        if !is_by_repo || !failure.may_be_of_a_state() {
            return Err(failure);
        }
        let repos = queued_repos(state);
        let mut search = Search {
            now,
            state,
            begun: Instant::now(),
            calls: 0,
            found: Answered::default(),
        };
        match repos.as_slice() {
            [] => return Err(failure),
            [repo] => search.fails(*repo, &failure),
            repos => {
                let (first, second) = repos.split_at(repos.len() / 2);
                self.search(store, &mut search, first);
                self.search(store, &mut search, second);
            }
        }
        search.found.decisions.sort_by_key(|decision| decision.job);
        Ok(search.found)
    }

    fn search(&mut self, store: &mut Store, search: &mut Search<'_>, repos: &[Symbol]) {
        if search.calls == CALLS || search.begun.elapsed() > PATIENCE {
            let why = "the policy was not asked, because it failed on others for too long";
            for repo in repos {
                search.note(*repo, why.into());
            }
            return;
        }
        search.calls += 1;
        let part = part(search.state, &repos.iter().copied().collect());
        match (self.decide_over(store, search.now, &part), repos) {
            (Ok(decisions), _) => search.found.decisions.extend(decisions),
            (Err(failure), [repo]) => search.fails(*repo, &failure),
            (Err(_), repos) => {
                let (first, second) = repos.split_at(repos.len() / 2);
                self.search(store, search, first);
                self.search(store, search, second);
            }
        }
    }
}

impl Search<'_> {
    fn fails(&mut self, repo: Symbol, failure: &Error) {
        self.note(repo, with_causes(failure));
    }

    fn note(&mut self, repo: Symbol, why: String) {
        let name = self.state.symbols.text(repo).unwrap_or_default();
        let why = format!("the policy gives no verdicts here: {}", printable(&why));
        self.found.failures.insert(name.into(), why);
    }
}

impl Answered {
    /// Whether the policy was asked about a job of this repo, and answered.
    fn has(&self, state: &Snapshot, repo: Symbol) -> bool {
        let name = state.symbols.text(repo).unwrap_or_default();
        !self.failures.contains_key(name)
    }

    /// Of the queued jobs of a state, those that the policy gave verdicts about.
    pub fn answered(&self, state: &Snapshot, jobs: Vec<(i64, bool)>) -> Vec<(i64, bool)> {
        if self.failures.is_empty() {
            return jobs;
        }
        let all = zip(&state.jobs.id, &state.jobs.repo);
        let unanswered = all.filter(|(_, repo)| !self.has(state, **repo));
        let unanswered: BTreeSet<i64> = unanswered.map(|(job, _)| *job).collect();
        let mut jobs = jobs;
        jobs.retain(|(job, _)| !unanswered.contains(job));
        jobs
    }
}

/// The repos of the queued jobs, each once; NULL is one of them.
fn queued_repos(state: &Snapshot) -> Vec<Symbol> {
    let symbols = state.symbols.iter();
    let queued = symbols.filter(|(_, text)| *text == "queued");
    let queued: BTreeSet<Symbol> = queued.map(|(symbol, _)| symbol).collect();
    let jobs = zip(&state.jobs.repo, &state.jobs.status);
    let repos = jobs.filter(|(_, status)| queued.contains(*status));
    let repos: BTreeSet<Symbol> = repos.map(|(repo, _)| *repo).collect();
    repos.into_iter().collect()
}

/// The rows of some repos, with no text of any other.
fn part(state: &Snapshot, repos: &BTreeSet<Symbol>) -> Snapshot {
    let rows = |repo: &[Symbol]| -> Vec<usize> {
        let rows = repo.iter().enumerate();
        rows.filter(|(_, repo)| repos.contains(*repo))
            .map(|(row, _)| row)
            .collect()
    };
    let Snapshot {
        symbols,
        tasks,
        jobs,
        freezes,
    } = state;
    let mut texts = Texts {
        of: symbols,
        symbols: Symbols::new(),
        known: BTreeMap::from([(NULL, NULL)]),
    };
    let tasks = {
        let rows = rows(&tasks.repo);
        Tasks {
            id: picked(&tasks.id, &rows),
            work_item: texts.picked(&tasks.work_item, &rows),
            repo: texts.picked(&tasks.repo, &rows),
            stage: texts.picked(&tasks.stage, &rows),
            label: texts.picked(&tasks.label, &rows),
        }
    };
    let jobs = {
        let rows = rows(&jobs.repo);
        Jobs {
            id: picked(&jobs.id, &rows),
            task_id: picked(&jobs.task_id, &rows),
            task_id_kind: picked(&jobs.task_id_kind, &rows),
            repo: texts.picked(&jobs.repo, &rows),
            agent: texts.picked(&jobs.agent, &rows),
            status: texts.picked(&jobs.status, &rows),
        }
    };
    let freezes = {
        let rows = rows(&freezes.repo);
        Freezes {
            id: picked(&freezes.id, &rows),
            repo: texts.picked(&freezes.repo, &rows),
            frozen_at: texts.picked(&freezes.frozen_at, &rows),
            cleared_at: texts.picked(&freezes.cleared_at, &rows),
            reason: texts.picked(&freezes.reason, &rows),
            work_item: texts.picked(&freezes.work_item, &rows),
        }
    };
    Snapshot {
        symbols: texts.symbols,
        tasks,
        jobs,
        freezes,
    }
}

fn picked<T: Copy>(column: &[T], rows: &[usize]) -> Vec<T> {
    let values = rows.iter().filter_map(|row| column.get(*row));
    values.copied().collect()
}

/// The texts of a part. Each gets a new symbol there, in the order in which they are met.
struct Texts<'a> {
    of: &'a Symbols,
    symbols: Symbols,
    known: BTreeMap<Symbol, Symbol>,
}

impl Texts<'_> {
    fn picked(&mut self, column: &[Symbol], rows: &[usize]) -> Vec<Symbol> {
        let Texts { of, symbols, known } = self;
        let values = rows.iter().filter_map(|row| column.get(*row));
        let symbol_of = |symbol: &Symbol| {
            let text = || of.text(*symbol).unwrap_or_default();
            *known.entry(*symbol).or_insert_with(|| symbols.push(text()))
        };
        values.map(symbol_of).collect()
    }
}
