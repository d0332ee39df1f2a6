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
    ) -> Result<Option<KeptClause>, Error> {
        self.read(|tx| {
            tx.row(
                "SELECT text, valid_from, valid_until FROM serial_gate_clause
                 WHERE policy = $1 AND settings = $2",
                values![policy, settings],
                |row| {
                    Ok(KeptClause {
                        text: row.get(0)?,
                        valid_from: row.get(1)?,
                        valid_until: row.get(2)?,
                    })
                },
            )
        })
    }

    /// Keeps an accepted clause. Writes only if it says something else than the last one.
    pub fn keep_clause(
        &mut self,
        policy: &str,
        settings: &str,
        clause: &KeptClause,
    ) -> Result<(), Error> {
        let last = self.last_good_clause(policy, settings)?;
        if last.is_some_and(|last| clause.says_the_same_as(&last)) {
            return Ok(());
        }
        let KeptClause {
            text,
            valid_from,
            valid_until,
        } = clause;
        self.write(|tx| {
            tx.execute(
                "INSERT INTO serial_gate_clause (policy, settings, text, valid_from, valid_until)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (policy, settings) DO UPDATE SET text = excluded.text,
                    valid_from = excluded.valid_from, valid_until = excluded.valid_until",
                values![policy, settings, text, *valid_from, *valid_until],
            )?;
            Ok(())
        })
    }
}

/// A clause that was accepted once, as a policy returned it. The database is not trusted: whoever
/// uses it checks it again. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptClause {
    /// The clause.
    pub text: String,
    /// From when on it is the policy's answer; none if the policy has to be asked again, because it
    /// said more than the clause.
    pub valid_from: Option<i64>,
    /// Until when; none if it does not depend on the time.
    pub valid_until: Option<i64>,
}

impl KeptClause {
    /// Whether it is the policy's answer at a moment.
    pub fn holds_at(&self, now: i64) -> bool {
        match (self.valid_from, self.valid_until) {
            (Some(from), Some(until)) => from <= now && now < until,
            (from, None) => from.is_some(),
            (None, _) => false,
        }
    }

    /// A clause that depends on no time is the same from whenever it was kept.
    fn says_the_same_as(&self, last: &KeptClause) -> bool {
        self.text == last.text
            && self.valid_until == last.valid_until
            && self.valid_from.is_some() == last.valid_from.is_some()
    }
}
