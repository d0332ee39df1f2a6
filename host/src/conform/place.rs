//! Where the temporary database of the cases is: in a folder, or in a schema of a server.
//!
//! Owns which values a case may have there. SQLite keeps any value in any column. PostgreSQL keeps
//! what the column is made for, and no NUL.

use serde_json::Value;
use tempfile::TempDir;

use super::Error;
use super::case::{Document, Row};
use crate::clause::{Column, Kind, Table};
use crate::store::Location;
#[cfg(feature = "postgres")]
use crate::store::TemporarySchema;

pub(super) enum Place {
    Folder(TempDir),
    #[cfg(feature = "postgres")]
    Schema(TemporarySchema),
}

impl Place {
    pub(super) fn folder() -> Result<Place, Error> {
        Ok(Place::Folder(
            tempfile::tempdir().map_err(Error::Temporary)?,
        ))
    }

    /// A schema of the server, if that is where this is.
    pub(super) fn beside(location: &Location) -> Result<Place, Error> {
        match location {
            Location::File(_) => Place::folder(),
            #[cfg(feature = "postgres")]
            Location::Server(server) => {
                let schema = TemporarySchema::create(server).map_err(crate::queue::Error::from)?;
                Ok(Place::Schema(schema))
            }
        }
    }

    pub(super) fn location(&self) -> Location {
        match self {
            Place::Folder(folder) => Location::File(folder.path().join("conform.db")),
            #[cfg(feature = "postgres")]
            Place::Schema(schema) => Location::Server(schema.server().clone()),
        }
    }

    /// A value of a case that cannot be kept here, with the reason.
    pub(super) fn cannot_keep(&self, case: &Document) -> Option<String> {
        match self {
            Place::Folder(_) => None,
            #[cfg(feature = "postgres")]
            Place::Schema(_) => unfit(case),
        }
    }
}

#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "for a server"))]
fn unfit(case: &Document) -> Option<String> {
    let tables = [
        (Table::Tasks, &case.tasks),
        (Table::Jobs, &case.jobs),
        (Table::RepoFreeze, &case.freezes),
    ];
    let mut of_rows = tables
        .iter()
        .flat_map(|(table, rows)| rows.iter().map(move |row| (Some(*table), row)))
        .chain(case.ops.iter().map(|operation| (None, operation)))
        .filter_map(|(table, row)| unfit_in(table, row));
    of_rows.next().or_else(|| {
        let repos = case.projects.iter().chain(&case.probe_repos).flatten();
        let mut with_nul = repos.filter(|repo| repo.contains('\0'));
        with_nul.next().map(|_| has_nul("a repo"))
    })
}

/// What is unfit in a row of a table, or in an operation.
fn unfit_in(table: Option<Table>, row: &Row) -> Option<String> {
    row.iter().find_map(|(name, value)| {
        let mut columns = Table::ALL.iter().flat_map(|table| table.columns());
        let column = columns.find(|column| column.name() == name).copied();
        let what = match table {
            Some(table) => format!("`{name}` of `{}`", table.name()),
            None => format!("`{name}` of an operation"),
        };
        match (column.map(Column::kind), value) {
            (_, Value::String(text)) if text.contains('\0') => Some(has_nul(&what)),
            (Some(Kind::Integer), Value::String(_)) => Some(format!("{what} is a text")),
            (Some(Kind::Integer), Value::Number(number)) if !number.is_i64() => {
                Some(format!("{what} is no integer"))
            }
            (Some(Kind::Text), Value::Number(_) | Value::Bool(_)) => {
                Some(format!("{what} is no text"))
            }
            _ => None,
        }
    })
}

fn has_nul(what: &str) -> String {
    format!("{what} has a NUL")
}
