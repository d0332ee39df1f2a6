//! What a preparation adds to a database, and what a database lacks of it later.
//!
//! Owns the kinds. Leaves to each engine what it has of them.

/// Something that was added to the database, or changed in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A table was created.
    Table(String),
    /// A nullable column was added to a table, as `table.column`.
    Column(String),
    /// An index was created.
    Index(String),
    /// A sequence was created.
    Sequence(String),
    /// A function was created.
    Function(String),
    /// A trigger was created.
    Trigger(String),
    /// The one row of a table was repaired.
    Row(String),
    /// The first generation was made active: the policy of this name.
    Generation(String),
    /// The file was switched to this journal mode.
    JournalMode(String),
}

/// Something that the database lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// A table is gone.
    Table(String),
    /// A column, as `table.column`, is gone.
    Column(String),
    /// The one row of a table is gone or wrong, or there are several.
    Row(String),
    /// An index is gone, or covers something else.
    Index(String),
    /// A sequence is gone.
    Sequence(String),
    /// A function is gone, or is another version's or another program's.
    Function(String),
    /// A trigger is gone or disabled, or is another version's or another program's.
    Trigger(String),
}
