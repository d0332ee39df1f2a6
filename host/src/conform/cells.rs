//! Single cells of a scene: what is in them, and what a comparison puts there.
//!
//! Owns the value that makes a comparison come out as wanted: the value on the other side, or the
//! one just before or after it. Where both cells are empty, the vocabulary has a value.

use crate::clause::tree::{Comparison, Extreme, Literal, Row, Value};
use crate::clause::{Column, Table};

use super::leaves::is_true;
use super::near::{after, before, neighbours};
use super::scene::Scene;
use super::vocabulary::Place;

/// A side of a comparison: a value, or a cell that has none yet.
enum Operand {
    Known(Literal),
    Open(usize, Column),
}

impl Scene<'_> {
    /// The row and the column of a cell.
    pub(super) fn cell(&self, value: &Value) -> Option<(usize, Column)> {
        let Value::Cell(cell) = value else {
            return None;
        };
        let row = match cell.row {
            Row::Job => 0,
            Row::Sub(number) => {
                let mut scope = self.scope.iter().rev();
                scope.find(|(own, _)| *own == number)?.1
            }
        };
        Some((row, cell.column))
    }

    pub(super) fn known(&self, value: &Value) -> Option<Literal> {
        if let Value::Literal(literal) = value {
            return Some(literal.clone());
        }
        let (row, column) = self.cell(value)?;
        self.rows.get(row)?.get(column).cloned()
    }

    pub(super) fn set(&mut self, row: usize, column: Column, value: Literal) {
        if let Some(draft) = self.rows.get_mut(row)
            && draft.get(column).is_none()
        {
            draft.cells.push((column, value));
        }
    }

    /// Makes a cell NULL, if nothing is in it yet.
    pub(super) fn empty(&mut self, value: &Value) {
        if let Some((row, column)) = self.cell(value) {
            self.set(row, column, Literal::Null);
        }
    }

    /// A value that is not NULL.
    pub(super) fn draw_some(&mut self, row: usize, column: Column) -> Literal {
        let table = self.rows.get(row).map_or(Table::Jobs, |draft| draft.table);
        let place: Place = (table, column);
        let drawn = (0..8).map(|_| self.vocabulary.draw(place, self.dice));
        let mut some = drawn.filter(|value| *value != Literal::Null);
        some.next().unwrap_or(Literal::Null)
    }

    /// Makes a comparison true, if it can. Returns whether it is.
    pub(super) fn compare(&mut self, left: &Value, comparison: Comparison, right: &Value) -> bool {
        let (left, right) = (self.operand(left), self.operand(right));
        match (&left, &right) {
            (Operand::Known(left), Operand::Known(right)) => is_true(left, comparison, right),
            (Operand::Open(row, column), Operand::Known(value)) => {
                self.set_so(*row, *column, comparison, value)
            }
            (Operand::Known(value), Operand::Open(row, column)) => {
                self.set_so(*row, *column, comparison.turned(), value)
            }
            (Operand::Open(..), Operand::Open(row, column)) => {
                let (row, column) = (*row, *column);
                let value = self.draw_some(row, column);
                self.set(row, column, value.clone());
                match left {
                    Operand::Open(row, column) => self.set_so(row, column, comparison, &value),
                    Operand::Known(_) => false,
                }
            }
        }
    }

    /// What a value is in the scene. The smallest or largest one of a sub-select is that of a row
    /// that is added for it.
    fn operand(&mut self, value: &Value) -> Operand {
        if let Some(known) = self.known(value) {
            return Operand::Known(known);
        }
        match value {
            Value::Extreme(extreme) => self.extreme(extreme),
            value => match self.cell(value) {
                Some((row, column)) => Operand::Open(row, column),
                None => Operand::Known(Literal::Null),
            },
        }
    }

    fn extreme(&mut self, extreme: &Extreme) -> Operand {
        let row = self.rows.len();
        self.enter(&extreme.select, |scene| {
            scene.settle(&extreme.select.filter, true);
        });
        let Some(draft) = self.rows.get(row) else {
            return Operand::Known(Literal::Null);
        };
        match draft.get(extreme.column) {
            Some(known) => Operand::Known(known.clone()),
            None => Operand::Open(row, extreme.column),
        }
    }

    /// Gives a cell a value for which the comparison is true. Rows of one table have different ids.
    fn set_so(&mut self, row: usize, column: Column, comparison: Comparison, to: &Literal) -> bool {
        if *to == Literal::Null {
            return false;
        }
        let step = |value: &Literal| match comparison {
            Comparison::Less | Comparison::LessOrEqual => before(value),
            _ => after(value),
        };
        let mut value = match comparison {
            Comparison::Equal => to.clone(),
            Comparison::LessOrEqual | Comparison::GreaterOrEqual if self.dice.chance(50) => {
                to.clone()
            }
            Comparison::NotEqual => {
                let near = neighbours(to);
                self.dice
                    .one_of(&near)
                    .cloned()
                    .unwrap_or_else(|| after(to))
            }
            _ => step(to),
        };
        if column == Column::Id && comparison != Comparison::Equal {
            // The rows of the table that are there already are next to it.
            let table = self.rows.get(row).map(|draft| draft.table);
            let others = self.rows.iter().filter(|draft| Some(draft.table) == table);
            let taken = i64::try_from(others.count()).unwrap_or_default();
            value = match (value, comparison) {
                (Literal::Integer(id), Comparison::Less | Comparison::LessOrEqual) => {
                    Literal::Integer(id.saturating_sub(taken - 1))
                }
                (Literal::Integer(id), _) => Literal::Integer(id.saturating_add(taken - 1)),
                (other, _) => other,
            };
        }
        let is_so = is_true(&value, comparison, to);
        self.set(row, column, value);
        is_so
    }
}
