//! The part of `decide` that all rules share: which jobs are gated, and the state of their repos.
//!
//! Leaves the reasons that hold a gated job to the rule. The clause in `clause` says the same in
//! SQL, whose three-valued logic decides the odd cases: a job without an agent is gated, a job
//! without a repo is not, and a task without a stage holds no job.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::rule::Rule;
use crate::settings::Settings;
use crate::snapshot::{Decision, Hold, Job, Jobs, Snapshot, Symbol, Symbols, TaskRef, Verdict};

/// A snapshot, indexed so that each job costs a few look-ups.
pub struct Queue<'a> {
    enabled: bool,
    jobs: &'a Jobs,
    symbols: &'a Symbols,
    /// By symbol, including NULL.
    about: Vec<About>,
    repos: Vec<Repo<'a>>,
}

/// What a symbol means in each column. A text is read when it is first needed, because most symbols
/// are names of tasks, which no rule reads.
#[derive(Clone, Copy, Default)]
struct About {
    is_read: bool,
    /// As a status: the job waits to be claimed.
    queued: bool,
    /// As an agent: the gate may hold its jobs.
    gated: bool,
    /// As a stage: the task is finished.
    finished: bool,
    /// As a repo: its place in `repos`, if it is there.
    repo: Option<u32>,
}

/// The state of a repo.
pub struct Repo<'a> {
    /// Which repo it is.
    pub symbol: Symbol,
    /// Its name.
    pub name: &'a str,
    /// The ids of its unfinished tasks, in order.
    pub unfinished: Vec<i64>,
    /// Its newest active freeze; `None` while freezes are switched off.
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
    /// The first unfinished task of its repo, if it comes before its own.
    pub fn first_earlier(&self) -> Option<i64> {
        let first = self.repo.unfinished.first().copied();
        first.filter(|id| self.task_id.is_some_and(|own| own.is_after(*id)))
    }

    /// The unfinished tasks of its repo that come before its own, by their ids.
    pub fn earlier(&self) -> &'a [i64] {
        let unfinished = &self.repo.unfinished;
        let count = match self.task_id {
            Some(own) => unfinished.partition_point(|id| own.is_after(*id)),
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
        let mut queue = Queue {
            enabled: settings.enabled,
            jobs: &snapshot.jobs,
            symbols: &snapshot.symbols,
            about: vec![About::default(); snapshot.symbols.ends.len()],
            repos: Vec::new(),
        };
        for task in snapshot.tasks.rows() {
            let (Some(repo), Some(stage)) = (task.repo, task.stage) else {
                continue;
            };
            if !queue.read_text(settings, stage)?.finished {
                let repo = queue.repo_mut(settings, repo)?;
                repo.unfinished.push(task.id);
            }
        }
        for repo in &mut queue.repos {
            repo.unfinished.sort_unstable();
        }
        if settings.freeze_enabled {
            for freeze in snapshot.freezes.rows() {
                let (Some(repo), None) = (freeze.repo, freeze.cleared_at) else {
                    continue;
                };
                let newest = &mut queue.repo_mut(settings, repo)?.freeze;
                *newest = Some(newest.map_or(freeze.id, |id| id.max(freeze.id)));
            }
        }
        for job in snapshot.jobs.rows() {
            for symbol in [job.agent, job.status].into_iter().flatten() {
                queue.read_text(settings, symbol)?;
            }
            if let Some(repo) = job.repo {
                queue.repo_mut(settings, repo)?;
            }
        }
        Ok(queue)
    }

    /// The repos of the snapshot.
    pub fn repos(&self) -> impl Iterator<Item = &Repo<'a>> {
        self.repos.iter()
    }

    /// The text of a symbol.
    ///
    /// # Errors
    ///
    /// A sentence, when it is not in the snapshot's list.
    pub fn text(&self, symbol: Symbol) -> Result<&'a str, String> {
        let text = self.symbols.text(symbol);
        text.ok_or_else(|| out_of_range(symbol))
    }

    /// One decision for each queued job, in the snapshot's order. `hold` returns what holds a gated
    /// job; an empty [`Hold`] lets it through.
    ///
    /// # Errors
    ///
    /// A sentence, when a row holds a symbol that is not in the snapshot's list.
    pub fn decide<D: From<Decision>>(
        &self,
        hold: impl Fn(&GatedJob<'_>) -> Hold,
    ) -> Result<Vec<D>, String> {
        let mut decisions = Vec::with_capacity(self.jobs.id.len());
        for job in self.jobs.rows() {
            let Some(status) = job.status else { continue };
            if !self.about(status)?.queued {
                continue;
            }
            let hold = self.gated(&job)?.map(|job| hold(&job)).unwrap_or_default();
            decisions.push(D::from(Decision {
                job: job.id,
                verdict: match hold {
                    hold if hold == Hold::default() => Verdict::Claim,
                    hold => Verdict::Hold(hold),
                },
            }));
        }
        Ok(decisions)
    }

    /// The job if the gate may hold it.
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

    fn about(&self, symbol: Symbol) -> Result<About, String> {
        let about = self.about.get(symbol.get() as usize);
        about.copied().ok_or_else(|| out_of_range(symbol))
    }

    fn about_mut(&mut self, symbol: Symbol) -> Result<&mut About, String> {
        let about = self.about.get_mut(symbol.get() as usize);
        about.ok_or_else(|| out_of_range(symbol))
    }

    /// What a symbol means as a status, an agent and a stage. It is called several times for each
    /// row, and nearly always for a known symbol.
    #[inline]
    fn read_text<R: Rule>(
        &mut self,
        settings: &Settings<R>,
        symbol: Symbol,
    ) -> Result<About, String> {
        match self.about(symbol)? {
            known if known.is_read => Ok(known),
            _ => self.read_new_text(settings, symbol),
        }
    }

    #[cold]
    fn read_new_text<R: Rule>(
        &mut self,
        settings: &Settings<R>,
        symbol: Symbol,
    ) -> Result<About, String> {
        let text = self.text(symbol)?;
        let is_text = |other: &String| other == text;
        let about = self.about_mut(symbol)?;
        about.is_read = true;
        about.queued = text == "queued";
        about.gated = settings.rules.gated_agents().iter().any(is_text);
        about.finished = settings.rules.finished_stages().iter().any(is_text);
        Ok(*about)
    }

    /// A repo, which is added to `repos` if it is not there.
    fn repo_mut<R: Rule>(
        &mut self,
        settings: &Settings<R>,
        symbol: Symbol,
    ) -> Result<&mut Repo<'a>, String> {
        let next = self.repos.len();
        let at = match self.about(symbol)?.repo {
            Some(at) => at as usize,
            None => {
                let name = self.text(symbol)?;
                self.about_mut(symbol)?.repo = u32::try_from(next).ok();
                self.repos.push(Repo {
                    symbol,
                    name,
                    unfinished: Vec::new(),
                    freeze: None,
                    in_scope: settings.scope.contains(name),
                });
                next
            }
        };
        let repo = self.repos.get_mut(at);
        repo.ok_or_else(|| out_of_range(symbol))
    }
}

fn out_of_range(symbol: Symbol) -> String {
    format!("symbol {symbol} is not in `symbols`")
}
