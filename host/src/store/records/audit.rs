//! The audit: what operators changed, before and after, and why.
//!
//! Owns its rows, which are only ever added, and the one list over them and the events of the
//! generations, which are stored only there. Callers rely on this: a row is written in the
//! transaction of its change, so every change by an operator has a row, and no row is about a
//! change that did not happen.

use super::effect::Effect;
use crate::store::engine::{Tx, values};
use crate::store::{Actor, Error, Store, sql_time};

/// Something that an operator did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// When, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
    #[schema(format = DateTime)]
    pub at: String,
    /// Who.
    pub who: String,
    /// What, such as `freeze` or `task done`.
    pub action: String,
    /// Where; none for a change that concerns every repo.
    pub repo: Option<String>,
    /// To what, such as `freeze 3` or `task 7`.
    pub subject: String,
    /// The state before.
    pub before: Option<String>,
    /// The state after.
    pub after: Option<String>,
    /// Why; may be empty.
    pub why: String,
}

/// What an operator does, for [`write_down`].
pub(crate) struct AuditRow<'a> {
    pub action: &'a str,
    pub repo: Option<&'a str>,
    pub subject: String,
    pub before: Option<&'a str>,
    pub after: Option<&'a str>,
}

impl Store {
    /// What operators did, in one repo or in all, the newest first. Changes of the policy concern
    /// every repo: they are in the list of all.
    pub fn audit(&mut self, repo: Option<&str>, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        self.read(|tx| {
            // A candidate that is only checked is no change, but it is the state before the next
            // event.
            tx.rows(
                "SELECT at, who, action, repo, subject, before, after, why FROM (
                    SELECT at, who, action, repo, subject, before, after, why, 1 AS place, id
                    FROM serial_gate_audit
                    UNION ALL
                    SELECT at, who, 'policy', NULL, 'generation ' || generation,
                        lag(state) OVER (PARTITION BY generation ORDER BY id), state, why, 0, id
                    FROM serial_gate_generation_event
                 ) AS entries
                 WHERE (CAST($1 AS TEXT) IS NULL OR repo = $1) AND (action != 'policy' OR after != 'candidate')
                 ORDER BY at DESC, place DESC, id DESC LIMIT $2",
                values![repo, limit],
                |row| {
                    let text = |column| row.shown(column);
                    Ok(AuditEntry {
                        at: text(0)?.unwrap_or_default(),
                        who: text(1)?.unwrap_or_default(),
                        action: text(2)?.unwrap_or_default(),
                        repo: text(3)?,
                        subject: text(4)?.unwrap_or_default(),
                        before: text(5)?,
                        after: text(6)?,
                        why: text(7)?.unwrap_or_default(),
                    })
                },
            )
        })
    }
}

/// Adds a row to the transaction of its change.
pub(crate) fn write_down(tx: &dyn Tx, actor: Actor<'_>, row: AuditRow<'_>) -> Result<(), Error> {
    let AuditRow {
        action,
        repo,
        subject,
        before,
        after,
    } = row;
    let effect = Effect {
        what: "the audit's row",
        table: "serial_gate_audit",
    };
    let id: i64 = effect.returned(tx.row(
        "INSERT INTO serial_gate_audit (at, who, action, repo, subject, before, after, why)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        values![
            sql_time(actor.now),
            actor.who,
            action,
            repo,
            subject,
            before,
            after,
            actor.why
        ],
        |row| row.get(0),
    ))?;
    effect.is_there(
        tx,
        "SELECT 1 FROM serial_gate_audit WHERE id = $1",
        values![id],
    )
}
