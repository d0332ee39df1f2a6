//! The last good clause of each policy and settings, used when the policy fails; and the version of
//! the clause in force, for programs that splice it into their own queries.

use crate::store::engine::values;
use crate::store::{Error, Store};

impl Store {
    /// A number that grows with each change of the policy or its settings; none if its row was
    /// removed.
    pub fn clause_version(&mut self) -> Result<Option<i64>, Error> {
        self.read(|tx| {
            tx.only(
                "SELECT max(version) FROM serial_gate_clause_version",
                &[],
                |row| row.get(0),
            )
        })
    }

    /// The last clause that was accepted from this policy under these settings.
    pub fn last_good_clause(
        &mut self,
        policy: &str,
        settings: &str,
    ) -> Result<Option<String>, Error> {
        self.read(|tx| {
            tx.row(
                "SELECT text FROM serial_gate_clause WHERE policy = $1 AND settings = $2",
                values![policy, settings],
                |row| row.get(0),
            )
        })
    }

    /// Keeps an accepted clause. Writes only if it differs from the last one.
    pub fn keep_clause(&mut self, policy: &str, settings: &str, text: &str) -> Result<(), Error> {
        if self.last_good_clause(policy, settings)?.as_deref() == Some(text) {
            return Ok(());
        }
        self.write(|tx| {
            tx.execute(
                "INSERT INTO serial_gate_clause (policy, settings, text) VALUES ($1, $2, $3)
                 ON CONFLICT (policy, settings) DO UPDATE SET text = excluded.text",
                values![policy, settings, text],
            )?;
            Ok(())
        })
    }
}
