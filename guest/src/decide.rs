//! What every rule shares when it decides over a snapshot: whom the gate may hold, and what it finds
//! in their repos.
//!
//! Owns the reading of the state and the order of questions; what holds a gated job is the rule's.
//! The condition in `clause` says the same in SQL, whose three-valued logic decides the odd cases
//! here: a job without an agent is gated like an analyst's, a job without a repo never is, a task
//! without a stage holds nobody.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::rule::Rule;
use crate::settings::Settings;
use crate::snapshot::{Decision, Hold, Job, Snapshot, Symbol, Task, TaskRef, Verdict};

/// A snapshot, read once, so that a job costs a few look-ups.
pub struct Queue<'a> {
    enabled: bool,
    jobs: &'a [Job],
    symbols: Vec<About<'a>>,
    repos: Vec<Repo<'a>>,
}

/// One symbol, in each of the parts that it can play. Most are no repo's, and there may be one for each
/// task, so that this is kept small.
struct About<'a> {
    text: &'a str,
    /// As a status: the job waits to be claimed.
    queued: bool,
    /// As an agent: the gate may hold its jobs.
    gated: bool,
    /// As a stage: the task is finished.
    finished: bool,
    /// As a repo: where it stands in the list of them, once something is known about it.
    repo: Option<u32>,
}

/// What a rule may want to know about a repo.
pub struct Repo<'a> {
    /// Which repo it is.
    pub symbol: Symbol,
    /// Its name.
    pub name: &'a str,
    /// Its unfinished tasks, in the order of their ids.
    pub unfinished: Vec<&'a Task>,
    /// Its newest active freeze; none while the freeze layer is off.
    pub freeze: Option<i64>,
    in_scope: bool,
}

/// A queued job that the gate may hold.
pub struct GatedJob<'a> {
    /// The task that it belongs to.
    pub task_id: Option<TaskRef>,
    /// The repo that it works in.
    pub repo: &'a Repo<'a>,
}

impl<'a> GatedJob<'a> {
    /// The unfinished tasks of its repo that come before its own.
    pub fn earlier(&self) -> &'a [&'a Task] {
        let unfinished = &self.repo.unfinished;
        let count = match self.task_id {
            Some(own) => unfinished.partition_point(|task| own.is_after(task.id)),
            None => 0,
        };
        unfinished.get(..count).unwrap_or_default()
    }
}

impl<'a> Queue<'a> {
    /// Reads a snapshot.
    ///
    /// # Errors
    ///
    /// A sentence, when a row holds a symbol that is not in the snapshot's list.
    pub fn read<R: Rule>(
        settings: &Settings<R>,
        snapshot: &'a Snapshot,
    ) -> Result<Queue<'a>, String> {
        let symbols = snapshot.symbols.iter().map(|text| About {
            text,
            queued: text == "queued",
            gated: settings.rules.gated_agents().contains(text),
            finished: settings.rules.finished_stages().contains(text),
            repo: None,
        });
        let mut queue = Queue {
            enabled: settings.enabled,
            jobs: &snapshot.jobs,
            symbols: symbols.collect(),
            repos: Vec::new(),
        };
        for task in &snapshot.tasks {
            let (Some(repo), Some(stage)) = (task.repo, task.stage) else {
                continue;
            };
            if !queue.about(stage)?.finished {
                queue.repo_mut(settings, repo)?.unfinished.push(task);
            }
        }
        for repo in &mut queue.repos {
            repo.unfinished.sort_by_key(|task| task.id);
        }
        if settings.freeze_enabled {
            for freeze in snapshot.freezes.iter().filter(|freeze| freeze.active) {
                let Some(repo) = freeze.repo else { continue };
                let newest = &mut queue.repo_mut(settings, repo)?.freeze;
                *newest = Some(newest.map_or(freeze.id, |id| id.max(freeze.id)));
            }
        }
        for repo in snapshot.jobs.iter().filter_map(|job| job.repo) {
            queue.repo_mut(settings, repo)?;
        }
        Ok(queue)
    }

    /// What is known about each repo.
    pub fn repos(&self) -> impl Iterator<Item = &Repo<'a>> {
        self.repos.iter()
    }

    /// The text of a symbol.
    ///
    /// # Errors
    ///
    /// A sentence, when it is not in the snapshot's list.
    pub fn text(&self, symbol: Symbol) -> Result<&'a str, String> {
        Ok(self.about(symbol)?.text)
    }

    /// One decision for each queued job, in the snapshot's order. `hold` says what holds a gated
    /// job: nothing, if the answer is empty.
    ///
    /// # Errors
    ///
    /// A sentence, when a row holds a symbol that is not in the snapshot's list.
    pub fn decide(&self, hold: impl Fn(&GatedJob<'_>) -> Hold) -> Result<Vec<Decision>, String> {
        let mut decisions = Vec::with_capacity(self.jobs.len());
        for job in self.jobs {
            let Some(status) = job.status else { continue };
            if !self.about(status)?.queued {
                continue;
            }
            let hold = self.gated(job)?.map(|job| hold(&job)).unwrap_or_default();
            decisions.push(Decision {
                job: job.id,
                verdict: match hold {
                    hold if hold == Hold::default() => Verdict::Claim,
                    hold => Verdict::Hold(hold),
                },
            });
        }
        Ok(decisions)
    }

    /// The job as a gated one; none if the gate may not hold it.
    fn gated(&self, job: &Job) -> Result<Option<GatedJob<'_>>, String> {
        let gated = match job.agent {
            Some(agent) => self.about(agent)?.gated,
            None => true,
        };
        let Some(repo) = job.repo else {
            return Ok(None);
        };
        let at = self.about(repo)?.repo;
        let repo = at.and_then(|at| self.repos.get(at as usize));
        let may_hold = |repo: &&Repo<'_>| self.enabled && gated && repo.in_scope;
        Ok(repo.filter(may_hold).map(|repo| GatedJob {
            task_id: job.task_id,
            repo,
        }))
    }

    fn about(&self, symbol: Symbol) -> Result<&About<'a>, String> {
        self.symbols
            .get(symbol as usize)
            .ok_or_else(|| out_of_range(symbol))
    }

    /// A repo, which is in the list from now on.
    fn repo_mut<R: Rule>(
        &mut self,
        settings: &Settings<R>,
        symbol: Symbol,
    ) -> Result<&mut Repo<'a>, String> {
        let about = self.symbols.get_mut(symbol as usize);
        let about = about.ok_or_else(|| out_of_range(symbol))?;
        let next = u32::try_from(self.repos.len()).unwrap_or(u32::MAX);
        let at = *about.repo.get_or_insert(next);
        if at == next {
            self.repos.push(Repo {
                symbol,
                name: about.text,
                unfinished: Vec::new(),
                freeze: None,
                in_scope: settings.scope.contains(about.text),
            });
        }
        self.repos
            .get_mut(at as usize)
            .ok_or_else(|| out_of_range(symbol))
    }
}

fn out_of_range(symbol: Symbol) -> String {
    format!("symbol {symbol} is not in `symbols`")
}
