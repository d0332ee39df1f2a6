//! The last good clause of each policy and settings, for the day when the policy gives none, and
//! the version of the one in force, for those who splice it into queries of their own.

use rusqlite::OptionalExtension;

use super::{Error, Store};

impl Store {
    /// A number that is greater after each change of the policy or its settings; none if its row
    /// was removed.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn clause_version(&mut self) -> Result<Option<i64>, Error> {
        self.doing(|connection| {
            let version = connection.query_row(
                "SELECT max(version) FROM serial_gate_clause_version",
                [],
                |row| row.get(0),
            );
            Ok(version?)
        })
    }

    /// The last clause that was accepted from this policy under these settings.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn last_good_clause(
        &mut self,
        policy: &str,
        settings: &str,
    ) -> Result<Option<String>, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT text FROM serial_gate_clause WHERE policy = ?1 AND settings = ?2",
            )?;
            Ok(query
                .query_row([policy, settings], |row| row.get(0))
                .optional()?)
        })
    }

    /// Keeps a clause that was accepted. Writes only if it is another than the last one.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn keep_clause(&mut self, policy: &str, settings: &str, text: &str) -> Result<(), Error> {
        if self.last_good_clause(policy, settings)?.as_deref() == Some(text) {
            return Ok(());
        }
        self.writing(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO serial_gate_clause (policy, settings, text) VALUES (?1, ?2, ?3)",
                [policy, settings, text],
            )?;
            Ok(())
        })
    }
}
