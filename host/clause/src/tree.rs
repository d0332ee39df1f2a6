//! The typed tree of an accepted clause.
//!
//! Owns the forms of the language. Leaves building it to `parse`, printing to `render`, and what it
//! proves about a rule to `flat`, `gated` and `footprint`.
//! Invariant: the tree of a clause is typed (integers meet integers, texts meet texts, `NULL` meets
//! both), every column exists in the row it names, every sub-select is tied to the job, and `All`
//! and `Any` have at least two terms, none of their own kind.

#![expect(
    missing_docs,
    reason = "most variants and fields are named after the SQL that they are"
)]

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::contract::{Column, Kind, Table};

/// A three-valued condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    Constant(bool),
    Not(Box<Predicate>),
    /// A chain of `AND`.
    All(Vec<Predicate>),
    /// A chain of `OR`.
    Any(Vec<Predicate>),
    Compare {
        left: Value,
        comparison: Comparison,
        right: Value,
    },
    /// `[NOT] IN` a list of at least one literal.
    InList {
        value: Value,
        items: Vec<Literal>,
        negated: bool,
    },
    /// `[NOT] BETWEEN`, both ends included.
    Between {
        value: Value,
        low: Value,
        high: Value,
        negated: bool,
    },
    /// `IS [NOT] NULL`.
    IsNull {
        value: Value,
        negated: bool,
    },
    /// Whether the sub-select has a row. Never `NULL`.
    Exists(Select),
    /// How many rows the sub-select has, compared with a small number. Never `NULL`.
    Count {
        select: Select,
        comparison: Comparison,
        number: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it is true of two values in this order.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The same comparison, read from its other side.
    pub fn turned(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

/// An operand of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Literal(Literal),
    Cell(Cell),
    /// `(SELECT min(column) FROM ...)`; `NULL` if no row has a value.
    Extreme(Box<Extreme>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Null,
    Integer(i64),
    /// Printable ASCII.
    Text(String),
}

/// A column of a row in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub row: Row,
    pub column: Column,
}

/// A row in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// The queued job that the clause is asked about.
    Job,
    /// The row of the sub-select with this number, from 1 in the order of the text.
    Sub(usize),
}

impl Row {
    /// A column of this row.
    pub(crate) const fn cell(self, column: Column) -> Value {
        Value::Cell(Cell { row: self, column })
    }
}

/// The smallest or the largest value of a column over a sub-select's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extreme {
    pub end: End,
    /// A column of the sub-select's own row.
    pub column: Column,
    pub select: Select,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Min,
    Max,
}

/// The rows of one table that pass a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The number that [`Row::Sub`] refers to.
    pub number: usize,
    pub table: Table,
    pub filter: Box<Predicate>,
}

impl Predicate {
    /// A chain of `AND`. Chains in parentheses are joined to it, so that a reader sees every
    /// conjunct in one list.
    pub(crate) fn all(terms: Vec<Predicate>) -> Predicate {
        let flat = terms.into_iter().flat_map(|term| match term {
            Predicate::All(inner) => inner,
            other => vec![other],
        });
        Predicate::All(flat.collect())
    }

    /// A chain of `OR`, joined likewise.
    pub(crate) fn any(terms: Vec<Predicate>) -> Predicate {
        let flat = terms.into_iter().flat_map(|term| match term {
            Predicate::Any(inner) => inner,
            other => vec![other],
        });
        Predicate::Any(flat.collect())
    }

    pub(crate) fn compare(left: Value, comparison: Comparison, right: Value) -> Predicate {
        Predicate::Compare {
            left,
            comparison,
            right,
        }
    }

    /// What this value is compared with, and how, if this is a comparison of it.
    pub(crate) fn compares(&self, value: &Value) -> Option<(Comparison, &Value)> {
        match self {
            Predicate::Compare {
                left,
                comparison,
                right,
            } if left == value => Some((*comparison, right)),
            Predicate::Compare {
                left,
                comparison,
                right,
            } if right == value => Some((comparison.turned(), left)),
            _ => None,
        }
    }

    /// The conditions that must all hold.
    pub fn conjuncts(&self) -> &[Predicate] {
        match self {
            Predicate::All(terms) => terms,
            other => core::slice::from_ref(other),
        }
    }
}

/// A part of a tree, for a search in it.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    Predicate(&'a Predicate),
    Value(&'a Value),
    Select(&'a Select),
}

impl Predicate {
    /// Shows every part, each before the parts that it is made of, in the order of the text.
    pub fn walk<'a>(&'a self, see: &mut dyn FnMut(Part<'a>)) {
        see(Part::Predicate(self));
        match self {
            Predicate::Constant(_) => {}
            Predicate::Not(inner) => inner.walk(see),
            Predicate::All(terms) | Predicate::Any(terms) => {
                for term in terms {
                    term.walk(see);
                }
            }
            Predicate::Compare { left, right, .. } => {
                left.walk(see);
                right.walk(see);
            }
            Predicate::InList { value, .. } | Predicate::IsNull { value, .. } => value.walk(see),
            Predicate::Between {
                value, low, high, ..
            } => {
                value.walk(see);
                low.walk(see);
                high.walk(see);
            }
            Predicate::Exists(select) | Predicate::Count { select, .. } => select.walk(see),
        }
    }

    pub(crate) fn has_cell(&self, is_it: impl Fn(&Cell) -> bool) -> bool {
        let mut has_one = false;
        self.walk(&mut |part| {
            if let Part::Value(Value::Cell(cell)) = part {
                has_one |= is_it(cell);
            }
        });
        has_one
    }

    /// Shows every literal, items of lists included.
    pub(crate) fn literals<'a>(&'a self, see: &mut dyn FnMut(&'a Literal)) {
        self.walk(&mut |part| match part {
            Part::Predicate(Predicate::InList { items, .. }) => items.iter().for_each(&mut *see),
            Part::Value(Value::Literal(literal)) => see(literal),
            _ => {}
        });
    }
}

impl Value {
    fn walk<'a>(&'a self, see: &mut dyn FnMut(Part<'a>)) {
        see(Part::Value(self));
        if let Value::Extreme(extreme) = self {
            extreme.select.walk(see);
        }
    }

    /// The type, or `None` for `NULL`, which has every type.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Value::Literal(literal) => literal.kind(),
            Value::Cell(cell) => Some(cell.column.kind()),
            Value::Extreme(extreme) => Some(extreme.column.kind()),
        }
    }
}

impl Literal {
    /// The type, or `None` for `NULL`.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Literal::Null => None,
            Literal::Integer(_) => Some(Kind::Integer),
            Literal::Text(_) => Some(Kind::Text),
        }
    }
}

impl Select {
    fn walk<'a>(&'a self, see: &mut dyn FnMut(Part<'a>)) {
        see(Part::Select(self));
        self.filter.walk(see);
    }

    /// Whether the filter's top level sets an indexed column of this row equal to a column of the
    /// job. Without it the sub-select would visit the whole table for every job.
    pub(crate) fn is_tied(&self) -> bool {
        let own = Row::Sub(self.number);
        let ties = |mine: &Cell, job: &Cell| {
            mine.row == own && self.table.is_indexed(mine.column) && job.row == Row::Job
        };
        self.filter.conjuncts().iter().any(|term| match term {
            Predicate::Compare {
                left: Value::Cell(left),
                comparison: Comparison::Equal,
                right: Value::Cell(right),
            } => ties(left, right) || ties(right, left),
            _ => false,
        })
    }
}
