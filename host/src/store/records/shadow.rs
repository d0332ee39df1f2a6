//! The record of a shadow: how often it was asked, and where it differed.
//!
//! Owns the counts, and one row for each job about which the two differed, with the last answer of
//! each; at most [`KEPT`] rows a generation. Leaves to the queue who asks, and when.

use serde::Serialize;
use serde_json::Value;

use super::generations::is_kept;
use crate::model::{Verdict, verdict_as_json, verdict_from_json, verdict_to_json};
use crate::store::engine::{Row, Unexpected, values};
use crate::store::{Actor, Error, Generation, GenerationState, Store, sql_time};

/// How many jobs of a generation are kept with their verdicts.
const KEPT: i64 = 10_000;

/// How many are shown.
const SHOWN: i64 = 100;

/// The record of a shadow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ShadowRecord {
    /// The generation.
    pub generation: i64,
    /// How often it was asked.
    pub looks: usize,
    /// How many decisions it made.
    pub decisions: usize,
    /// How often it failed.
    pub failures: usize,
    /// Its last failure.
    pub last_failure: String,
    /// The jobs about which it differed from the active generation, the last one first, up to 100.
    pub disagreements: Vec<Disagreement>,
}

/// A job about which the two differed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Disagreement {
    /// The job.
    pub job: i64,
    /// The active generation's last answer.
    #[serde(serialize_with = "verdict_as_json")]
    #[schema(value_type = serde_json::Value)]
    pub active: Option<Verdict>,
    /// The shadow's last answer.
    #[serde(serialize_with = "verdict_as_json")]
    #[schema(value_type = serde_json::Value)]
    pub shadow: Option<Verdict>,
    /// How often they differed.
    pub times: usize,
    /// When they did so last, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
    pub last_at: String,
}

/// The result of one look.
#[derive(Debug, Clone, Copy)]
pub enum Look<'a> {
    /// The shadow failed.
    Failed(&'a str),
    /// It answered.
    Answered {
        /// How many decisions it made.
        decisions: usize,
        /// The jobs about which the two differ: the active one's answer, the shadow's answer.
        differing: &'a [(i64, Option<Verdict>, Option<Verdict>)],
    },
}

impl Store {
    /// Adds the result of a look at the time in `actor`. Nothing is added if another generation has
    /// the shadow's number by now.
    pub fn record_look(
        &mut self,
        shadow: &Generation,
        look: Look<'_>,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let (decisions, failures, failure, differing) = match look {
            Look::Failed(failure) => (0, 1_i64, failure, &[][..]),
            Look::Answered {
                decisions,
                differing,
            } => (decisions, 0, "", differing),
        };
        let (generation, at) = (shadow.id, sql_time(actor.now));
        self.write(|tx| {
            if !is_kept(tx, shadow)? {
                return Ok(());
            }
            tx.execute(
                "INSERT INTO serial_gate_shadow (generation, looks, decisions, failures,
                last_failure)
                 VALUES ($1, 1, $2, $3, $4)
                 ON CONFLICT (generation) DO UPDATE SET
                    looks = serial_gate_shadow.looks + 1,
                    decisions = serial_gate_shadow.decisions + $2,
                    failures = serial_gate_shadow.failures + $3,
                    last_failure = CASE WHEN $3 > 0 THEN $4
                        ELSE serial_gate_shadow.last_failure END",
                values![generation, decisions, failures, failure],
            )?;
            for (job, active, shadow) in differing {
                let (active, shadow) = (text(active), text(shadow));
                tx.execute(
                    "INSERT INTO serial_gate_disagreement (generation, job_id, active,
                    shadow, times, last_at)
                 SELECT $1, $2, $3, $4, 1, $5
                 WHERE (SELECT count(*) FROM serial_gate_disagreement WHERE generation = $1) < $6
                    OR EXISTS (SELECT 1 FROM serial_gate_disagreement WHERE generation = $1
                    AND job_id = $2)
                 ON CONFLICT (generation, job_id) DO UPDATE SET
                    active = $3, shadow = $4, times = serial_gate_disagreement.times + 1, last_at = $5",
                    values![generation, job, active, shadow, at, KEPT],
                )?;
            }
            Ok(())
        })
    }

    /// The record of the shadow, if there is a shadow.
    pub fn shadow_record(&mut self) -> Result<Option<ShadowRecord>, Error> {
        let Some(shadow) = self.generation_in(GenerationState::Shadow)? else {
            return Ok(None);
        };
        self.read(|tx| {
            let disagreements = tx.rows(
                "SELECT job_id, active, shadow, times, last_at FROM serial_gate_disagreement
                 WHERE generation = $1 ORDER BY last_at DESC, job_id LIMIT $2",
                values![shadow.id, SHOWN],
                |row| {
                    Ok(Disagreement {
                        job: row.get(0)?,
                        active: verdict(row, 1)?,
                        shadow: verdict(row, 2)?,
                        times: row.get(3)?,
                        last_at: row.get(4)?,
                    })
                },
            )?;
            let counts = tx.row(
                "SELECT looks, decisions, failures, last_failure FROM serial_gate_shadow
                     WHERE generation = $1",
                values![shadow.id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )?;
            let (looks, decisions, failures, last_failure) = counts.unwrap_or_default();
            Ok(Some(ShadowRecord {
                generation: shadow.id,
                looks,
                decisions,
                failures,
                last_failure,
                disagreements,
            }))
        })
    }
}

fn text(verdict: &Option<Verdict>) -> String {
    Value::from(verdict.as_ref().map(verdict_to_json)).to_string()
}

fn verdict(row: Row<'_>, column: usize) -> Result<Option<Verdict>, Error> {
    let text: String = row.get(column)?;
    let document: Value = serde_json::from_str(&text).map_err(Unexpected::Json)?;
    if document.is_null() {
        return Ok(None);
    }
    let verdict = verdict_from_json(&document).ok_or(Unexpected::Type { column })?;
    Ok(Some(verdict))
}
