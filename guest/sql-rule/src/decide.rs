//! `decide`: the clause of the same settings, evaluated over the snapshot.

use alloc::string::String;
use alloc::vec::Vec;

use serial_gate_clause::{Clause, Column, Table};

use crate::blame;
use crate::error::Error;
use crate::file::{RuleFile, Settings};
use crate::tables::State;
use crate::truth::{Evaluation, Scope};
use crate::value::Value;

/// The verdict for one job; `None` lets it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The job's id.
    pub job: i64,
    /// Why it waits.
    pub hold: Option<Hold>,
}

/// Why a job waits. At least one reason is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The first of the tasks that it waits for.
    pub earlier_task: Option<i64>,
    /// The newest of the freezes that hold it.
    pub freeze: Option<i64>,
    /// Any other reason, in words.
    pub rule: Option<String>,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The settings do not fit the rule.
    Rules(Error),
    /// The snapshot breaks the contract.
    Snapshot(String),
}

impl RuleFile {
    /// The policy's answer to `decide`: one decision for each queued job, in the snapshot's order.
    ///
    /// # Errors
    ///
    /// When the rules do not fit the file, or the snapshot breaks the contract.
    pub fn decide(&self, settings: Settings<'_>, state: &State) -> Result<Vec<Decision>, Fault> {
        let text = self.claim_clause(settings).map_err(Fault::Rules)?.text;
        let clause = Clause::accept(&text);
        let clause =
            clause.map_err(|refusal| Fault::Rules(Error::of_clause(&refusal, refusal.column())))?;
        state.check().map_err(Fault::Snapshot)?;
        let evaluated = clause
            .predicate()
            .map(|predicate| (predicate, Evaluation::new(predicate, state)));
        let hold = |job| {
            let (predicate, evaluation) = evaluated.as_ref()?;
            let passes = evaluation.truth(predicate, &Scope::of_job(job)) == Some(true);
            (!passes).then(|| blame::hold(&clause, state, evaluation, job))
        };
        let jobs = state.jobs.ids.iter().copied().enumerate();
        let queued = jobs.filter(|(job, _)| is_queued(state, *job));
        let decisions = queued.map(|(job, id)| Decision {
            job: id,
            hold: hold(job),
        });
        Ok(decisions.collect())
    }
}

fn is_queued(state: &State, job: usize) -> bool {
    match state.cell(Table::Jobs, job, Column::Status) {
        Value::Text(status) => status.text == "queued",
        _ => false,
    }
}
