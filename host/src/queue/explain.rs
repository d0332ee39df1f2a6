//! Why a job waits, and what would release it.
//!
//! Owns the answer of `explain`. It knows no rule: it asks the policy for the reason, finishes the
//! task or clears the freeze that the policy names in a copy of the state, and asks again, until
//! the policy lets the job through. What it proposes is therefore what the policy would accept. Each task that it names
//! has the state of its work, from which `advice` says what helps.

use std::collections::BTreeMap;
use std::iter::zip;
use std::ops::Deref;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::advice::{self, Advice};
use super::settings::finished_stages;
use super::stages::near_finished;
use super::{Error, Queue};
use crate::model::{Hold, NULL, Snapshot, Symbol, Verdict};
use crate::store::{
    self, ActiveFreeze, FinishedStages, FrozenDeploy, JobRow, JobWork, TaskBranch, TaskRow,
    TaskWork, WorkState,
};

/// How many tasks ahead are named; each costs a call of the policy.
const TASKS_NAMED: usize = 100;

/// A job and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The job.
    pub job: JobRow,
    /// Where it stands.
    pub standing: Standing,
    /// How it is.
    pub work: JobWork,
    /// What helps, the best first.
    pub advice: Vec<Advice>,
    /// Its task's branch, once that is planned.
    pub branch: Option<TaskBranch>,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was claimed, or it ended.
    NotQueued,
    /// It may be claimed, after the claimable jobs before it.
    Claimable {
        /// How many there are.
        ahead: usize,
    },
    /// It may not be claimed now.
    Held(Held),
}

/// Why a job is held. Each reason is named by the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The tasks that it waits for, first one first.
    pub tasks: Vec<Ahead>,
    /// Whether there are more tasks than are named.
    pub more_tasks: bool,
    /// The newest freeze of each repo that is in its way.
    pub freezes: Vec<FreezeAhead>,
    /// Reasons in the policy's words. What they need is not known here.
    pub rules: Vec<String>,
    /// Whether there is a reason that no command of ours would clear.
    pub stuck: bool,
}

/// A task that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Ahead {
    /// The task.
    #[serde(flatten)]
    pub task: TaskRow,
    /// What its jobs do.
    pub work: TaskWork,
    /// The finished stage that its stage was probably meant to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<String>,
}

impl Deref for Ahead {
    type Target = TaskRow;
    fn deref(&self) -> &TaskRow {
        &self.task
    }
}

/// A freeze that is in a job's way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FreezeAhead {
    /// The repo.
    pub repo: String,
    /// The freeze.
    #[serde(flatten)]
    pub freeze: ActiveFreeze,
    /// The deploy that it is about; none if people made it.
    pub deploy: Option<FrozenDeploy>,
}

impl Explanation {
    /// As a document, for machines.
    pub fn to_json(&self) -> Value {
        let job = &self.job;
        let mut document = match &self.standing {
            Standing::NotQueued => json!({ "job": job, "standing": "not queued" }),
            Standing::Claimable { ahead } => {
                json!({ "job": job, "standing": "claimable", "ahead": ahead })
            }
            Standing::Held(held) => json!({
                "job": job,
                "standing": "held",
                "ahead": held.tasks.len(),
                "more_ahead": held.more_tasks,
                "tasks": held.tasks,
                "freezes": held.freezes,
                "rules": held.rules,
            }),
        };
        if let Some(document) = document.as_object_mut() {
            document.insert("state".into(), json!(self.work.state));
            document.insert("work".into(), json!(self.work));
            let advice = self.advice.iter().map(Advice::to_json).collect();
            document.insert("advice".into(), Value::Array(advice));
            if let Some(branch) = &self.branch {
                document.insert("branch".into(), json!(branch));
            }
        }
        document
    }
}

impl Queue {
    /// Where a job stands, and why.
    ///
    /// # Errors
    ///
    /// When there is no such job, the policy fails, or the database cannot be read.
    pub fn explain(&mut self, now: Timestamp, id: i64) -> Result<Explanation, Error> {
        let job = self.store.job(id)?.ok_or(store::Error::NoJob { id })?;
        let standing = match job.status.as_deref() {
            Some("queued") => self.standing(now, id)?,
            _ => Standing::NotQueued,
        };
        let branch = match job.task_id {
            Some(task) => self.store.branch(task)?,
            None => None,
        };
        let work = self.store.job_work(now, id)?.unwrap_or_default();
        let advice = match &standing {
            Standing::Claimable { .. } => Vec::new(),
            Standing::NotQueued => self.advice_for_itself(now, job.task_id, &work)?,
            Standing::Held(held) => advice::of_held(held, self.front_is_held(now, held)?),
        };
        Ok(Explanation {
            job,
            standing,
            work,
            advice,
            branch,
        })
    }

    /// What helps with a job that is not queued. One that was replaced, or whose task is finished, is left alone.
    fn advice_for_itself(
        &mut self,
        now: Timestamp,
        task: Option<i64>,
        work: &JobWork,
    ) -> Result<Vec<Advice>, Error> {
        if let (WorkState::Failed, Some(task)) = (work.state, task) {
            let stage = self.store.task(task)?.and_then(|task| task.stage);
            let finished = finished_stages(&self.in_use.settings);
            let is_over = stage.is_some_and(|stage| finished.contains(&stage));
            let of_task = self.store.task_work(now, task)?;
            if is_over || !of_task.jobs().any(|job| job.job_id == work.job_id) {
                return Ok(Vec::new());
            }
        }
        Ok(advice::of_job(work).into_iter().collect())
    }

    /// Whether the job of the first task in front is queued and held itself.
    fn front_is_held(&mut self, now: Timestamp, held: &Held) -> Result<bool, Error> {
        let first = held.tasks.first().map(|front| &front.work.first);
        let queued = first.filter(|work| work.state == WorkState::Queued);
        let Some(job) = queued.and_then(|work| work.job_id) else {
            return Ok(false);
        };
        let decisions = self.decide(now, Some(job))?;
        let of_job = decisions.iter().find(|decision| decision.job == job);
        Ok(of_job.is_some_and(|decision| decision.verdict != Verdict::Claim))
    }

    fn standing(&mut self, now: Timestamp, id: i64) -> Result<Standing, Error> {
        if let Some(held) = self.reasons(now, id)? {
            return Ok(Standing::Held(held));
        }
        let claimable = self.claimable(now)?;
        let ahead = claimable
            .iter()
            .take_while(|claimable| **claimable < id)
            .count();
        Ok(Standing::Claimable { ahead })
    }

    /// Everything that holds a job; none if nothing does.
    fn reasons(&mut self, now: Timestamp, id: i64) -> Result<Option<Held>, Error> {
        // A row that is undone was in reach before, and no other row comes into reach by that.
        let reach = self.reach(now)?;
        // `task done` goes by the generation's rules, whatever this process was told.
        let finished = match self.in_use.is_overridden {
            true => FinishedStages::default(),
            false => finished_stages(&self.in_use.settings),
        };
        let mut what_if = WhatIf::new(self.store.snapshot(&reach, Some(id))?, finished.first());
        let mut held: Option<Held> = None;
        loop {
            let decisions = self.decide_over(now, &what_if.state)?;
            let decision = decisions.into_iter().find(|decision| decision.job == id);
            let Some(Verdict::Hold(hold)) = decision.map(|decision| decision.verdict) else {
                return Ok(held);
            };
            let held_so_far = held.get_or_insert_default();
            if held_so_far.tasks.len() == TASKS_NAMED {
                held_so_far.more_tasks = true;
                return Ok(held);
            }
            if !self.note_and_undo(now, hold, &mut what_if, held_so_far)? {
                held_so_far.stuck = true;
                return Ok(held);
            }
        }
    }

    /// Writes a reason down and does what an operator could do about it. False if that is nothing.
    fn note_and_undo(
        &mut self,
        now: Timestamp,
        hold: Hold,
        what_if: &mut WhatIf,
        held: &mut Held,
    ) -> Result<bool, Error> {
        let mut undone = false;
        if let Some(id) = hold.earlier_task {
            let finished = what_if.finish(id);
            if !held.tasks.iter().any(|ahead| ahead.task.id == id) {
                held.tasks.extend(self.ahead(now, id)?);
            }
            undone |= finished;
        }
        if let Some(repo) = hold.freeze.and_then(|freeze| what_if.unfreeze(freeze)) {
            // The empty repo cannot be named to `unfreeze`, and neither can one that is no text.
            let freeze = self
                .store
                .active_freeze(Some(&repo))?
                .filter(|_| !repo.is_empty());
            held.stuck |= freeze.is_none();
            undone |= freeze.is_some();
            if let Some(freeze) = freeze {
                held.freezes.push(FreezeAhead {
                    deploy: self.store.deploy_of_freeze(&repo, freeze.id)?,
                    freeze,
                    repo,
                });
            }
        }
        if let Some(rule) = hold.rule.filter(|rule| !held.rules.contains(rule)) {
            held.rules.push(rule);
        }
        Ok(undone)
    }

    fn ahead(&mut self, now: Timestamp, id: i64) -> Result<Option<Ahead>, Error> {
        let Some(task) = self.store.task(id)? else {
            return Ok(None);
        };
        let finished = finished_stages(&self.in_use.settings);
        let stage = task.stage.as_deref();
        let looks_like = stage.and_then(|stage| near_finished(stage, &finished));
        Ok(Some(Ahead {
            looks_like: looks_like.map(Into::into),
            work: self.store.task_work(now, id)?,
            task,
        }))
    }
}

/// A copy of the state in which things are done that an operator could do.
struct WhatIf {
    state: Snapshot,
    done: Symbol,
    repos: BTreeMap<i64, Symbol>,
}

impl WhatIf {
    fn new(mut state: Snapshot, done: &str) -> WhatIf {
        let known = state.symbols.iter().find(|(_, text)| *text == done);
        let known = known.map(|(symbol, _)| symbol);
        let done = known.unwrap_or_else(|| state.symbols.push(done));
        let rows = zip(&state.freezes.id, &state.freezes.repo);
        let with_repo = rows.filter(|(_, repo)| **repo != NULL);
        let repos = with_repo.map(|(id, repo)| (*id, *repo)).collect();
        WhatIf { state, done, repos }
    }

    /// What `task done` does. False when that changes nothing.
    fn finish(&mut self, id: i64) -> bool {
        let tasks = &mut self.state.tasks;
        let stage = zip(&tasks.id, &mut tasks.stage)
            .find(|(task, stage)| **task == id && **stage != self.done);
        stage.map(|(_, stage)| *stage = self.done).is_some()
    }

    /// What `unfreeze` does: clears every freeze of the repo, whose name is returned. None when that
    /// changes nothing.
    fn unfreeze(&mut self, id: i64) -> Option<String> {
        let repo = *self.repos.get(&id)?;
        let mut changed = false;
        let freezes = &mut self.state.freezes;
        let of_repo = zip(&freezes.repo, &mut freezes.cleared_at);
        for (_, cleared_at) in of_repo.filter(|(frozen, _)| **frozen == repo) {
            if *cleared_at == NULL {
                // Any value clears it.
                *cleared_at = repo;
                changed = true;
            }
        }
        let name = self.state.symbols.text(repo)?;
        changed.then(|| name.to_owned())
    }
}
