//! Why a job waits, and what would release it.
//!
//! Owns the answer of `explain`. It knows no rule: it asks the policy for the reason, finishes the
//! task or clears the freeze that the policy names in a copy of the state, and asks again, until
//! the policy lets the job through. So its proposals are what the policy would accept. Leaves the
//! advice to `remedy`, which reads the state of each task's work.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::advice::Advice;
use super::explanation::{Ahead, Explanation, FreezeAhead, Held, Standing};
use super::named_rows::{HeldJob, NamedRows};
use super::pipeline::InPipeline;
use super::remedy;
use super::stages::near_finished;
use super::stages::stage_of;
use super::what_if::WhatIf;
use super::{Doubt, Error, Queue};
use crate::gate::{finished_stages, settings_of};
use crate::model::{Hold, Verdict};
use crate::observe::{Compared, compare_about};
use crate::store::{self, JobWork, TaskOutcome, WorkState};

/// How many tasks ahead are named; each costs a call of the policy.
const TASKS_NAMED: usize = 100;

impl Queue {
    /// Whether a job may be claimed, and why not, as it is at one moment.
    pub fn explain(&mut self, now: Timestamp, id: i64) -> Result<Explanation, Error> {
        let (explanation, compared) =
            self.from_one_state(|queue| queue.read_explanation(now, id))?;
        if matches!(explanation.standing, Standing::Claimable { .. }) {
            let clause = self.clause(now)?;
            self.doubt_heads(&clause, &[id]);
        }
        if let Some(compared) = compared {
            let (observer, gate, store) = self.parts();
            observer.count_look(gate, store, now, &compared);
        }
        Ok(explanation)
    }

    fn read_explanation(
        &mut self,
        now: Timestamp,
        id: i64,
    ) -> Result<(Explanation, Option<Compared>), Error> {
        let job = self.store.job(id)?.ok_or(store::Error::NoJob { id })?;
        let standing = match job.status.as_deref() {
            Some("queued") => self.standing(now, id)?,
            _ => Standing::NotQueued,
        };
        let compared = match &standing {
            Standing::NotQueued => None,
            _ => compare_about(&mut self.gate, &mut self.store, now, id),
        };
        let mut contradicting = compared.iter().flat_map(|compared| &compared.found.jobs);
        let contradiction = contradicting.next().cloned();
        let branch = match job.task_id {
            Some(task) => self.store.branch(task)?,
            None => None,
        };
        let task_is_over = match job.task_id {
            Some(task) => self.is_over(task)?,
            None => false,
        };
        let work = self.store.job_work(now, id)?.unwrap_or_default();
        let advice = match &standing {
            Standing::Claimable { .. } => Vec::new(),
            Standing::NotQueued => self.advice_for_itself(now, job.task_id, &work)?,
            Standing::Held(held) => remedy::of_held(held, self.front_is_held(now, held)?),
        };
        let output = self.store.output_of(id)?;
        let explanation = Explanation {
            job,
            standing,
            contradiction,
            work,
            advice,
            branch,
            task_is_over,
            output,
        };
        Ok((explanation, compared))
    }

    /// What helps with a job that is not queued. Nothing, if it failed and was replaced, or its
    /// task is finished.
    fn advice_for_itself(
        &mut self,
        now: Timestamp,
        task: Option<i64>,
        work: &JobWork,
    ) -> Result<Vec<Advice>, Error> {
        let advice = match task {
            Some(task) if self.is_over(task)? => remedy::of_job_that_is_over(work, false),
            Some(task) if work.state != WorkState::Running && self.store.is_merged(task)? => {
                remedy::of_job_that_is_over(work, true)
            }
            Some(task) if work.state == WorkState::Failed => {
                let of_task = self.store.task_work(now, task)?;
                let is_last = of_task.jobs().any(|job| job.job_id == work.job_id);
                remedy::of_job(work).filter(|_| is_last)
            }
            _ => remedy::of_job(work),
        };
        Ok(advice.into_iter().collect())
    }

    fn is_over(&mut self, task: i64) -> Result<bool, Error> {
        let stage = self.store.task(task)?.and_then(|task| task.stage);
        let finished = self.gate.finished_stages();
        Ok(stage.is_some_and(|stage| finished.contains(&stage)))
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
        // The next claim puts these back first, to their old places.
        let clause = self.clause(now)?;
        let finished = self.gate.finished_stages();
        let back = self
            .store
            .back_before(&clause.rendered, now, id, &finished)?;
        Ok(Standing::Claimable {
            ahead: ahead + back,
        })
    }

    /// Everything that holds a job; none if nothing does.
    fn reasons(&mut self, now: Timestamp, id: i64) -> Result<Option<Held>, Error> {
        // Finishing a task or clearing a freeze brings no further row into the footprint.
        let footprint = self.footprint(now)?;
        // A task is ended by the generation's rules, even if this process overrides them.
        let generation = self.gate.generation();
        let theirs = generation.filter(|_| self.gate.is_overridden());
        let finished = match theirs.map(settings_of) {
            Some(theirs) => theirs
                .map(|theirs| finished_stages(&theirs))
                .unwrap_or_default(),
            None => self.gate.finished_stages(),
        };
        let done = stage_of(TaskOutcome::Done, &finished);
        let mut what_if = WhatIf::new(self.store.snapshot(&footprint, Some(id))?, done);
        let (mut held, mut holds) = (Held::default(), Vec::<Hold>::new());
        loop {
            let decisions = self.decide_over(now, &what_if.state)?;
            let decision = decisions.into_iter().find(|decision| decision.job == id);
            let Some(Verdict::Hold(hold)) = decision.map(|decision| decision.verdict) else {
                break;
            };
            if named_tasks(&holds).len() == TASKS_NAMED {
                held.more_tasks = true;
                break;
            }
            let is_undone = self.note_and_undo(now, &hold, &mut what_if, &mut held)?;
            holds.push(hold);
            if !is_undone {
                held.stuck = true;
                break;
            }
        }
        if holds.is_empty() {
            return Ok(None);
        }
        self.name_tasks(now, id, &holds, &mut held)?;
        Ok(Some(held))
    }

    /// Notes a reason, and changes the copy as an operator could change the queue. False if no
    /// change is possible.
    fn note_and_undo(
        &mut self,
        now: Timestamp,
        hold: &Hold,
        what_if: &mut WhatIf,
        held: &mut Held,
    ) -> Result<bool, Error> {
        let mut undone = hold.earlier_task.is_some_and(|id| what_if.finish(id));
        if let Some(repo) = hold.freeze.and_then(|freeze| what_if.unfreeze(freeze)) {
            // Neither the empty repo nor a repo that is not text can be named to `unfreeze`.
            let freeze = self
                .store
                .active_freeze(Some(&repo))?
                .filter(|_| !repo.is_empty());
            held.stuck |= freeze.is_none();
            undone |= freeze.is_some();
            if let Some(freeze) = freeze {
                held.freezes.push(FreezeAhead {
                    deploy: self.store.deploy_of_freeze(&repo, freeze.id)?,
                    further: self.store.further_freezes(&repo, freeze.id, now)?,
                    freeze,
                    repo,
                });
            }
        }
        if let Some(rule) = hold.rule.as_ref().filter(|rule| !held.rules.contains(rule)) {
            held.rules.push(rule.clone());
        }
        Ok(undone)
    }

    /// Adds the tasks that the holds name, and what is wrong with the rows that they name. All tasks
    /// are read together.
    fn name_tasks(
        &mut self,
        now: Timestamp,
        id: i64,
        holds: &[Hold],
        held: &mut Held,
    ) -> Result<(), Error> {
        let named = named_tasks(holds);
        let mut found = match named.as_slice() {
            [] => BTreeMap::new(),
            named => self.store.tasks_at_work(now, named)?,
        };
        let row = self.store.job(id)?;
        let job = HeldJob {
            repo: row.as_ref().and_then(|row| row.repo.as_deref()),
            task: row.as_ref().and_then(|row| row.task_id),
        };
        let tasks = named
            .iter()
            .map(|id| (*id, found.get(id).map(|(task, _)| task)));
        let mut rows = NamedRows::of_tasks(tasks);
        for hold in holds {
            for doubt in self.doubts(&mut rows, &job, hold)? {
                if !held.doubts.contains(&doubt) {
                    held.doubts.push(doubt);
                }
            }
        }
        let pipeline = self.store.pipeline()?;
        let finished = self.gate.finished_stages();
        for id in named {
            let is_elsewhere = held.doubts.contains(&Doubt::TaskElsewhere { task: id });
            let Some((task, work)) = found.remove(&id).filter(|_| !is_elsewhere) else {
                continue;
            };
            let stage = task.stage.as_deref();
            let looks_like = stage.and_then(|stage| near_finished(stage, &finished));
            held.tasks.push(Ahead {
                looks_like: looks_like.map(Into::into),
                in_pipeline: InPipeline::of(pipeline.as_ref(), stage),
                work,
                task,
            });
        }
        Ok(())
    }
}

/// The tasks that holds name, each once, in the order of the holds.
fn named_tasks(holds: &[Hold]) -> Vec<i64> {
    let mut named = Vec::new();
    for id in holds.iter().filter_map(|hold| hold.earlier_task) {
        if !named.contains(&id) {
            named.push(id);
        }
    }
    named
}
