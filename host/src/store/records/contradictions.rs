//! How often a generation contradicted itself in use: its `decide` and its clause differed about a
//! job.
//!
//! Owns the counts, each stored with its alert and its failures in one transaction. Leaves the
//! comparison to the queue. Callers rely on this: a generation has at most one alert an hour,
//! however much is found.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::alerts::{self, NewAlert, THE_HOST};
use super::generations::is_kept;
use super::succession::fail;
use crate::store::engine::{Tx, values};
use crate::store::time::latest;
use crate::store::{Actor, AlertKind, Error, Generation, Store, sql_time};

/// The least time between two alerts about a generation.
const BETWEEN_ALERTS: SignedDuration = SignedDuration::from_hours(1);

/// Jobs about which a generation contradicted itself in one state.
#[derive(Debug, Clone, Copy)]
pub struct Contradicted<'a> {
    /// How many.
    pub jobs: usize,
    /// The repo of the first.
    pub repo: Option<&'a str>,
    /// What both answered about the first, in words.
    pub first: &'a str,
    /// After how many failures the previous generation becomes active again; 0 means never.
    pub allowed: u32,
    /// Only failures since then count.
    pub since: Timestamp,
}

/// The contradictions of a generation so far.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Contradictions {
    /// How often a job was found about which it contradicted itself.
    pub times: i64,
    /// When that was last, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
    pub last_at: String,
    /// What both answered about it, in words.
    pub last: String,
}

/// How long to wait for another program's write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as any change does.
    AsUsual,
    /// Not at all: a view for people does not wait.
    None,
}

impl Store {
    /// Counts the contradictions of a generation, stores an alert, and adds them to the
    /// generation's failures. When there are too many, the previous generation becomes active
    /// again, and its number is returned. Nothing is counted if another generation has the number
    /// by now.
    pub fn contradicted(
        &mut self,
        generation: &Generation,
        found: Contradicted<'_>,
        actor: Actor<'_>,
        patience: Patience,
    ) -> Result<Option<i64>, Error> {
        if patience == Patience::None {
            self.wait_for_others(false)?;
        }
        let counted = self.write_durably(|tx| {
            if !is_kept(tx, generation)? {
                return Ok(None);
            }
            write_down(tx, generation.id, found, actor.now)?;
            let mut back = None;
            for _ in 0..found
                .jobs
                .min(usize::try_from(found.allowed).unwrap_or(usize::MAX))
            {
                back = fail(tx, generation, found.allowed, found.since, actor)?;
                if back.is_some() {
                    break;
                }
            }
            Ok(back)
        });
        if patience == Patience::None {
            self.wait_for_others(true)?;
        }
        counted
    }

    /// The contradictions of a generation, if there were any.
    pub fn contradictions(&mut self, generation: i64) -> Result<Option<Contradictions>, Error> {
        self.read(|tx| {
            tx.row(
                "SELECT times, last_at, last FROM serial_gate_contradiction WHERE generation = $1",
                values![generation],
                |row| {
                    let text = |column| Ok::<_, Error>(row.shown(column)?.unwrap_or_default());
                    Ok(Contradictions {
                        times: row.get(0)?,
                        last_at: text(1)?,
                        last: text(2)?,
                    })
                },
            )
        })
    }

    /// How often any generation contradicted itself about a job.
    pub fn contradictions_of_all(&mut self) -> Result<i64, Error> {
        self.read(|tx| {
            // PostgreSQL's sum of big integers is of another type.
            let sql = "SELECT CAST(coalesce(sum(times), 0) AS BIGINT)
                FROM serial_gate_contradiction";
            tx.only(sql, &[], |row| row.get(0))
        })
    }
}

fn write_down(
    tx: &dyn Tx,
    generation: i64,
    found: Contradicted<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let Contradicted {
        jobs, repo, first, ..
    } = found;
    let at = sql_time(now);
    tx.execute(
        "INSERT INTO serial_gate_contradiction (generation, times, last_at, last)
        VALUES ($1, $2, $3, $4)
             ON CONFLICT (generation) DO UPDATE
             SET times = serial_gate_contradiction.times + $2, last_at = $3, last = $4",
        values![generation, jobs, at, first],
    )?;
    let since = now.checked_sub(BETWEEN_ALERTS).unwrap_or(Timestamp::MIN);
    // An alert by a clock that was ahead would suppress all others for ever.
    let was_told = tx.exists(
        "SELECT 1 FROM serial_gate_alert WHERE kind = $1 AND subject = $2 AND at > $3 AND at <= $4",
        values![
            AlertKind::Contradiction.name(),
            generation,
            sql_time(since),
            latest(now, Duration::ZERO)
        ],
    )?;
    if was_told {
        return Ok(());
    }
    let alert = NewAlert {
        kind: AlertKind::Contradiction,
        repo,
        work_item: None,
        subject: Some(generation),
        who: THE_HOST,
        why: &format!("{first}: roll the policy back"),
    };
    alerts::add(tx, now, alert)
}
