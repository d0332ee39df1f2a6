//! The shape of a clause: what makes a claim cost the same however many jobs are held (DESIGN
//! section 6).
//!
//! Owns the proof that, among the queued jobs of one repo and one agent, those that may be claimed
//! come first in the order of `task_id`, and that only rows of the same repo have a say. It is read
//! off the typed tree; nothing that a policy declares is believed. Leaves the agents to `agents`,
//! and what a claim makes of it to the store. Invariant: a clause with a shape has, for each state
//! of the tables, each repo and each agent, a truth value that is a function of `task_id` alone;
//! and where it is true for one `task_id`, it is true for every one before it. The order is that of
//! SQLite's indexes: NULL, numbers, texts, blobs.

use super::Dialect;
use super::agents::{Agents, gated};
use super::contract::{Column, Table};
use super::render;
use super::tree::{Cell, Comparison, Part, Predicate, Row, Select, Value};

/// What is proved of a clause. Its partitions are the pairs of a repo and an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The agents whose jobs it may hold.
    pub gated: Agents,
    /// Whether a job's place in the order of tasks has a say.
    pub is_ordered: bool,
    /// The tables of its sub-selects: a change in a repo's rows of these may change what is held in
    /// that repo.
    pub reads: Vec<Table>,
}

/// What stands in the way of a proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A job's own number has a say, so two jobs of one task may fare differently.
    #[error(
        "`{part}` goes by `jobs.id`, so that two jobs of one task may fare differently: go by `jobs.task_id`"
    )]
    JobId {
        /// The condition, as it is printed for SQLite.
        part: String,
    },
    /// Rows of other repos have a say.
    #[error(
        "`{part}` is not tied by `repo`, so that a change in any repo may release a job: add `AND {name}.repo = jobs.repo` to its WHERE"
    )]
    Repo {
        /// The sub-select's table and condition, as they are printed for SQLite.
        part: String,
        /// What the sub-select's row is called there.
        name: String,
    },
    /// A later task may be let through where an earlier one is held.
    #[error(
        "`{part}` may let a later task through where an earlier one is held: compare `jobs.task_id` so that a later task only ever waits for more"
    )]
    Order {
        /// The condition, as it is printed for SQLite.
        part: String,
    },
    /// A sub-select may look at any number of rows. The clause has a shape all the same.
    #[error(
        "`{part}` looks at one row of `{table}` after another, so that a claim costs more the more rows there are: {remedy}"
    )]
    Rows {
        /// The condition, as it is printed for SQLite.
        part: String,
        /// The table.
        table: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
}

impl Obstacle {
    /// What it makes of a claim, and why.
    pub fn in_words(&self) -> String {
        match self {
            Obstacle::Rows { .. } => self.to_string(),
            Obstacle::JobId { .. } | Obstacle::Repo { .. } | Obstacle::Order { .. } => {
                format!("each looks at every held job before the first that may be claimed: {self}")
            }
        }
    }
}

/// Proves the shape of a clause; `None` is the empty one, which lets every job pass.
pub(super) fn derive(predicate: Option<&Predicate>, reads: &[Table]) -> Result<Shape, Obstacle> {
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
    Ok(Shape {
        gated: gated(predicate),
        is_ordered: using(predicate, Column::TaskId).is_some(),
        reads: reads.to_vec(),
    })
}

fn printed(part: &Predicate) -> String {
    render::render(Some(part), Dialect::Sqlite).to_string()
}

/// The innermost condition that goes by a column of the job.
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

/// A sub-select whose rows may be of another repo than the job.
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

/// Whether every row that has a say is of the job's own repo.
pub(super) fn reads_own_repo_only(predicate: &Predicate) -> bool {
    untied(predicate).is_none()
}

fn is_tied_by_repo(select: &Select) -> bool {
    let repo = |row| {
        Value::Cell(Cell {
            row,
            column: Column::Repo,
        })
    };
    let (own, job) = (repo(Row::Sub(select.number)), repo(Row::Job));
    select.filter.conjuncts().iter().any(|term| match term {
        Predicate::Compare {
            left,
            comparison: Comparison::Equal,
            right,
        } => (left, right) == (&own, &job) || (left, right) == (&job, &own),
        _ => false,
    })
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

/// Whether a condition that has a truth value for one `task_id` has it for all on that side too,
/// everything else being equal. The condition that stands in the way, if not.
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
            if is_closed { Ok(()) } else { Err(predicate) }
        }
        Predicate::Compare {
            left,
            comparison,
            right,
        } => {
            if compares_closed(left, *comparison, right, truth, side) {
                Ok(())
            } else {
                Err(predicate)
            }
        }
        // NULL is the first place of all, and the only one that is.
        Predicate::IsNull { value, negated } if is_place(value) => {
            let is_before = (truth == Truth::True) != *negated;
            if is_before == (side == Side::Before) {
                Ok(())
            } else {
                Err(predicate)
            }
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
    let grows = match comparison {
        Comparison::Less | Comparison::LessOrEqual if is_place(right) && !moves_value(left) => true,
        Comparison::Greater | Comparison::GreaterOrEqual
            if is_place(left) && !moves_value(right) =>
        {
            true
        }
        Comparison::Less | Comparison::LessOrEqual if is_place(left) && !moves_value(right) => {
            false
        }
        Comparison::Greater | Comparison::GreaterOrEqual
            if is_place(right) && !moves_value(left) =>
        {
            false
        }
        _ => return false,
    };
    side == Side::After && grows == (truth == Truth::True)
}

/// Whether the value is the job's place in the order of tasks.
fn is_place(value: &Value) -> bool {
    *value
        == Value::Cell(Cell {
            row: Row::Job,
            column: Column::TaskId,
        })
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
