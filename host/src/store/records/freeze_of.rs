//! A freeze by its row, as a policy names it.

use rusqlite::OptionalExtension;

use crate::store::sqlite::value::Shown;
use crate::store::{Error, Store};

/// Which repo a row of `repo_freeze` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeOf {
    /// The repo.
    pub repo: Option<String>,
    /// Whether nobody has cleared it.
    pub is_active: bool,
}

impl Store {
    /// The freeze of a row, if there is one.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn freeze_of(&mut self, row: i64) -> Result<Option<FreezeOf>, Error> {
        self.doing(|connection| {
            let sql = "SELECT repo, cleared_at IS NULL FROM repo_freeze WHERE id = ?1";
            let mut query = connection.prepare_cached(sql)?;
            let freeze = query.query_row([row], |row| {
                Ok(FreezeOf {
                    repo: row.get::<_, Shown>(0)?.0,
                    is_active: row.get(1)?,
                })
            });
            Ok(freeze.optional()?)
        })
    }
}
