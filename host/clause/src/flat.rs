//! What makes a claim flat: its cost stays the same however many jobs are held.
//!
//! Owns the proof that, among the queued jobs of one repo and one agent, those that may be claimed
//! come first in the order of `task_id`, and that they depend on rows of the same repo only. It is
//! read off the typed tree; nothing that a policy declares is believed. Leaves the agents to
//! `gated`, the rows of a sub-select to `cost`, and the index of heads to the store.
//! Invariant: a clause with partitions has, for each state of the tables, each repo and each agent,
//! a truth value that is a function of `task_id` alone. Where it is true for one `task_id`, it is
//! true for every one before it. The order is that of SQLite's indexes: NULL, numbers, texts,
//! blobs.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Dialect;
use super::agents::Agents;
use super::contract::{Column, Table};
use super::gated::gated;
use super::render;
use super::tree::{Cell, Comparison, Part, Predicate, Row, Select, Value};

/// What is proved of a clause. A partition is the queued jobs of one repo and one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// The agents whose jobs it may hold.
    pub gated: Agents,
    /// Whether the clause depends on a job's place in the order of tasks.
    pub is_ordered: bool,
    /// The tables of its sub-selects: a change in a repo's rows of these may change what is held
    /// there.
    pub reads: Vec<Table>,
}

/// What prevents a proof. Each `part` is a condition as it is printed for SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of the text")]
pub enum Obstacle {
    /// The clause depends on a job's own number, so two jobs of one task may be treated
    /// differently.
    JobId { part: String },
    /// A sub-select may have rows of other repos. `name` is what `part` calls its row.
    Repo { part: String, name: String },
    /// A later task may be let through where an earlier one is held.
    Order { part: String },
    /// A sub-select may look at any number of rows, although the clause has partitions.
    Rows {
        part: String,
        table: &'static str,
        remedy: &'static str,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::JobId { part } => write!(
                f,
                "`{part}` depends on `jobs.id`, so it may treat two jobs of one task differently: \
                 compare `jobs.task_id`"
            ),
            Obstacle::Repo { part, name } => write!(
                f,
                "`{part}` is not tied by `repo`, so a change in any repo may release a job: \
                 add `AND {name}.repo = jobs.repo` to its WHERE"
            ),
            Obstacle::Order { part } => write!(
                f,
                "`{part}` may let a later task through where an earlier one is held: \
                 compare `jobs.task_id` so that a later task only ever waits for more"
            ),
            Obstacle::Rows {
                part,
                table,
                remedy,
            } => write!(
                f,
                "`{part}` looks at one row of `{table}` after another, so a claim costs more the \
                 more rows there are: {remedy}"
            ),
        }
    }
}

impl core::error::Error for Obstacle {}

impl Obstacle {
    /// What it means for a claim, and why.
    pub fn in_words(&self) -> String {
        match self {
            Obstacle::Rows { .. } => self.to_string(),
            Obstacle::JobId { .. } | Obstacle::Repo { .. } | Obstacle::Order { .. } => {
                format!(
                    "each looks at every held job before the first that may be claimed, which is \
                     slow with thousands of them. The policy's author can mend that: {self}"
                )
            }
        }
    }
}

/// Proves the partitions of a clause; `None` is the empty one, which lets every job pass.
pub(super) fn partitions(
    predicate: Option<&Predicate>,
    reads: Vec<Table>,
) -> Result<Partitions, Obstacle> {
    let always = Predicate::Constant(true);
    let predicate = predicate.unwrap_or(&always);
    if let Some(part) = using(predicate, Column::Id) {
        return Err(Obstacle::JobId {
            part: printed(part),
        });
    }
    if let Some(select) = untied(predicate) {
        return Err(Obstacle::Repo {
            part: printed(&Predicate::Exists(select.clone())),
            name: render::name(select.number),
        });
    }
    closed(predicate, Truth::True, Side::Before).map_err(|part| Obstacle::Order {
        part: printed(part),
    })?;
    Ok(Partitions {
        gated: gated(predicate),
        is_ordered: using(predicate, Column::TaskId).is_some(),
        reads,
    })
}

fn printed(part: &Predicate) -> String {
    render::render(Some(part), Dialect::Sqlite).to_string()
}

/// The innermost condition that reads a column of the job.
fn using(predicate: &Predicate, column: Column) -> Option<&Predicate> {
    let of_job = Cell {
        row: Row::Job,
        column,
    };
    let (mut condition, mut found) = (predicate, None);
    predicate.walk(&mut |part| match part {
        Part::Predicate(inner) => condition = inner,
        Part::Value(Value::Cell(cell)) if *cell == of_job => {
            found.get_or_insert(condition);
        }
        _ => {}
    });
    found
}

/// A sub-select that may have rows of another repo than the job's.
fn untied(predicate: &Predicate) -> Option<&Select> {
    let mut found = None;
    predicate.walk(&mut |part| {
        if let Part::Select(select) = part
            && !is_tied_by_repo(select)
        {
            found.get_or_insert(select);
        }
    });
    found
}

/// Whether the clause reads rows of the job's own repo only.
pub(super) fn reads_own_repo_only(predicate: &Predicate) -> bool {
    untied(predicate).is_none()
}

fn is_tied_by_repo(select: &Select) -> bool {
    let own = Row::Sub(select.number).cell(Column::Repo);
    let job = Row::Job.cell(Column::Repo);
    let mut terms = select.filter.conjuncts().iter();
    terms.any(|term| term.compares(&own) == Some((Comparison::Equal, &job)))
}

/// One of the two truth values that are not NULL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
}

/// One side of a place in the order of tasks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl Truth {
    fn other(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
        }
    }
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Before => Side::After,
            Side::After => Side::Before,
        }
    }
}

/// Whether a condition with this truth value for one `task_id` also has it for all on that side, if
/// all else is equal. The error is the condition that prevents it.
///
/// The sets of places at which a chain of `AND` or `OR` has a truth value are unions and
/// intersections of its terms' sets, so the chain has the property if all its terms have it. `NOT`
/// swaps the truth values. A sub-select has a row where its filter is true for one of them; `NULL`
/// and false are the same there, which is why truth and falsehood go separate ways.
fn closed(predicate: &Predicate, truth: Truth, side: Side) -> Result<(), &Predicate> {
    match predicate {
        Predicate::Not(inner) => closed(inner, truth.other(), side),
        Predicate::All(terms) | Predicate::Any(terms) => {
            terms.iter().try_for_each(|term| closed(term, truth, side))
        }
        Predicate::Exists(select) => match truth {
            Truth::True => closed(&select.filter, Truth::True, side),
            Truth::False => closed(&select.filter, Truth::True, side.other()),
        },
        Predicate::Count {
            select, comparison, ..
        } => {
            let is_of_many = match comparison {
                Comparison::Greater | Comparison::GreaterOrEqual => true,
                Comparison::Less | Comparison::LessOrEqual => false,
                Comparison::Equal | Comparison::NotEqual => return does_not_move(predicate),
            };
            // There are more rows on the side to which the filter is closed.
            let side = if is_of_many == (truth == Truth::True) {
                side
            } else {
                side.other()
            };
            closed(&select.filter, Truth::True, side)
        }
        Predicate::Between {
            value,
            low,
            high,
            negated,
        } => {
            let truth = if *negated { truth.other() } else { truth };
            let ends = [
                (value, Comparison::GreaterOrEqual, low),
                (value, Comparison::LessOrEqual, high),
            ];
            let is_closed = ends.into_iter().all(|(left, comparison, right)| {
                compares_closed(left, comparison, right, truth, side)
            });
            is_closed.then_some(()).ok_or(predicate)
        }
        Predicate::Compare {
            left,
            comparison,
            right,
        } => compares_closed(left, *comparison, right, truth, side)
            .then_some(())
            .ok_or(predicate),
        // NULL is the first place of all, and only a job without a task has it.
        Predicate::IsNull { value, negated } if is_place(value) => {
            let is_before = (truth == Truth::True) != *negated;
            (is_before == (side == Side::Before))
                .then_some(())
                .ok_or(predicate)
        }
        Predicate::IsNull { .. } | Predicate::InList { .. } | Predicate::Constant(_) => {
            does_not_move(predicate)
        }
    }
}

/// Whether a comparison is closed. With NULL at the first place it is neither true nor false, so
/// only what is true or false of later places can be closed to a side, and that is the later one.
fn compares_closed(
    left: &Value,
    comparison: Comparison,
    right: &Value,
    truth: Truth,
    side: Side,
) -> bool {
    if !moves_value(left) && !moves_value(right) {
        return true;
    }
    // The comparison as the job's place sees it.
    let comparison = if is_place(left) && !moves_value(right) {
        comparison
    } else if is_place(right) && !moves_value(left) {
        comparison.turned()
    } else {
        return false;
    };
    let grows = match comparison {
        Comparison::Greater | Comparison::GreaterOrEqual => true,
        Comparison::Less | Comparison::LessOrEqual => false,
        Comparison::Equal | Comparison::NotEqual => return false,
    };
    side == Side::After && grows == (truth == Truth::True)
}

/// Whether the value is the job's place in the order of tasks.
fn is_place(value: &Value) -> bool {
    *value == Row::Job.cell(Column::TaskId)
}

/// Whether a value depends on the job's place.
fn moves_value(value: &Value) -> bool {
    match value {
        Value::Literal(_) => false,
        Value::Cell(_) => is_place(value),
        Value::Extreme(extreme) => using(&extreme.select.filter, Column::TaskId).is_some(),
    }
}

fn does_not_move(predicate: &Predicate) -> Result<(), &Predicate> {
    match using(predicate, Column::TaskId) {
        None => Ok(()),
        Some(_) => Err(predicate),
    }
}
