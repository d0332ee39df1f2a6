//! How far the comparison of the heads has come, for processes that claim once and exit.
//!
//! Owns the place where the next process continues. Leaves the comparison to `verify`. Callers rely
//! on this: writing the place waits neither for other processes nor for the disk, and if it cannot
//! be written, only that place is lost.

use rusqlite::{OptionalExtension, params};

use super::connection::{Open, without_waiting};
use super::engine::Sqlite;
use crate::store::{Error, Place, Shaped};

impl Sqlite {
    /// Where the last process stopped the comparison, if it did not finish.
    pub fn compared_to(&mut self, shaped: Shaped<'_>) -> Result<Option<Place>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT repo FROM serial_gate_compared
                 WHERE idx = (SELECT id FROM serial_gate_index WHERE clause = ?1)",
            )?;
            let place = query.query_row([shaped.digest], |row| row.get(0));
            Ok(place.optional()?.map(Place))
        })
    }

    /// Stores where a comparison stopped, unless another program is writing.
    pub fn compared_as_far_as(&mut self, shaped: Shaped<'_>, place: Option<&Place>) {
        // A process that groups changes keeps running, and knows the place itself.
        if self.group.is_open {
            return;
        }
        self.let_go_of_state();
        let Ok(Open {
            connection,
            sandbox,
            ..
        }) = self.be_open()
        else {
            return;
        };
        let written = sandbox.open_for_own_statements(|| {
            without_waiting(connection, |connection| match place {
                Some(Place(repo)) => connection.execute(
                    "INSERT INTO serial_gate_compared (idx, repo)
                     SELECT id, ?2 FROM serial_gate_index WHERE clause = ?1
                     ON CONFLICT (idx) DO UPDATE SET repo = excluded.repo",
                    params![shaped.digest, repo],
                ),
                None => connection.execute(
                    "DELETE FROM serial_gate_compared
                     WHERE idx = (SELECT id FROM serial_gate_index WHERE clause = ?1)",
                    [shaped.digest],
                ),
            })
        });
        if let Err(error) = written {
            tracing::debug!("the place of the comparison is not kept: {error}");
        }
    }
}
