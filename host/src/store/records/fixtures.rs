//! Conformance cases that an operator has attached to the queue: a new policy has to pass them.
//!
//! Owns the rows. Leaves to `conform` what a case is and whether a policy passes it.

use super::effect::Effect;

use crate::store::engine::values;
use crate::store::{Actor, Error, Store, sql_time};

/// A file of cases, one a line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fixture {
    /// Its name: the file's.
    pub name: String,
    /// The cases.
    #[serde(skip)]
    pub cases: String,
    /// When it was attached, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
    pub added_at: String,
    /// Who attached it.
    pub who: String,
}

impl Store {
    /// Attaches cases. They replace those of the same name.
    pub fn add_fixture(&mut self, name: &str, cases: &str, actor: Actor<'_>) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO serial_gate_fixture (name, cases, added_at, who)
                 VALUES ($1, $2, $3, $4)
                 ON CONFLICT (name) DO UPDATE SET cases = excluded.cases,
                    added_at = excluded.added_at, who = excluded.who",
                values![name, cases, sql_time(actor.now), actor.who],
            )?;
            let effect = Effect {
                what: &format!("the fixture `{}`", name.escape_debug()),
                table: "serial_gate_fixture",
            };
            let query = "SELECT 1 FROM serial_gate_fixture WHERE name = $1 AND cases = $2";
            effect.is_there(tx, query, values![name, cases])
        })
    }

    /// Removes cases.
    ///
    /// # Errors
    ///
    /// When there are none of this name, or the database refuses.
    pub fn remove_fixture(&mut self, name: &str) -> Result<(), Error> {
        self.write(|tx| {
            let removed = tx.execute(
                "DELETE FROM serial_gate_fixture WHERE name = $1",
                values![name],
            )?;
            if removed == 0 {
                return Err(Error::NoFixture { name: name.into() });
            }
            Ok(())
        })
    }

    /// Everything that is attached, by name.
    pub fn fixtures(&mut self) -> Result<Vec<Fixture>, Error> {
        self.read(|tx| {
            tx.rows(
                "SELECT name, cases, added_at, who FROM serial_gate_fixture ORDER BY name",
                &[],
                |row| {
                    Ok(Fixture {
                        name: row.get(0)?,
                        cases: row.get(1)?,
                        added_at: row.get(2)?,
                        who: row.get(3)?,
                    })
                },
            )
        })
    }
}
