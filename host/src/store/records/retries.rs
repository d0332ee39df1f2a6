//! Failed alerts that are to be sent again.
//!
//! Owns the change from `failed` back to `pending`, which only an operator makes. Callers rely on
//! this: such an alert has all its attempts again and is due at once, and its channel is tried
//! again.

use super::audit::{self, AuditRow};
use super::effect::Effect;
use crate::store::engine::{Tx, values};
use crate::store::{Actor, Error, Store, sql_time};

/// How many alerts an audit names; more are counted.
const NAMED: usize = 10;

/// An alert that is sent to a channel again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Retried {
    /// The alert.
    pub alert: i64,
    /// The channel.
    pub channel: String,
}

impl Store {
    /// Makes failed alerts pending again, these or all, for one channel or for each that failed,
    /// and returns them. An alert that has not failed is left alone. If one of the alerts does not
    /// exist, nothing is changed.
    ///
    /// # Errors
    ///
    /// When there is no such alert.
    pub fn retry_alerts(
        &mut self,
        actor: Actor<'_>,
        ids: &[i64],
        channel: Option<&str>,
    ) -> Result<Vec<Retried>, Error> {
        self.write_alone(|tx| {
            for id in ids {
                if !tx.exists("SELECT 1 FROM serial_gate_alert WHERE id = $1", values![id])? {
                    return Err(Error::NoAlert { id: *id });
                }
            }
            let retried = if ids.is_empty() {
                retry(tx, actor, None, channel)?
            } else {
                let each = ids.iter().map(|id| retry(tx, actor, Some(*id), channel));
                each.collect::<Result<Vec<_>, Error>>()?.concat()
            };
            if retried.is_empty() {
                return Ok(retried);
            }
            let row = AuditRow {
                action: "alerts retry",
                repo: None,
                subject: subject(&retried),
                before: Some("failed"),
                after: Some("pending"),
            };
            audit::write_down(tx, actor, row)?;
            let effect = Effect {
                what: "the retry",
                table: "serial_gate_delivery",
            };
            for Retried { alert, channel } in &retried {
                let is_pending = "SELECT 1 FROM serial_gate_delivery
                    WHERE alert = $1 AND channel = $2 AND state = 'pending' AND attempts = 0";
                effect.is_there(tx, is_pending, values![alert, channel])?;
            }
            Ok(retried)
        })
    }
}

fn retry(
    tx: &dyn Tx,
    actor: Actor<'_>,
    id: Option<i64>,
    channel: Option<&str>,
) -> Result<Vec<Retried>, Error> {
    let mut retried: Vec<Retried> = tx.rows(
        "UPDATE serial_gate_delivery
         SET state = 'pending', attempts = 0, due_at = $1, lease_until = NULL, error = NULL
         WHERE state = 'failed' AND (CAST($2 AS BIGINT) IS NULL OR alert = $2) AND (CAST($3 AS TEXT) IS NULL OR channel = $3)
         RETURNING alert, channel",
        values![sql_time(actor.now), id, channel],
        |row| {
            Ok(Retried {
                alert: row.get(0)?,
                channel: row.shown(1)?.unwrap_or_default(),
            })
        },
    )?;

    retried.sort_by(|one, other| (one.alert, &one.channel).cmp(&(other.alert, &other.channel)));
    for Retried { channel, .. } in &retried {
        tx.execute(
            "DELETE FROM serial_gate_channel WHERE name = $1",
            values![channel],
        )?;
    }
    Ok(retried)
}

/// Such as `alert 3` or `alerts 3, 5`.
fn subject(retried: &[Retried]) -> String {
    let mut alerts: Vec<String> = retried.iter().map(|one| one.alert.to_string()).collect();
    alerts.dedup();
    match alerts.as_slice() {
        [alert] => format!("alert {alert}"),
        some if some.len() <= NAMED => format!("alerts {}", some.join(", ")),
        many => format!("{} alerts", many.len()),
    }
}
