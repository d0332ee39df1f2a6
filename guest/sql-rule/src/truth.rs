//! Whether a clause is true for a job.
//!
//! Owns the evaluation of the tree, in SQL's three truth values: `None` is NULL. A sub-select looks
//! its rows up by the column that ties it to the job, and those conditions that read the row and
//! literals only are evaluated once for each row, not for each job.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use serial_gate_clause::tree::{
    Cell, Comparison, End, Extreme, Literal, Part, Predicate, Row, Select, Value as Operand,
};
use serial_gate_clause::{Column, Table};

use crate::tables::{Groups, Key, State};
use crate::value::{Number, Text, Value};

/// A clause over a state.
pub(crate) struct Evaluation<'a> {
    state: &'a State,
    /// By the number of the sub-select.
    searches: BTreeMap<usize, Search<'a>>,
    lists: Lists<'a>,
}

/// The sorted items of each list that is longer than a few, by the address of the list.
type Lists<'a> = BTreeMap<usize, Vec<&'a Literal>>;

/// How the rows of a sub-select are found.
struct Search<'a> {
    /// The job's column that gives the key; `None` where no equality is of use.
    key: Option<Column>,
    groups: Groups,
    /// The ends of a range of ids: rows are in their order.
    bounds: Vec<(Comparison, &'a Operand)>,
    /// The other conditions that read more than the row and literals.
    rest: Vec<&'a Predicate>,
}

/// The rows in scope: the job, and the row of each open sub-select by its number.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s> {
    job: usize,
    inner: Option<(usize, Table, usize)>,
    outer: Option<&'s Scope<'s>>,
}

impl Scope<'_> {
    pub(crate) fn of_job(job: usize) -> Scope<'static> {
        Scope {
            job,
            inner: None,
            outer: None,
        }
    }

    fn place(&self, row: Row) -> (Table, usize) {
        match (row, self.inner, self.outer) {
            (Row::Sub(number), Some((inner, table, row)), _) if inner == number => (table, row),
            (Row::Sub(_), _, Some(outer)) => outer.place(row),
            _ => (Table::Jobs, self.job),
        }
    }
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(predicate: &'a Predicate, state: &'a State) -> Evaluation<'a> {
        let mut evaluation = Evaluation {
            state,
            searches: BTreeMap::new(),
            lists: BTreeMap::new(),
        };
        let mut selects = Vec::new();
        predicate.walk(&mut |part| match part {
            Part::Select(select) => selects.push(select),
            Part::Predicate(Predicate::InList { items, .. }) if items.len() > A_FEW => {
                let mut sorted: Vec<&Literal> = items.iter().collect();
                sorted.sort_unstable_by(|left, right| sorted_before(value(left), value(right)));
                evaluation.lists.insert(address(items), sorted);
            }
            _ => {}
        });
        // The inner ones come later in the text, and an outer one may evaluate them.
        for select in selects.into_iter().rev() {
            let search = evaluation.search(select);
            evaluation.searches.insert(select.number, search);
        }
        evaluation
    }

    fn search(&self, select: &'a Select) -> Search<'a> {
        let own = Row::Sub(select.number);
        let conjuncts = select.filter.conjuncts();
        let tie = conjuncts.iter().find_map(|term| tie(term, own));
        let (mut before, mut bounds, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for term in conjuncts {
            if tie.is_some() && self::tie(term, own) == tie {
                continue;
            }
            match bound(term, own) {
                _ if reads_only(term, own) => before.push(term),
                Some(bound) => bounds.push(bound),
                None => rest.push(term),
            }
        }
        let mut groups = Groups::new();
        for row in 0..self.state.rows(select.table).ids.len() {
            let scope = Scope {
                job: 0,
                inner: Some((select.number, select.table, row)),
                outer: None,
            };
            let key = match tie {
                Some((column, _)) => Key::of(self.state.cell(select.table, row, column)),
                None => Some(NO_KEY),
            };
            let passes = |term: &&Predicate| self.truth(term, &scope) == Some(true);
            if let Some(key) = key
                && before.iter().all(passes)
            {
                groups.entry(key).or_default().push(row);
            }
        }
        Search {
            key: tie.map(|(_, column)| column),
            groups,
            bounds,
            rest,
        }
    }

    /// The rows of a sub-select, in the order of their ids.
    pub(crate) fn found<'s>(
        &'s self,
        select: &'s Select,
        scope: &'s Scope<'s>,
    ) -> impl DoubleEndedIterator<Item = usize> + use<'s, 'a> {
        let search = self.searches.get(&select.number);
        let rows = search.and_then(|search| {
            let key = match search.key {
                Some(column) => Key::of(self.state.cell(Table::Jobs, scope.job, column)),
                None => Some(NO_KEY),
            };
            search.groups.get(&key?)
        });
        let rest = search.map_or(&[][..], |search| &search.rest);
        let rows = rows.map_or(&[][..], Vec::as_slice);
        let bounds = search.map_or(&[][..], |search| &search.bounds);
        let rows = bounds.iter().fold(rows, |rows, (comparison, operand)| {
            self.within(select.table, rows, *comparison, self.value(operand, scope))
        });
        rows.iter().copied().filter(move |row| {
            let inside = Scope {
                inner: Some((select.number, select.table, *row)),
                outer: Some(scope),
                ..*scope
            };
            rest.iter()
                .all(|term| self.truth(term, &inside) == Some(true))
        })
    }

    /// The rows whose ids are on one side of a value.
    fn within<'r>(
        &self,
        table: Table,
        rows: &'r [usize],
        comparison: Comparison,
        value: Value<'_>,
    ) -> &'r [usize] {
        let compare = |row: &usize, comparison| {
            let id = self.state.cell(table, *row, Column::Id);
            id.compare(comparison, value)
        };
        if value.is_null() {
            return &[];
        }
        let is_start = matches!(comparison, Comparison::Less | Comparison::LessOrEqual);
        let at = rows.partition_point(|row| compare(row, comparison) == Some(is_start));
        let (start, end) = rows.split_at_checked(at).unwrap_or_default();
        if is_start { start } else { end }
    }

    pub(crate) fn truth(&self, predicate: &Predicate, scope: &Scope<'_>) -> Option<bool> {
        match predicate {
            Predicate::Constant(constant) => Some(*constant),
            Predicate::Not(inner) => self.truth(inner, scope).map(|truth| !truth),
            Predicate::All(terms) => self.chain(terms, scope, false),
            Predicate::Any(terms) => self.chain(terms, scope, true),
            Predicate::Compare {
                left,
                comparison,
                right,
            } => {
                let (left, right) = (self.value(left, scope), self.value(right, scope));
                left.compare(*comparison, right)
            }
            Predicate::InList {
                value,
                items,
                negated,
            } => {
                let truth = self.is_in(self.value(value, scope), items);
                truth.map(|truth| truth != *negated)
            }
            Predicate::Between {
                value,
                low,
                high,
                negated,
            } => {
                let value = self.value(value, scope);
                let above = value.compare(Comparison::GreaterOrEqual, self.value(low, scope));
                let below = value.compare(Comparison::LessOrEqual, self.value(high, scope));
                and([above, below]).map(|truth| truth != *negated)
            }
            Predicate::IsNull { value, negated } => {
                Some(self.value(value, scope).is_null() != *negated)
            }
            Predicate::Exists(select) => Some(self.found(select, scope).next().is_some()),
            Predicate::Count {
                select,
                comparison,
                number,
            } => {
                let one_more = usize::from(*number) + 1;
                let count = self.found(select, scope).take(one_more).count();
                Some(comparison.holds(count.cmp(&usize::from(*number))))
            }
        }
    }

    /// A chain whose truth one term of this kind decides.
    fn chain(&self, terms: &[Predicate], scope: &Scope<'_>, decides: bool) -> Option<bool> {
        let mut truth = Some(!decides);
        for term in terms {
            match self.truth(term, scope) {
                Some(one) if one == decides => return Some(decides),
                Some(_) => {}
                None => truth = None,
            }
        }
        truth
    }

    fn is_in(&self, value: Value<'_>, items: &[Literal]) -> Option<bool> {
        if value.is_null() {
            return None;
        }
        let is_there = match self.lists.get(&address(items)) {
            Some(sorted) => {
                let found = sorted.binary_search_by(|item| sorted_before(self::value(item), value));
                found.is_ok()
            }
            None => items
                .iter()
                .any(|item| self::value(item).order(value) == Some(Ordering::Equal)),
        };
        // Equal or unequal to NULL is not known.
        let is_known = is_there || !items.contains(&Literal::Null);
        is_known.then_some(is_there)
    }

    fn value<'s>(&'s self, operand: &'s Operand, scope: &Scope<'_>) -> Value<'s> {
        match operand {
            Operand::Literal(literal) => value(literal),
            Operand::Cell(Cell { row, column }) => {
                let (table, row) = scope.place(*row);
                self.state.cell(table, row, *column)
            }
            Operand::Extreme(extreme) => self
                .extreme(extreme, scope)
                .map_or(Value::Null, |(_, value)| value),
        }
    }

    /// The value at one end of a column, and the first row that has it.
    pub(crate) fn extreme<'s>(
        &'s self,
        extreme: &'s Extreme,
        scope: &Scope<'_>,
    ) -> Option<(usize, Value<'s>)> {
        let Extreme {
            end,
            column,
            select,
        } = extreme;
        let cell = |row| (row, self.state.cell(select.table, row, *column));
        let mut found = self.found(select, scope).map(cell);
        if *column == Column::Id {
            return match end {
                End::Min => found.next(),
                End::Max => found.next_back(),
            };
        }
        let values = found.filter(|(_, value)| !value.is_null());
        values.reduce(|best, next| {
            let order = next.1.order(best.1);
            let is_better = match end {
                End::Min => order == Some(Ordering::Less),
                End::Max => order == Some(Ordering::Greater),
            };
            if is_better { next } else { best }
        })
    }
}

/// A list of so many items is read from its start.
const A_FEW: usize = 8;

/// The key of all rows, where no column ties them.
const NO_KEY: Key = Key::Symbol(0);

fn address(items: &[Literal]) -> usize {
    items.as_ptr().addr()
}

/// An order of literals that includes NULL, which is in no place that is searched for.
fn sorted_before(left: Value<'_>, right: Value<'_>) -> Ordering {
    left.order(right)
        .unwrap_or_else(|| right.is_null().cmp(&left.is_null()))
}

fn value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Integer(integer) => Value::Number(Number::of(*integer)),
        Literal::Text(text) => Value::Text(Text { text, symbol: 0 }),
    }
}

fn and(truths: [Option<bool>; 2]) -> Option<bool> {
    match truths {
        [Some(false), _] | [_, Some(false)] => Some(false),
        [Some(true), Some(true)] => Some(true),
        _ => None,
    }
}

/// The column of the row, and of the job, that a condition sets equal.
fn tie(term: &Predicate, own: Row) -> Option<(Column, Column)> {
    let Predicate::Compare {
        left: Operand::Cell(left),
        comparison: Comparison::Equal,
        right: Operand::Cell(right),
    } = term
    else {
        return None;
    };
    match (left.row, right.row) {
        (row, Row::Job) if row == own => Some((left.column, right.column)),
        (Row::Job, row) if row == own => Some((right.column, left.column)),
        _ => None,
    }
}

/// How a condition compares the row's id with a value that no row of the sub-select gives.
fn bound(term: &Predicate, own: Row) -> Option<(Comparison, &Operand)> {
    let Predicate::Compare {
        left,
        comparison,
        right,
    } = term
    else {
        return None;
    };
    let id = |operand: &Operand| matches!(operand, Operand::Cell(cell) if cell.row == own && cell.column == Column::Id);
    let is_known = |operand: &Operand| match operand {
        Operand::Literal(_) => true,
        Operand::Cell(cell) => cell.row != own,
        Operand::Extreme(_) => false,
    };
    let (comparison, other) = match (left, right) {
        (left, right) if id(left) && is_known(right) => (*comparison, right),
        (left, right) if id(right) && is_known(left) => (comparison.turned(), left),
        _ => return None,
    };
    let is_of_a_range = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    is_of_a_range.then_some((comparison, other))
}

/// Whether a condition reads no row but this one.
fn reads_only(term: &Predicate, own: Row) -> bool {
    let mut only = true;
    term.walk(&mut |part| match part {
        Part::Value(Operand::Cell(cell)) => only &= cell.row == own,
        Part::Select(_) => only = false,
        _ => {}
    });
    only
}
