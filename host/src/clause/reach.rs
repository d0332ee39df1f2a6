//! The rows that can matter to a clause, table by table.
//!
//! Owns what a sub-select says about the rows that it may have: which columns are equal to the
//! job's, and what its filter demands of a row whatever the job. Only conditions that the filter
//! joins by `AND` count, and only those that read this row, the job's ties and literals; all
//! others, nested sub-selects included, are taken to be true. Leaves the queries to the store.
//! Invariant: a row that is in none of a table's sources is no row of any sub-select, for any of
//! the queued jobs, so that without it the clause has the same value for each of them. Whether a
//! row is in reach depends on nothing but the row and the queued jobs.

use super::Dialect;
use super::contract::{Column, Table};
use super::render::{self, Rendered};
use super::tree::{Cell, Comparison, Part, Predicate, Row, Select, Value};

/// The rows that can matter to one or several clauses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Sub-selects of which nothing but ties and conditions on their own rows is left.
    selects: Vec<Select>,
}

/// Rows of one table that can matter, in SQL for SQLite.
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

impl Reach {
    /// What can matter to a clause; `None` is the empty one, to which no row does.
    pub(super) fn of(predicate: Option<&Predicate>) -> Reach {
        let mut reach = Reach::default();
        if let Some(predicate) = predicate {
            predicate.walk(&mut |part| {
                if let Part::Select(select) = part {
                    reach.add(without_other_rows(select));
                }
            });
        }
        reach
    }

    /// What can matter to any clause of the language: each row that a sub-select could be tied to.
    pub fn of_every_clause() -> Reach {
        let mut reach = Reach::default();
        for table in Table::ALL {
            for &own in table.columns() {
                for &of_job in Table::Jobs.columns() {
                    if table.is_indexed(own) && own.kind() == of_job.kind() {
                        reach.add(tied(table, own, of_job));
                    }
                }
            }
        }
        reach
    }

    /// Takes in what can matter to another clause.
    pub fn extend(&mut self, other: Reach) {
        for select in other.selects {
            self.add(select);
        }
    }

    /// Where the rows of a table come from that can matter: from each of these.
    pub fn sources(&self, table: Table) -> Vec<Source> {
        let of_table = self.selects.iter().filter(|select| select.table == table);
        of_table.map(source).collect()
    }

    fn add(&mut self, select: Select) {
        if !self.selects.contains(&select) {
            self.selects.push(select);
        }
    }
}

fn tied(table: Table, own: Column, of_job: Column) -> Select {
    let number = 1;
    let cell = |row, column| Value::Cell(Cell { row, column });
    let filter = Box::new(Predicate::Compare {
        left: cell(Row::Sub(number), own),
        comparison: Comparison::Equal,
        right: cell(Row::Job, of_job),
    });
    Select {
        number,
        table,
        filter,
    }
}

/// The sub-select without the conditions that something else than its own row and its ties has a
/// say in. It has at least the rows that it had.
fn without_other_rows(select: &Select) -> Select {
    let own = Row::Sub(select.number);
    let conjuncts = select.filter.conjuncts().iter();
    let kept = conjuncts.filter(|term| is_tie(term, own) || reads_only(term, own));
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

/// Whether a condition reads nothing but the row and literals. One with a sub-select reads the job
/// that it is tied to.
fn reads_only(term: &Predicate, own: Row) -> bool {
    let mut reads_only = true;
    term.walk(&mut |part| {
        if let Part::Value(Value::Cell(cell)) = part {
            reads_only &= cell.row == own;
        }
    });
    reads_only
}

fn source(select: &Select) -> Source {
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
        condition: render::render(Some(&select.filter), Dialect::Sqlite),
    }
}
