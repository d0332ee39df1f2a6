//! The tables and columns that a clause may name: those of the contract, with their types and
//! indexes.
//!
//! Owns the names. Leaves the tables themselves to the store's migrations, which must create these
//! columns.
//! Invariant: nothing outside this list can be named, so `rowid`, `ctid`, catalogs and the host's
//! own tables are unknown names like any other.

/// A table of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Units of work in a repo.
    Tasks,
    /// Queued, running and finished jobs; also the table of the job that the clause is asked about.
    Jobs,
    /// Active and cleared freezes of repos.
    RepoFreeze,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 3] = [Table::Tasks, Table::Jobs, Table::RepoFreeze];

    /// The table's name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Table::Tasks => "tasks",
            Table::Jobs => "jobs",
            Table::RepoFreeze => "repo_freeze",
        }
    }

    /// The table of a lower-case name.
    pub(crate) fn named(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The columns that a clause may read.
    pub fn columns(self) -> &'static [Column] {
        use Column::*;
        match self {
            Table::Tasks => &[Id, WorkItemId, Repo, Stage, GateLabel],
            Table::Jobs => &[Id, TaskId, Repo, Agent, Status],
            Table::RepoFreeze => &[Id, Repo, FrozenAt, ClearedAt, Reason, WorkItemId],
        }
    }

    /// The names of these columns.
    pub fn column_names(self) -> impl Iterator<Item = &'static str> {
        self.columns().iter().map(|column| column.name())
    }

    /// Whether an equality on the column is a search and not a scan.
    pub(crate) fn is_indexed(self, column: Column) -> bool {
        match column {
            Column::Id | Column::Repo => true,
            Column::TaskId => self == Table::Jobs,
            _ => false,
        }
    }
}

/// A column of the contract's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the column of its name")]
pub enum Column {
    Id,
    TaskId,
    WorkItemId,
    Repo,
    Stage,
    GateLabel,
    Agent,
    Status,
    FrozenAt,
    ClearedAt,
    Reason,
}

impl Column {
    /// The column's name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Column::Id => "id",
            Column::TaskId => "task_id",
            Column::WorkItemId => "work_item_id",
            Column::Repo => "repo",
            Column::Stage => "stage",
            Column::GateLabel => "gate_label",
            Column::Agent => "agent",
            Column::Status => "status",
            Column::FrozenAt => "frozen_at",
            Column::ClearedAt => "cleared_at",
            Column::Reason => "reason",
        }
    }

    /// The column's type.
    pub fn kind(self) -> Kind {
        match self {
            Column::Id | Column::TaskId => Kind::Integer,
            _ => Kind::Text,
        }
    }
}

/// The type of a value. PostgreSQL refuses to compare the two, SQLite orders every integer before
/// every text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A 64-bit integer.
    Integer,
    /// A text, compared byte by byte.
    Text,
}
