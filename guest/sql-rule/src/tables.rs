//! The snapshot's tables, and their rows by a value of a column.
//!
//! Callers rely on this: the columns of a state that was checked have one length, and each symbol
//! has a text.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serial_gate_clause::{Column, Table};

use crate::value::{Number, Text, Value};

/// The state of a queue: the contract's `snapshot`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The texts of all symbols, one behind the other.
    pub text: String,
    /// Where each ends; the first entry is for NULL.
    pub ends: Vec<u32>,
    /// `tasks`.
    pub tasks: Rows,
    /// `jobs`.
    pub jobs: Rows,
    /// `repo_freeze`.
    pub freezes: Rows,
}

/// The rows of a table, in columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The ids, in order.
    pub ids: Vec<i64>,
    /// `jobs.task_id`: the numbers, and what they mean. Empty in the other tables.
    pub task_ids: (Vec<i64>, Vec<u8>),
    /// The columns of symbols.
    pub texts: Vec<(Column, Vec<u32>)>,
}

impl State {
    pub(crate) fn rows(&self, table: Table) -> &Rows {
        match table {
            Table::Tasks => &self.tasks,
            Table::Jobs => &self.jobs,
            Table::RepoFreeze => &self.freezes,
        }
    }

    /// Checks what the contract promises.
    pub(crate) fn check(&self) -> Result<(), String> {
        for table in Table::ALL {
            let rows = self.rows(table);
            let count = rows.ids.len();
            let mut lengths: Vec<usize> =
                rows.texts.iter().map(|(_, column)| column.len()).collect();
            if table == Table::Jobs {
                lengths.extend([rows.task_ids.0.len(), rows.task_ids.1.len()]);
            }
            if lengths.iter().any(|length| *length != count) {
                return Err(format!(
                    "the columns of `{}` differ in length",
                    table.name()
                ));
            }
            let symbols = rows.texts.iter().flat_map(|(_, column)| column);
            if let Some(symbol) = symbols.max().filter(|symbol| self.read(**symbol).is_none()) {
                return Err(format!("symbol {symbol} is not in `symbols`"));
            }
        }
        Ok(())
    }

    /// The value of a symbol; `None` if it is not in `symbols`.
    pub(crate) fn read(&self, symbol: u32) -> Option<Value<'_>> {
        let Some(before) = (symbol as usize).checked_sub(1) else {
            return Some(Value::Null);
        };
        let (start, end) = (*self.ends.get(before)?, *self.ends.get(before + 1)?);
        let text = self.text.get(start as usize..end as usize)?;
        Some(Value::Text(Text { text, symbol }))
    }

    /// The value of a column in a row.
    pub(crate) fn cell(&self, table: Table, row: usize, column: Column) -> Value<'_> {
        let rows = self.rows(table);
        let number = |number: Option<Number>| number.map_or(Value::Null, Value::Number);
        match column {
            Column::Id => number(rows.ids.get(row).copied().map(Number::of)),
            Column::TaskId => {
                let (ids, kinds) = &rows.task_ids;
                let task_id = ids.get(row).zip(kinds.get(row));
                number(task_id.and_then(|(id, kind)| Number::task_id(*id, *kind)))
            }
            column => {
                let symbol = rows.symbols(column).and_then(|symbols| symbols.get(row));
                let value = symbol.and_then(|symbol| self.read(*symbol));
                value.unwrap_or(Value::Null)
            }
        }
    }
}

impl Rows {
    fn symbols(&self, column: Column) -> Option<&[u32]> {
        let mut texts = self.texts.iter();
        let found = texts.find(|(name, _)| *name == column);
        found.map(|(_, symbols)| symbols.as_slice())
    }
}

/// A value by which rows are found. Equal values are equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Number(Number),
    Symbol(u32),
}

impl Key {
    /// None for NULL, which equals nothing.
    pub(crate) fn of(value: Value<'_>) -> Option<Key> {
        match value {
            Value::Null => None,
            Value::Number(number) => Some(Key::Number(number)),
            Value::Text(text) => Some(Key::Symbol(text.symbol)),
        }
    }
}

/// Rows by the value of a column, in the order of their ids.
pub(crate) type Groups = BTreeMap<Key, Vec<usize>>;
