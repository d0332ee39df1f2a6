//! Rows that make conditions of a clause true or false.
//!
//! Owns the search: it goes down the tree and gives the job, and the rows of the sub-selects on the
//! way, the values that each condition asks for. A value that is set stays: where two conditions
//! want different values, the first one wins. Nothing is promised; the check finds out whether the
//! state is of use. Leaves single cells to `cells`, and the columns that no condition asks about to
//! `rows`.

use crate::clause::tree::{Comparison, Literal, Predicate, Select, Value};
use crate::clause::{Column, Table};

use super::dice::Dice;
use super::leaves::{is_of_many, leaves, leaves_of, opposite, turn};
use super::near::{after, neighbours};
use super::vocabulary::Vocabulary;

/// How many rows a state has at most: a count goes to 1,000.
const ROWS: usize = 1_010;

/// A count up to this costs little.
const FEW: usize = 8;

/// What a condition is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    True,
    False,
    /// What a comparison with NULL is.
    Null,
}

impl Outcome {
    pub(super) const ALL: [Outcome; 3] = [Outcome::True, Outcome::False, Outcome::Null];
}

/// A row, as far as a condition asked for it.
pub(super) struct Draft {
    pub table: Table,
    pub cells: Vec<(Column, Literal)>,
}

impl Draft {
    pub(super) fn get(&self, column: Column) -> Option<&Literal> {
        let mut cells = self.cells.iter();
        cells
            .find(|(own, _)| *own == column)
            .map(|(_, value)| value)
    }
}

/// A queued job and the rows around it. The job is the first row.
pub(super) struct Scene<'a> {
    pub rows: Vec<Draft>,
    /// Whether rows are added that nearly match a sub-select which is to stay empty.
    pub is_busy: bool,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) dice: &'a mut Dice,
    /// Which row each sub-select on the way has.
    pub(super) scope: Vec<(usize, usize)>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(vocabulary: &'a Vocabulary, dice: &'a mut Dice) -> Scene<'a> {
        let job = Draft {
            table: Table::Jobs,
            cells: vec![(Column::Status, Literal::Text("queued".into()))],
        };
        Scene {
            rows: vec![job],
            is_busy: false,
            vocabulary,
            dice,
            scope: Vec::new(),
        }
    }

    /// Gives one leaf of the tree its outcome, and sets everything around it so that the leaf
    /// decides. The leaves of a predicate are numbered from 0, as [`leaves`] counts them; `item` is
    /// the item of a list.
    pub(super) fn drive(&mut self, predicate: &Predicate, leaf: usize, item: usize, to: Outcome) {
        match predicate {
            Predicate::Constant(_) => {}
            Predicate::Not(inner) => self.drive(inner, leaf, item, to),
            Predicate::All(terms) | Predicate::Any(terms) => {
                let idle = matches!(predicate, Predicate::All(_));
                let mut first = 0;
                let mut others = Vec::new();
                for term in terms {
                    let next = first + leaves(term);
                    if (first..next).contains(&leaf) {
                        self.drive(term, leaf - first, item, to);
                    } else {
                        others.push(term);
                    }
                    first = next;
                }
                for other in others {
                    self.settle(other, idle);
                }
            }
            Predicate::Exists(select) if leaf > 0 => {
                self.enter(select, |scene| {
                    scene.drive(&select.filter, leaf - 1, item, to);
                });
            }
            Predicate::Count {
                select,
                comparison,
                number,
            } if leaf > 0 => {
                self.enter(select, |scene| {
                    scene.drive(&select.filter, leaf - 1, item, to);
                });
                let others = usize::from(*number) + turn(*comparison);
                self.add_rows(select, others.saturating_sub(1));
            }
            Predicate::Count {
                select,
                comparison,
                number,
            } => {
                let turn = usize::from(*number) + turn(*comparison);
                let reached = (to == Outcome::True) == is_of_many(*comparison);
                let more = usize::from(to == Outcome::Null) * 2;
                self.add_rows(select, turn + more - usize::from(!reached && turn > 0));
            }
            Predicate::Compare { left, right, .. } if leaf > 0 => {
                let in_left = leaves_of(left);
                let (value, leaf) = if leaf <= in_left {
                    (left, leaf - 1)
                } else {
                    (right, leaf - 1 - in_left)
                };
                if let Value::Extreme(extreme) = value {
                    self.enter(&extreme.select, |scene| {
                        scene.drive(&extreme.select.filter, leaf, item, to);
                    });
                }
                self.settle(predicate, true);
            }
            Predicate::Compare { left, right, .. } if to == Outcome::Null => {
                self.empty(left);
                self.empty(right);
            }
            Predicate::InList { value, .. } | Predicate::Between { value, .. }
                if to == Outcome::Null =>
            {
                self.empty(value);
            }
            Predicate::InList {
                value,
                items,
                negated,
            } if (to == Outcome::True) != *negated => {
                if let Some(item) = items.get(item) {
                    self.compare(value, Comparison::Equal, &Value::Literal(item.clone()));
                }
            }
            leaf => {
                self.settle(leaf, to == Outcome::True);
            }
        }
    }

    /// Makes a condition true or false, if it can. Returns whether it is, as far as that is known.
    pub(super) fn settle(&mut self, predicate: &Predicate, want: bool) -> bool {
        match predicate {
            Predicate::Constant(constant) => *constant == want,
            Predicate::Not(inner) => self.settle(inner, !want),
            Predicate::All(terms) | Predicate::Any(terms) => {
                if matches!(predicate, Predicate::All(_)) == want {
                    let mut all = true;
                    for term in terms {
                        all &= self.settle(term, want);
                    }
                    return all;
                }
                let first = self.dice.below(terms.len());
                let (behind, from) = terms.split_at(first.min(terms.len()));
                let mut terms = from.iter().chain(behind);
                terms.any(|term| self.settle(term, want))
            }
            Predicate::Compare {
                left,
                comparison,
                right,
            } => {
                let comparison = if want {
                    *comparison
                } else {
                    opposite(*comparison)
                };
                self.compare(left, comparison, right)
            }
            Predicate::InList {
                value,
                items,
                negated,
            } => {
                let item = self.dice.one_of(items).cloned().unwrap_or(Literal::Null);
                if want != *negated {
                    return self.compare(value, Comparison::Equal, &Value::Literal(item));
                }
                let mut near = neighbours(&item).into_iter();
                let near = near.find(|value| !items.contains(value));
                let other = near.unwrap_or_else(|| after(&item));
                match self.known(value) {
                    Some(known) => !items.contains(&known),
                    None => self.compare(value, Comparison::Equal, &Value::Literal(other)),
                }
            }
            Predicate::Between {
                value,
                low,
                high,
                negated,
            } => {
                let end = if self.dice.chance(50) { low } else { high };
                if want != *negated {
                    return self.compare(value, Comparison::Equal, end);
                }
                if self.dice.chance(50) {
                    self.compare(value, Comparison::Less, low)
                } else {
                    self.compare(value, Comparison::Greater, high)
                }
            }
            Predicate::IsNull { value, negated } => {
                if want == *negated {
                    let Some((row, column)) = self.cell(value) else {
                        return true;
                    };
                    let drawn = self.draw_some(row, column);
                    self.set(row, column, drawn);
                } else {
                    self.empty(value);
                }
                self.known(value)
                    .is_none_or(|known| (known == Literal::Null) == (want != *negated))
            }
            Predicate::Exists(select) => {
                if want {
                    self.add_rows(select, 1);
                } else if self.is_busy && self.dice.chance(40) {
                    let leaf = self.dice.below(leaves(&select.filter));
                    self.enter(select, |scene| {
                        scene.drive(&select.filter, leaf, 0, Outcome::False);
                    });
                }
                true
            }
            Predicate::Count {
                select,
                comparison,
                number,
            } => {
                let turn = usize::from(*number) + turn(*comparison);
                let is_exact = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
                let count = match want == is_of_many(*comparison) {
                    true => turn,
                    false if is_exact && self.dice.chance(20) => turn + 1,
                    // None are as few as one too few, and cost nothing.
                    false if turn > FEW && self.dice.chance(90) => 0,
                    false => turn.saturating_sub(1),
                };
                self.add_rows(select, count);
                true
            }
        }
    }

    fn add_rows(&mut self, select: &Select, count: usize) {
        for _ in 0..count {
            self.enter(select, |scene| {
                scene.settle(&select.filter, true);
            });
        }
    }

    /// Adds a row for a sub-select, and goes on in its filter.
    pub(super) fn enter<T: Default>(
        &mut self,
        select: &Select,
        inside: impl FnOnce(&mut Scene<'a>) -> T,
    ) -> T {
        if self.rows.len() >= ROWS {
            return T::default();
        }
        self.scope.push((select.number, self.rows.len()));
        self.rows.push(Draft {
            table: select.table,
            cells: Vec::new(),
        });
        let inner = inside(self);
        self.scope.pop();
        inner
    }
}
