//! The base branches as last seen: the tip of each, and whether it still contains the commits that
//! branches were cut at.
//!
//! Owns the two tables of it. Leaves git to `branch`, and what a task shows to `branches`. Callers
//! rely on this: a tip and the findings about it are written together, and a base is examined again
//! only once it has moved.

use std::time::Duration;

use jiff::Timestamp;

use super::branches::CutFrom;
use crate::store::engine::values;
use crate::store::{Error, FinishedStages, Store, from_sql_time, sql_time, time_since};

/// How many commits are looked for at a time. A repo whose tasks wait for each other has one.
const SOME: i64 = 16;

/// How old the last sighting of a base is before a new one is written.
const SEEN_AGAIN: Duration = Duration::from_secs(5 * 60);

impl Store {
    /// The commits that branches of unfinished tasks were cut at, if it is unknown whether the base
    /// contains them at this tip. If there are many, those of the newest tasks.
    pub fn commits_to_look_for(
        &mut self,
        repo: &str,
        base: &str,
        tip: &str,
        finished: &FinishedStages,
    ) -> Result<Vec<String>, Error> {
        self.read(|tx| {
            let commits = tx.rows(
                &format!(
                    "SELECT CAST(gate_base_commit AS TEXT) FROM tasks
                 WHERE repo = $1 AND stage != 'done' AND gate_base = $2 AND gate_base_commit != $3
                    AND gate_cut_at IS NOT NULL AND stage NOT IN ({})
                    AND NOT EXISTS (SELECT 1 FROM serial_gate_cut_from AS look
                        WHERE look.repo = $1 AND look.base = $2
                        AND look.base_commit = gate_base_commit AND look.tip = $3)
                 GROUP BY gate_base_commit ORDER BY max(id) DESC LIMIT $5",
                    tx.texts_of("$4")
                ),
                values![repo, base, tip, finished.as_json(), SOME],
                |row| row.shown(0),
            )?;
            Ok(commits.into_iter().flatten().collect())
        })
    }

    /// Stores the tip of a base (none if the remote has no such base) and which commits it
    /// contains. Writes only what is new, and now and then that it was seen again.
    pub fn saw_base(
        &mut self,
        now: Timestamp,
        repo: &str,
        base: &str,
        tip: Option<&str>,
        looked_for: &[CutFrom],
    ) -> Result<(), Error> {
        let tip = tip.unwrap_or_default();
        let known: Option<(String, String)> = self.read(|tx| {
            tx.row(
                "SELECT tip, CAST(seen_at AS TEXT) FROM serial_gate_base
                WHERE repo = $1 AND base = $2",
                values![repo, base],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })?;
        let is_fresh = match &known {
            Some((known, seen)) => {
                let since = from_sql_time(seen).and_then(|seen| time_since(seen, now));
                known == tip && since.is_some_and(|since| since < SEEN_AGAIN)
            }
            // A base that never existed was not deleted.
            None => tip.is_empty(),
        };
        if is_fresh && looked_for.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            for CutFrom {
                commit,
                tip,
                contained,
            } in looked_for
            {
                tx.execute(
                    "INSERT INTO serial_gate_cut_from (repo, base, base_commit, tip,
                    contained)
                         VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT (repo, base, base_commit)
                         DO UPDATE SET tip = excluded.tip, contained = excluded.contained",
                    values![repo, base, commit, tip, contained],
                )?;
            }
            tx.execute(
                "INSERT INTO serial_gate_base (repo, base, tip, seen_at)
                VALUES ($1, $2, $3, $4)
                     ON CONFLICT (repo, base) DO UPDATE
                     SET tip = excluded.tip, seen_at = excluded.seen_at",
                values![repo, base, tip, sql_time(now)],
            )?;
            Ok(())
        })
    }
}
