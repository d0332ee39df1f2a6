//! A look into a database before it is prepared: whether it has settings, and which repos.
//!
//! Owns the question about tables and columns that may be missing; which there are, the engine
//! knows. Leaves a prepared queue's names to `known`. Callers rely on this: nothing is changed.

use super::known::{NAMES, WITH_REPOS};
use crate::store::Error;
use crate::store::engine::{FromValue, Tx};

/// What is in a database that may not be prepared yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether it has settings already, which another preparation leaves unchanged.
    pub has_generations: bool,
    /// The repos.
    pub repos: Vec<String>,
}

/// Looks into a database. `has` tells whether a table or a view has a column.
pub(crate) fn found(
    t: &dyn Tx,
    has: impl Fn(&str, &str) -> Result<bool, Error>,
) -> Result<Found, Error> {
    let has_generations = has("serial_gate_generation", "id")?
        && t.exists("SELECT 1 FROM serial_gate_generation LIMIT 1", &[])?;
    let mut repos = Vec::new();
    for table in WITH_REPOS {
        if has(table, "repo")? {
            // There may be no index yet, so this is one pass over the table.
            let sql = format!("SELECT DISTINCT repo FROM {table} LIMIT {NAMES}");
            let names = t.rows(&sql, &[], |row| Ok(String::from_value(row.0.value(0)?)))?;
            repos.extend(names.into_iter().flatten().filter(|name| !name.is_empty()));
        }
    }
    Ok(Found {
        has_generations,
        repos,
    })
}
