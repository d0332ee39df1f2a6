//! The cost of a clause's sub-selects: does each look at a bounded number of rows?
//!
//! Owns the proof, over the list of `indexes`. A sub-select is cheap if one search by an
//! index answers its whole filter, so that the first row found fulfils it. A condition that the
//! index does not answer may be false for all rows but the last, and a sub-select inside another is
//! evaluated again for each row. Leaves the order of tasks and the partitions to `flat`. Callers
//! rely on this: for a clause that passes, the steps of SQLite for one job have a bound that
//! depends on the clause alone; `tests/clause/cost.rs` counts them.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::Dialect;
use super::contract::Column::{self, Id, Repo, TaskId};
use super::contract::Table;
use super::flat::Obstacle;
use super::indexes::{INDEXES, Index, Rows};
use super::render;
use super::tree::{Comparison, Literal, Part, Predicate, Row, Select, Value};

/// Proves that each sub-select looks at a bounded number of rows.
pub(super) fn check(predicate: &Predicate) -> Result<(), Obstacle> {
    let (mut condition, mut obstacle) = (predicate, None);
    predicate.walk(&mut |part| {
        let (select, wanted) = match part {
            Part::Predicate(inner) => {
                condition = inner;
                match inner {
                    Predicate::Exists(select) | Predicate::Count { select, .. } => {
                        (select, Wanted::First)
                    }
                    _ => return,
                }
            }
            Part::Value(Value::Extreme(extreme)) => {
                (&extreme.select, Wanted::Extreme(extreme.column))
            }
            _ => return,
        };
        if let Err(walks) = select_is_cheap(select, wanted) {
            obstacle.get_or_insert_with(|| {
                let part = walks.unwrap_or(condition);
                Obstacle::Rows {
                    part: render::render(Some(part), Dialect::Sqlite).to_string(),
                    table: select.table.name(),
                    remedy: remedy(select.table, walks),
                }
            });
        }
    });
    obstacle.map_or(Ok(()), Err)
}

/// What to write instead of a condition that no index answers, or without a condition, instead of
/// an order that no index has.
fn remedy(table: Table, term: Option<&Predicate>) -> &'static str {
    match (term, table) {
        (None, _) => {
            "take `min` or `max` of `id` where `repo` and one `stage`, `stage <> 'done'`, or \
             `status = 'queued'` and `agent` are compared"
        }
        (Some(term), _) if has_select(term) => "move the inner sub-select out of the outer one",
        (_, Table::Tasks) => {
            "with `repo`, compare `stage <> 'done'` or `stage` with one text, then `id`, and \
             nothing else"
        }
        (_, Table::Jobs) => {
            "with `repo`, compare `status = 'queued'`, then `agent`, then `task_id`, and \
             nothing else"
        }
        (_, Table::RepoFreeze) => "with `repo`, compare `cleared_at IS NULL` and nothing else",
    }
}

/// What is asked of a sub-select's rows.
#[derive(Clone, Copy)]
enum Wanted {
    /// The first ones: whether there is one, or a number that is written out.
    First,
    /// The least or the greatest value of a column.
    Extreme(Column),
}

impl Rows {
    /// The condition that a filter must have, word for word, so that SQLite takes the index; none
    /// where all rows are in it.
    fn condition(self, own: Row) -> Option<Predicate> {
        let compare = |column, comparison, text: &str| {
            let text = Value::Literal(Literal::Text(text.into()));
            Predicate::compare(own.cell(column), comparison, text)
        };
        match self {
            Rows::All => None,
            Rows::Unfinished => Some(compare(Column::Stage, Comparison::NotEqual, "done")),
            Rows::Queued => Some(compare(Column::Status, Comparison::Equal, "queued")),
            Rows::Active => Some(Predicate::IsNull {
                value: own.cell(Column::ClearedAt),
                negated: false,
            }),
        }
    }
}

/// Whether a sub-select is cheap. The error is the condition that is evaluated row by row, or none
/// if all rows are read for their order.
fn select_is_cheap(select: &Select, wanted: Wanted) -> Result<(), Option<&Predicate>> {
    let own = Row::Sub(select.number);
    // A condition on the job and literals only is evaluated once, before the first row.
    let terms: Vec<&Predicate> = select
        .filter
        .conjuncts()
        .iter()
        .filter(|term| reads(term, own) || has_select(term))
        .collect();
    let mut fewest: Option<Vec<&Predicate>> = None;
    let indexes = INDEXES.iter();
    for index in indexes.filter(|index| index.table() == select.table) {
        let Some(search) = Search::by(index, own, &terms) else {
            continue;
        };
        let left: Vec<&Predicate> = search
            .left
            .iter()
            .copied()
            .filter(|term| !search.is_of_few && !rejects_few(term, own))
            .collect();
        if left.is_empty() && search.finds(wanted) {
            return Ok(());
        }
        if fewest
            .as_ref()
            .is_none_or(|fewest| left.len() < fewest.len())
        {
            fewest = Some(left);
        }
    }
    let left = fewest.unwrap_or_default();
    let by_no_index = left.iter().find(|term| !is_of_an_index(term, own));
    Err(by_no_index.or(left.first()).copied())
}

/// A search by an index.
struct Search<'a> {
    /// The conditions that it does not answer.
    left: Vec<&'a Predicate>,
    /// The first column that is not set to a value: the rows are in its order.
    ordered_by: Option<Column>,
    /// Whether the id is set, so that there are as many rows as values at most.
    is_of_few: bool,
}

impl<'a> Search<'a> {
    /// None where the index does not serve.
    fn by(index: &Index, own: Row, terms: &[&'a Predicate]) -> Option<Search<'a>> {
        let mut search = Search {
            left: terms.to_vec(),
            ordered_by: None,
            is_of_few: false,
        };
        if let Some(condition) = index.rows.condition(own) {
            search.take(|term| *term == condition)?;
        }
        for &column in index.columns {
            if search.take(|term| sets(term, own, column)).is_none() {
                search.ordered_by = Some(column);
                search.take_range(own, column);
                break;
            }
            search.is_of_few |= column == Id;
        }
        Some(search)
    }

    fn finds(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::First => true,
            Wanted::Extreme(_) if self.is_of_few => true,
            Wanted::Extreme(column) => self.ordered_by == Some(column),
        }
    }

    fn take(&mut self, is_it: impl Fn(&Predicate) -> bool) -> Option<&'a Predicate> {
        let at = self.left.iter().position(|term| is_it(term))?;
        Some(self.left.remove(at))
    }

    /// Takes one condition for each end, as SQLite does: it evaluates a second one row by row.
    fn take_range(&mut self, own: Row, column: Column) {
        if self.take(|term| is_between(term, own, column)).is_none() {
            for end in [End::Low, End::High] {
                self.take(|term| bounds(term, own, column) == Some(end));
            }
        }
    }
}

/// One end of a range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Low,
    High,
}

/// What a condition compares a column of the row with, if that is known before the row is.
fn compared(term: &Predicate, own: Row, column: Column) -> Option<Comparison> {
    let (comparison, other) = term.compares(&own.cell(column))?;
    (!value_reads(other, own)).then_some(comparison)
}

/// Whether a condition sets a column of the row to a value that is known before the row is. A list
/// does not count: depending on its statistics, SQLite may evaluate it row by row.
fn sets(term: &Predicate, own: Row, column: Column) -> bool {
    match term {
        Predicate::IsNull { value, negated } => !negated && *value == own.cell(column),
        _ => compared(term, own, column) == Some(Comparison::Equal),
    }
}

/// Whether an index answers a condition, where the others let it.
fn is_of_an_index(term: &Predicate, own: Row) -> bool {
    [Repo, Id, TaskId].into_iter().any(|column| {
        sets(term, own, column)
            || is_between(term, own, column)
            || bounds(term, own, column).is_some()
    })
}

/// Which end a condition sets to the range of a column.
fn bounds(term: &Predicate, own: Row, column: Column) -> Option<End> {
    match compared(term, own, column)? {
        Comparison::Less | Comparison::LessOrEqual => Some(End::High),
        Comparison::Greater | Comparison::GreaterOrEqual => Some(End::Low),
        Comparison::Equal | Comparison::NotEqual => None,
    }
}

fn is_between(term: &Predicate, own: Row, column: Column) -> bool {
    match term {
        Predicate::Between {
            value,
            low,
            high,
            negated: false,
        } => *value == own.cell(column) && !value_reads(low, own) && !value_reads(high, own),
        _ => false,
    }
}

/// Whether a condition is false for as many rows as it has values at most, because ids are unique.
fn rejects_few(term: &Predicate, own: Row) -> bool {
    let id = own.cell(Id);
    match term {
        Predicate::Compare {
            left,
            comparison: Comparison::NotEqual,
            right: Value::Literal(Literal::Integer(_)),
        } => *left == id,
        Predicate::InList {
            value,
            items,
            negated: true,
        } => *value == id && !items.contains(&Literal::Null),
        _ => false,
    }
}

fn reads(term: &Predicate, own: Row) -> bool {
    term.has_cell(|cell| cell.row == own)
}

/// The same of an operand.
fn value_reads(value: &Value, own: Row) -> bool {
    match value {
        Value::Literal(_) => false,
        Value::Cell(cell) => cell.row == own,
        Value::Extreme(extreme) => reads(&extreme.select.filter, own),
    }
}

fn has_select(term: &Predicate) -> bool {
    let mut has_one = false;
    term.walk(&mut |part| has_one |= matches!(part, Part::Select(_)));
    has_one
}
