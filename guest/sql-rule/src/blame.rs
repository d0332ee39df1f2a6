//! Which rows hold a job.
//!
//! Owns the search for them: a condition that should have been otherwise is followed to the
//! sub-selects whose rows make it so. Leaves the truth to `truth`.

use alloc::format;
use alloc::string::{String, ToString};

use serial_gate_clause::tree::{Comparison, Predicate, Select, Value as Operand};
use serial_gate_clause::{Clause, Column, Dialect, Table};

use crate::decide::Hold;
use crate::tables::State;
use crate::truth::{Evaluation, Scope};
use crate::value::{Number, Value};

/// Rows that hold a job.
pub(crate) struct Blame<'a> {
    state: &'a State,
    evaluation: &'a Evaluation<'a>,
    job_row: usize,
    scope: Scope<'static>,
    task: Option<i64>,
    freeze: Option<i64>,
    job: Option<i64>,
}

/// Why a job waits for which the predicate is not true.
pub(crate) fn hold(
    clause: &Clause,
    state: &State,
    evaluation: &Evaluation<'_>,
    job: usize,
) -> Hold {
    let mut blame = Blame {
        state,
        evaluation,
        job_row: job,
        scope: Scope::of_job(job),
        task: None,
        freeze: None,
        job: None,
    };
    if let Some(predicate) = clause.predicate() {
        blame.search(predicate, true);
    }
    Hold {
        earlier_task: blame.task,
        freeze: blame.freeze,
        rule: blame.words(clause),
    }
}

impl Blame<'_> {
    /// Follows a condition that is not as `wanted`.
    fn search(&mut self, predicate: &Predicate, wanted: bool) {
        if self.evaluation.truth(predicate, &self.scope) == Some(wanted) {
            return;
        }
        match predicate {
            Predicate::Not(inner) => self.search(inner, !wanted),
            Predicate::All(terms) | Predicate::Any(terms) => {
                for term in terms {
                    self.search(term, wanted);
                }
            }
            Predicate::Exists(select) => self.rows(select),
            Predicate::Count {
                select,
                comparison,
                number,
            } => {
                let number = usize::from(*number);
                let count = self
                    .evaluation
                    .found(select, &self.scope)
                    .take(number + 1)
                    .count();
                let mut fewer = 0..count;
                if fewer.any(|fewer| comparison.holds(fewer.cmp(&number)) == wanted) {
                    self.rows(select);
                }
            }
            Predicate::Compare { left, right, .. } => self.values([left, right]),
            Predicate::InList { value, .. } | Predicate::IsNull { value, .. } => {
                self.values([value]);
            }
            Predicate::Between {
                value, low, high, ..
            } => self.values([value, low, high]),
            Predicate::Constant(_) => {}
        }
    }

    /// The rows with the values at the ends of a column.
    fn values<const N: usize>(&mut self, operands: [&Operand; N]) {
        for operand in operands {
            if let Operand::Extreme(extreme) = operand
                && let Some((row, _)) = self.evaluation.extreme(extreme, &self.scope)
            {
                self.row(extreme.select.table, row);
            }
        }
    }

    /// The first of the rows, or the newest freeze.
    fn rows(&mut self, select: &Select) {
        let mut found = self.evaluation.found(select, &self.scope);
        let row = match select.table {
            Table::RepoFreeze => found.next_back(),
            Table::Tasks | Table::Jobs => found.next(),
        };
        drop(found);
        if let Some(row) = row {
            self.row(select.table, row);
        }
    }

    fn row(&mut self, table: Table, row: usize) {
        let Some(id) = self.state.rows(table).ids.get(row).copied() else {
            return;
        };
        match table {
            Table::Tasks => self.task = Some(self.task.map_or(id, |task| task.min(id))),
            Table::Jobs => self.job = Some(self.job.map_or(id, |job| job.min(id))),
            Table::RepoFreeze => {
                self.freeze = Some(self.freeze.map_or(id, |freeze| freeze.max(id)));
            }
        }
    }

    /// What the rows alone do not say.
    fn words(&self, clause: &Clause) -> Option<String> {
        if let Some(job) = self.job {
            return Some(format!("job {job} holds it"));
        }
        match (self.task, self.freeze) {
            (Some(task), _) if !self.is_earlier(task) => Some(format!(
                "task {task} goes first, although it is not earlier"
            )),
            (None, None) => {
                let sql = clause.render(Dialect::Sqlite).to_string();
                Some(format!("the clause is not true: {sql}"))
            }
            _ => None,
        }
    }

    fn is_earlier(&self, task: i64) -> bool {
        let own = self.state.cell(Table::Jobs, self.job_row, Column::TaskId);
        let task = Value::Number(Number::of(task));
        task.compare(Comparison::Less, own) == Some(true)
    }
}
