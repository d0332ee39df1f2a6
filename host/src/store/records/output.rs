//! The last output of a job: what its worker printed before it ended.
//!
//! Owns what is kept, and for how many jobs. Leaves to the workers what they print. Callers rely on
//! this: the output of an earlier claim, or of an earlier job with the same id, is never returned
//! for a later one; and the token of the claim is not in it.

use super::holding::holding;
use crate::store::engine::values;
use crate::store::{Actor, Claim, Error, Store, sql_time};

/// How many bytes are kept: the last ones.
const LONGEST: usize = 8 << 10;

/// For how many jobs: the last ones that ended.
const KEPT: i64 = 10_000;

/// How many rows one change forgets.
const STEP: i64 = 100;

/// What is kept instead of the token.
const TOKEN: &str = "[token]";

/// The last output of a job's latest attempt.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct JobOutput {
    /// Which attempt it was.
    pub attempt: i64,
    /// When it ended, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
    #[schema(format = DateTime)]
    pub at: String,
    /// The last lines.
    pub text: String,
}

impl Store {
    /// Stores the end of the output of a claimed job, in place of an earlier one. To the holder of
    /// the claim this is possible after the job's end, too.
    ///
    /// # Errors
    ///
    /// When there is no such job, or the token is not its claim's.
    pub fn keep_output(
        &mut self,
        actor: Actor<'_>,
        claim: Claim<'_>,
        text: &str,
    ) -> Result<(), Error> {
        // Other programs take a NUL for the end of the text.
        let text = text.replace(claim.token, TOKEN).replace('\0', "\u{fffd}");
        let begin = text.ceil_char_boundary(text.len().saturating_sub(LONGEST));
        let text = text.get(begin..).unwrap_or_default();
        let (at, job) = (sql_time(actor.now), claim.job);
        self.writing_for_a_holder(actor, |tx| {
            holding(tx, claim, "given an output")?;
            let sql = "SELECT CAST(coalesce(gate_fence, 0) AS BIGINT),
                CAST(coalesce(gate_attempt, 0) AS BIGINT) FROM jobs WHERE id = $1";
            let (fence, attempt) = tx.only(sql, values![job], |row| {
                Ok((row.get::<i64>(0)?, row.get::<i64>(1)?))
            })?;
            tx.execute(
                "DELETE FROM serial_gate_output WHERE job = $1",
                values![job],
            )?;
            let sql = "INSERT INTO serial_gate_output (job, fence, attempt, at, text)
                VALUES ($1, $2, $3, $4, $5) RETURNING id";
            let values = values![job, fence, attempt, at, text];
            let id: i64 = tx.only(sql, values, |row| row.get(0))?;
            let sql = "DELETE FROM serial_gate_output WHERE id IN (
                SELECT id FROM serial_gate_output WHERE id <= $1 ORDER BY id LIMIT $2)";
            tx.execute(sql, values![id.saturating_sub(KEPT), STEP])?;
            Ok(())
        })
    }

    /// The last output of a job's latest attempt, if it has one.
    pub fn output_of(&mut self, job: i64) -> Result<Option<JobOutput>, Error> {
        let sql = "SELECT o.attempt, o.at, o.text FROM serial_gate_output o
            JOIN jobs ON jobs.id = o.job WHERE o.job = $1
            AND o.fence = CAST(coalesce(jobs.gate_fence, 0) AS BIGINT)";
        self.read(|tx| {
            tx.row(sql, values![job], |row| {
                Ok(JobOutput {
                    attempt: row.get(0)?,
                    at: row.get(1)?,
                    text: row.get(2)?,
                })
            })
        })
    }
}
