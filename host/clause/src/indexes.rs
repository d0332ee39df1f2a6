//! The indexes of the contract's tables.
//!
//! Owns the list that the proof of a claim's cost counts on. Leaves their names, and how they are
//! made, to the store, which has each of them: a test compares the two.

use super::contract::Column::{self, Agent, Id, Repo, Stage, TaskId};
use super::contract::Table;

/// An index of a table. Its last column is the row's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    table: Table,
    pub(crate) rows: Rows,
    pub(crate) columns: &'static [Column],
}

/// The rows of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    All,
    /// Tasks that are not done.
    Unfinished,
    /// Jobs that are queued.
    Queued,
    /// Freezes that were not cleared.
    Active,
}

/// All of them.
pub const INDEXES: [Index; 11] = [
    index(Table::Tasks, Rows::All, &[Id]),
    index(Table::Tasks, Rows::All, &[Repo, Stage, Id]),
    index(Table::Tasks, Rows::Unfinished, &[Repo, Id]),
    index(Table::Jobs, Rows::All, &[Id]),
    index(Table::Jobs, Rows::All, &[Repo, Id]),
    index(Table::Jobs, Rows::All, &[TaskId, Id]),
    index(Table::Jobs, Rows::Queued, &[Repo, Agent, Id]),
    index(Table::Jobs, Rows::Queued, &[Repo, Agent, TaskId, Id]),
    index(Table::RepoFreeze, Rows::All, &[Id]),
    index(Table::RepoFreeze, Rows::All, &[Repo, Id]),
    index(Table::RepoFreeze, Rows::Active, &[Repo, Id]),
];

const fn index(table: Table, rows: Rows, columns: &'static [Column]) -> Index {
    Index {
        table,
        rows,
        columns,
    }
}

impl Index {
    /// The table.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The names of its columns, in their order. In SQLite each index has the row's id at its end,
    /// whether or not that is named.
    pub fn column_names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name())
    }

    /// The rows that it covers, as SQL; none for all.
    pub fn covers(&self) -> Option<&'static str> {
        match self.rows {
            Rows::All => None,
            Rows::Unfinished => Some("stage <> 'done'"),
            Rows::Queued => Some("status = 'queued'"),
            Rows::Active => Some("cleared_at IS NULL"),
        }
    }
}
