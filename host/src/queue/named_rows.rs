//! Whether the task and the freeze that a policy names in a hold are what a reader expects.
//!
//! Owns the look at these rows, and the words for a row that does not exist or is of another repo.
//! Such a reference is shown as the policy's word and not as a fact: a policy may put a later task
//! first on purpose. Leaves the verdict as it is. Callers rely on this: the number of looks has a
//! bound, however many jobs are held; beyond it a hold is shown without a doubt.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::state::State;
use super::{Error, Queue};
use crate::error::with_causes;
use crate::model::{Hold, Verdict};
use crate::store::{FreezeOf, TaskRow};

/// How many rows are looked at for one answer.
const LOOKS: usize = 2_000;

/// What is wrong with a task or a freeze that a hold names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// There is no such task.
    #[error("task {task}, which does not exist")]
    NoTask {
        /// As the policy has it.
        task: i64,
    },
    /// The task comes after the job's own, or is it.
    #[error("task {task}, which is not an earlier one")]
    NotEarlier {
        /// The task.
        task: i64,
    },
    /// The task is of another repo.
    #[error("task {task}, which is not of this repo")]
    TaskElsewhere {
        /// The task.
        task: i64,
    },
    /// There is no such freeze.
    #[error("a freeze, row {freeze}, which does not exist")]
    NoFreeze {
        /// Its row, as the policy has it.
        freeze: i64,
    },
    /// The freeze is over.
    #[error("a freeze, row {freeze}, which was cleared")]
    Cleared {
        /// Its row.
        freeze: i64,
    },
    /// The freeze is of another repo.
    #[error("a freeze, row {freeze}, which is not of this repo")]
    FreezeElsewhere {
        /// Its row.
        freeze: i64,
    },
}

impl Doubt {
    /// Whether it is about the task that a hold names.
    pub fn is_of_task(&self) -> bool {
        matches!(
            self,
            Doubt::NoTask { .. } | Doubt::NotEarlier { .. } | Doubt::TaskElsewhere { .. }
        )
    }
}

impl Serialize for Doubt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The job that a hold is about.
pub(super) struct HeldJob<'a> {
    pub repo: Option<&'a str>,
    pub task: Option<i64>,
}

/// The rows that were looked at.
#[derive(Default)]
pub(super) struct NamedRows {
    tasks: BTreeMap<i64, Option<Option<String>>>,
    freezes: BTreeMap<i64, Option<FreezeOf>>,
}

impl NamedRows {
    /// These tasks were looked at before. None for a task that does not exist.
    pub fn of_tasks<'a>(tasks: impl Iterator<Item = (i64, Option<&'a TaskRow>)>) -> NamedRows {
        NamedRows {
            tasks: tasks
                .map(|(id, task)| (id, task.map(|task| task.repo.clone())))
                .collect(),
            ..NamedRows::default()
        }
    }
}

impl Queue {
    /// What is wrong with the rows that a hold names.
    pub(super) fn doubts(
        &mut self,
        rows: &mut NamedRows,
        job: &HeldJob<'_>,
        hold: &Hold,
    ) -> Result<Vec<Doubt>, Error> {
        let mut doubts = Vec::new();
        if let Some(task) = hold.earlier_task {
            doubts.extend(self.doubt_of_task(rows, job, task)?);
        }
        if let Some(freeze) = hold.freeze {
            doubts.extend(self.doubt_of_freeze(rows, job, freeze)?);
        }
        Ok(doubts)
    }

    fn doubt_of_task(
        &mut self,
        rows: &mut NamedRows,
        job: &HeldJob<'_>,
        task: i64,
    ) -> Result<Option<Doubt>, Error> {
        let read = || Ok(self.store.task(task)?.map(|found| found.repo));
        let Some(found) = looked_up(&mut rows.tasks, task, read)? else {
            return Ok(None);
        };
        Ok(match found {
            None => Some(Doubt::NoTask { task }),
            Some(repo) if repo.as_deref() != job.repo => Some(Doubt::TaskElsewhere { task }),
            Some(_) if job.task.is_some_and(|own| own <= task) => Some(Doubt::NotEarlier { task }),
            Some(_) => None,
        })
    }

    fn doubt_of_freeze(
        &mut self,
        rows: &mut NamedRows,
        job: &HeldJob<'_>,
        freeze: i64,
    ) -> Result<Option<Doubt>, Error> {
        let read = || Ok(self.store.freeze_of(freeze)?);
        let Some(found) = looked_up(&mut rows.freezes, freeze, read)? else {
            return Ok(None);
        };
        Ok(match found {
            None => Some(Doubt::NoFreeze { freeze }),
            Some(found) if found.repo.as_deref() != job.repo => {
                Some(Doubt::FreezeElsewhere { freeze })
            }
            Some(found) if !found.is_active => Some(Doubt::Cleared { freeze }),
            Some(_) => None,
        })
    }

    /// Adds to each held job of a state what is wrong with the rows that its hold names.
    pub(super) fn note_doubts(&mut self, state: &mut State) {
        if let Err(error) = self.try_to_note_doubts(state) {
            state.notes.push(format!(
                "what holds name was not looked at: {}",
                with_causes(&error)
            ));
        }
    }

    fn try_to_note_doubts(&mut self, state: &mut State) -> Result<(), Error> {
        let mut rows = NamedRows::default();
        for (repo, found) in &mut state.per_repo {
            for waiting in &mut found.waiting {
                if let Some(Verdict::Hold(hold)) = &waiting.verdict {
                    let job = HeldJob {
                        repo: Some(repo),
                        task: waiting.job.task_id,
                    };
                    waiting.doubts = self.doubts(&mut rows, &job, hold)?;
                }
            }
        }
        for other in state.others.held.iter_mut().take(LOOKS) {
            if let Some(Verdict::Hold(hold)) = &other.verdict
                && let Some(row) = self.store.job(other.job_id)?
            {
                let job = HeldJob {
                    repo: row.repo.as_deref(),
                    task: row.task_id,
                };
                other.doubts = self.doubts(&mut rows, &job, hold)?;
            }
        }
        Ok(())
    }
}

/// A row, known or read now; none beyond the bound on looks.
fn looked_up<T: Clone>(
    rows: &mut BTreeMap<i64, T>,
    id: i64,
    read: impl FnOnce() -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    if let Some(known) = rows.get(&id) {
        return Ok(Some(known.clone()));
    }
    if rows.len() == LOOKS {
        return Ok(None);
    }
    let found = read()?;
    rows.insert(id, found.clone());
    Ok(Some(found))
}
