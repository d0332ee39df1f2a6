//! The audit: what operators changed, before and after, and why.
//!
//! Owns its rows, which are only ever added, and the one list over them and the events of the
//! generations, which are stored only there. Callers rely on this: a row is written in the
//! transaction of its change, so every change by an operator has a row, and no row is about a
//! change that did not happen.

use jiff::Timestamp;

use super::effect::Effect;
use super::lookup::work_item_of;
use crate::store::engine::{Row, Tx, values};
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
    /// The work item of the task, if it was done to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_item_id: Option<String>,
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

/// Which entries are listed: those that fit all that is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter<'a> {
    /// Only of this repo. Changes of the policy concern every repo, and are of none.
    pub repo: Option<&'a str>,
    /// Only by this person or program.
    pub who: Option<&'a str>,
    /// Only since then.
    pub since: Option<Timestamp>,
}

impl Store {
    /// What operators did, the newest first.
    pub fn audit(&mut self, filter: AuditFilter<'_>, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let AuditFilter { repo, who, since } = filter;
        let since = since.map(sql_time);
        self.read(|tx| {
            // A candidate that is only checked is no change, but it is the state before the next
            // event.
            let mut entries = tx.rows(
                "SELECT at, who, action, repo, subject, before, after, why FROM (
                    SELECT at, who, action, repo, subject, before, after, why, 1 AS place, id
                    FROM serial_gate_audit
                    UNION ALL
                    SELECT at, who, 'policy', NULL, 'generation ' || generation,
                        lag(state) OVER (PARTITION BY generation ORDER BY id), state, why, 0, id
                    FROM serial_gate_generation_event
                 ) AS entries
                 WHERE (CAST($1 AS TEXT) IS NULL OR repo = $1) AND (action != 'policy' OR after != 'candidate')
                    AND (CAST($3 AS TEXT) IS NULL OR who = $3)
                    AND (CAST($4 AS TEXT) IS NULL OR at >= $4)
                 ORDER BY at DESC, place DESC, id DESC LIMIT $2",
                values![repo, limit, who, since],
                entry_at,
            )?;
            for entry in &mut entries {
                let task = entry.subject.strip_prefix("task ");
                if let Some(task) = task.and_then(|id| id.parse().ok()) {
                    entry.work_item_id = work_item_of(tx, task)?;
                }
            }
            Ok(entries)
        })
    }
}

impl Store {
    /// What operators did to a repo and to what is in it, the newest first.
    pub fn audit_of_repo(&mut self, repo: &str, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let sql = format!(
            "SELECT {ENTRY} FROM serial_gate_audit WHERE repo = $1 ORDER BY id DESC LIMIT $2"
        );
        self.read(|tx| tx.rows(&sql, values![repo, limit], entry_at))
    }
}

/// How many of the newest entries of a repo are looked at for one task.
const LOOKED_AT: u32 = 10_000;

impl Store {
    /// What operators did to a task and to these jobs of it, the newest first.
    pub fn audit_of_task(
        &mut self,
        task: i64,
        jobs: &[i64],
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        let of_jobs = jobs.iter().map(|job| format!("job {job}"));
        let subjects: Vec<String> = of_jobs.chain([format!("task {task}")]).collect();
        let subjects = serde_json::json!(subjects).to_string();
        self.read(|tx| {
            let sql = format!(
                "SELECT {ENTRY} FROM (
                    SELECT id, {ENTRY} FROM serial_gate_audit
                    WHERE repo = (SELECT repo FROM tasks WHERE id = $1)
                    ORDER BY id DESC LIMIT {LOOKED_AT}
                 ) AS looked
                 WHERE subject IN ({}) ORDER BY id DESC LIMIT $3",
                tx.texts_of("$2")
            );
            tx.rows(&sql, values![task, subjects, limit], entry_at)
        })
    }
}

/// The columns of [`entry_at`].
const ENTRY: &str = "at, who, action, repo, subject, before, after, why";

fn entry_at(row: Row<'_>) -> Result<AuditEntry, Error> {
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
        work_item_id: None,
    })
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
