//! The rows that can matter to a clause, table by table.
//!
//! Owns what a sub-select's filter demands of its rows for every job: the columns that equal the
//! job's, and conditions on the row itself. Only conditions that the filter joins by `AND` count,
//! and only those that read this row, the job's ties and literals; all others, nested sub-selects
//! included, are taken to be true. Leaves the queries to the store.
//! Invariant: a row that is in none of a table's sources is in no sub-select of any queued job, so
//! the clause has the same value without it. Whether a row is in the footprint depends on the row
//! and the queued jobs only.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::Dialect;
use super::contract::{Column, Table};
use super::render::{self, Rendered};
use super::tree::{Comparison, Part, Predicate, Row, Select, Value};

/// The rows that can matter to one or several clauses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Sub-selects, reduced to their ties and to conditions on their own rows.
    selects: Vec<Select>,
}

/// Rows of one table that can matter, in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What the table's row is called in the condition.
    pub name: String,
    /// The columns of the row `jobs` that the condition reads. It is true of a row for one choice
    /// of them at most.
    pub job_columns: Vec<&'static str>,
    /// What a row has to fulfil for some queued job, which is called `jobs`.
    pub condition: Rendered,
}

impl Footprint {
    /// What can matter to a clause; `None` is the empty one, to which no row matters.
    pub(super) fn of(predicate: Option<&Predicate>) -> Footprint {
        let mut footprint = Footprint::default();
        if let Some(predicate) = predicate {
            predicate.walk(&mut |part| {
                if let Part::Select(select) = part {
                    footprint.add(without_other_rows(select));
                }
            });
        }
        footprint
    }

    /// What can matter to any clause of the language: each row that a sub-select could be tied to.
    pub fn of_every_clause() -> Footprint {
        let mut footprint = Footprint::default();
        for table in Table::ALL {
            for &own in table.columns() {
                for &of_job in Table::Jobs.columns() {
                    if table.is_indexed(own) && own.kind() == of_job.kind() {
                        footprint.add(tied(table, own, of_job));
                    }
                }
            }
        }
        footprint
    }

    /// Takes in what can matter to another clause.
    pub fn extend(&mut self, other: Footprint) {
        for select in other.selects {
            self.add(select);
        }
    }

    /// The sources of a table's rows that can matter, written for this database.
    pub fn sources(&self, table: Table, dialect: Dialect) -> Vec<Source> {
        let of_table = self.selects.iter().filter(|select| select.table == table);
        of_table.map(|select| source(select, dialect)).collect()
    }

    fn add(&mut self, select: Select) {
        if !self.selects.contains(&select) {
            self.selects.push(select);
        }
    }
}

fn tied(table: Table, own: Column, of_job: Column) -> Select {
    let number = 1;
    let (own, of_job) = (Row::Sub(number).cell(own), Row::Job.cell(of_job));
    Select {
        number,
        table,
        filter: Box::new(Predicate::compare(own, Comparison::Equal, of_job)),
    }
}

/// The sub-select without the conditions that read anything but its own row and its ties. It keeps
/// every row that it had.
fn without_other_rows(select: &Select) -> Select {
    let own = Row::Sub(select.number);
    let conjuncts = select.filter.conjuncts().iter();
    // A condition with a sub-select reads the job that it is tied to.
    let reads_only = |term: &Predicate| !term.has_cell(|cell| cell.row != own);
    let kept = conjuncts.filter(|term| is_tie(term, own) || reads_only(term));
    Select {
        filter: Box::new(Predicate::all(kept.cloned().collect())),
        ..select.clone()
    }
}

/// Whether a condition sets a column of the row equal to one of the job.
fn is_tie(term: &Predicate, own: Row) -> bool {
    match term {
        Predicate::Compare {
            left: Value::Cell(left),
            comparison: Comparison::Equal,
            right: Value::Cell(right),
        } => [(left.row, right.row), (right.row, left.row)].contains(&(own, Row::Job)),
        _ => false,
    }
}

fn source(select: &Select, dialect: Dialect) -> Source {
    let mut job_columns = Vec::new();
    select.filter.walk(&mut |part| {
        if let Part::Value(Value::Cell(cell)) = part
            && cell.row == Row::Job
            && !job_columns.contains(&cell.column.name())
        {
            job_columns.push(cell.column.name());
        }
    });
    Source {
        name: render::name(select.number),
        job_columns,
        condition: render::render(Some(&select.filter), dialect),
    }
}
