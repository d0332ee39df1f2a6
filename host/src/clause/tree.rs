//! The typed tree of an accepted clause.
//!
//! Owns the shape of the language. Leaves building it to `lower` and `select`, printing to
//! `render`, and what it proves about a rule to the claim (DESIGN section 6). Invariant: the tree
//! is typed (integers meet integers, texts meet texts, `NULL` meets both), every column exists in
//! the row it names, every sub-select is tied to the job, and `All` and `Any` have at least two
//! terms, none of their own kind.

use super::contract::{Column, Kind, Table};

/// A three-valued condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Predicate {
    /// `TRUE` or `FALSE`.
    Constant(bool),
    /// `NOT`.
    Not(Box<Predicate>),
    /// A chain of `AND`.
    All(Vec<Predicate>),
    /// A chain of `OR`.
    Any(Vec<Predicate>),
    /// One comparison of two values.
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
    IsNull { value: Value, negated: bool },
    /// Whether the sub-select has a row. Never `NULL`.
    Exists(Select),
    /// How many rows the sub-select has, compared with a small number. Never `NULL`.
    Count {
        select: Select,
        comparison: Comparison,
        number: u16,
    },
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// An operand of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Literal(Literal),
    Cell(Cell),
    /// `(SELECT min(column) FROM ...)`; `NULL` if no row has a value.
    Extreme(Box<Extreme>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Null,
    Integer(i64),
    /// Printable ASCII.
    Text(String),
}

/// A column of a row in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub row: Row,
    pub column: Column,
}

/// A row in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// The queued job that the clause is asked about.
    Job,
    /// The row of the sub-select with this number, from 1 in the order of the text.
    Sub(usize),
}

/// The smallest or the largest value of a column over a sub-select's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extreme {
    pub end: End,
    /// A column of the sub-select's own row.
    pub column: Column,
    pub select: Select,
}

/// Which end of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Min,
    Max,
}

/// The rows of one table that pass a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Select {
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

    /// The conditions that must all hold.
    pub(crate) fn conjuncts(&self) -> &[Predicate] {
        match self {
            Predicate::All(terms) => terms,
            other => std::slice::from_ref(other),
        }
    }
}

/// A part of a tree, for those who look for something in it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    Predicate(&'a Predicate),
    Value(&'a Value),
    Select(&'a Select),
}

impl Predicate {
    /// Shows every part, each before the parts that it is made of, in the order of the text.
    pub(crate) fn walk<'a>(&'a self, see: &mut dyn FnMut(Part<'a>)) {
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
        self.filter.conjuncts().iter().any(|term| match term {
            Predicate::Compare {
                left: Value::Cell(left),
                comparison: Comparison::Equal,
                right: Value::Cell(right),
            } => [(left, right), (right, left)]
                .into_iter()
                .any(|(mine, job)| {
                    mine.row == own && self.table.is_indexed(mine.column) && job.row == Row::Job
                }),
            _ => false,
        })
    }
}
