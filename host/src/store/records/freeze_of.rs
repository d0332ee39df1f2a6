//! A freeze by its row, as a policy names it.

use crate::store::engine::values;
use crate::store::{Error, Store};

/// Which repo a row of `repo_freeze` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeOf {
    /// The repo.
    pub repo: Option<String>,
    /// Whether it is not cleared.
    pub is_active: bool,
}

impl Store {
    /// The freeze of a row, if there is one.
    pub fn freeze_of(&mut self, row: i64) -> Result<Option<FreezeOf>, Error> {
        self.read(|tx| {
            let sql = "SELECT repo, cleared_at IS NULL FROM repo_freeze WHERE id = $1";

            tx.row(sql, values![row], |row| {
                Ok(FreezeOf {
                    repo: row.shown(0)?,
                    is_active: row.get(1)?,
                })
            })
        })
    }
}
