//! Deliveries: the state of each alert for each channel.
//!
//! Owns their life: `pending` → `sent`, or `failed` after enough attempts. A sender takes a
//! delivery for a lease, so that two senders do not both send it; when a sender dies, another takes
//! it after the lease, and the alert may arrive twice. Leaves the channels to the room `alerts`.
//! Callers rely on this: an alert older than a day is not sent to a channel that has no delivery of
//! it, so that a new channel does not begin with old news. A time that no right clock can have
//! written counts as over, so that a clock that was ahead silences no channel.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::alerts::{Alert, COLUMNS};
use crate::store::engine::{FromValue, Tx, Value, values};
use crate::store::time::latest;
use crate::store::{Error, Store, from_sql_time, lease_end, sql_time};

/// After how long an alert is old news.
pub(crate) const NEWS: SignedDuration = SignedDuration::from_hours(24);

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It is yet to be sent, for the first time or again.
    Pending,
    /// The channel has accepted it.
    Sent,
    /// It has had all its attempts.
    Failed,
}

impl DeliveryState {
    const ALL: [DeliveryState; 3] = [
        DeliveryState::Pending,
        DeliveryState::Sent,
        DeliveryState::Failed,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Sent => "sent",
            DeliveryState::Failed => "failed",
        }
    }
}

/// The state of an alert for a channel.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Delivery {
    /// The channel.
    pub channel: String,
    /// Its state.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When a pending one is due, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    pub due_at: Option<String>,
    /// When it was sent, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    pub sent_at: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
}

/// A delivery that a sender has taken for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What to send.
    pub alert: Alert,
    /// The channel.
    pub channel: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What went wrong last.
    pub error: Option<String>,
}

/// What there is to do for a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Send this.
    Due(Box<Due>),
    /// Come back at this time; with none, when there is a new alert.
    Nothing(Option<Timestamp>),
}

/// A recent alert without a delivery for the channel.
const UNKNOWN: &str = "a.at > $2 AND NOT EXISTS (
    SELECT 1 FROM serial_gate_delivery d WHERE d.alert = a.id AND d.channel = $1)";

impl Store {
    /// Takes the next due delivery of a channel for a lease. Fewer attempts come first, so that a
    /// delivery that always fails delays no other. Nothing is delayed for longer than `longest`.
    /// Takes the write lock only if a delivery is due.
    pub fn take_delivery(
        &mut self,
        now: Timestamp,
        channel: &str,
        lease: Duration,
        longest: Duration,
    ) -> Result<Taken, Error> {
        let since = sql_time(now.checked_sub(NEWS).unwrap_or(Timestamp::MIN));
        let limits = [latest(now, longest), latest(now, lease)];
        if let Some(then) = self.read(|tx| nothing(tx, now, channel, &since, &limits))? {
            return Ok(Taken::Nothing(then));
        }
        let [last_due, last_lease] = limits;
        let (now, lease) = (sql_time(now), sql_time(lease_end(now, lease)));
        self.write_alone(|tx| {
            tx.execute(
                &format!(
                    "INSERT INTO serial_gate_delivery (alert, channel, state, attempts, due_at)
                     SELECT a.id, $1, 'pending', 0, $3 FROM serial_gate_alert a WHERE {UNKNOWN}"
                ),
                values![channel, since, now],
            )?;
            let taken: Option<(i64, u32, Option<String>)> = tx.row(
                "UPDATE serial_gate_delivery SET attempts = attempts + 1, lease_until = $3
                     WHERE channel = $1 AND alert = (
                        SELECT alert FROM serial_gate_delivery
                        WHERE channel = $1 AND state = 'pending' AND (due_at <= $2 OR due_at > $4)
                            AND (lease_until IS NULL OR lease_until <= $2 OR lease_until > $5)
                        ORDER BY attempts, alert LIMIT 1)
                     RETURNING alert, attempts, error",
                values![channel, now, lease, last_due, last_lease],
                |row| Ok((row.get(0)?, row.get(1)?, row.shown(2)?)),
            )?;
            let Some((id, attempt, error)) = taken else {
                // Another sender was faster. Its lease may run out.
                return Ok(Taken::Nothing(from_sql_time(&lease)));
            };
            let alert = tx.only(
                &format!("SELECT {COLUMNS} FROM serial_gate_alert a WHERE a.id = $1"),
                values![id],
                Alert::of_row,
            )?;
            Ok(Taken::Due(Box::new(Due {
                alert,
                channel: channel.into(),
                attempt,
                error,
            })))
        })
    }

    /// The channel has accepted it. This counts even if another sender has the delivery by now.
    pub fn delivered(&mut self, now: Timestamp, due: &Due) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE serial_gate_delivery
                     SET state = 'sent', sent_at = $3, lease_until = NULL, error = NULL
                     WHERE alert = $1 AND channel = $2",
                values![due.alert.id, due.channel, sql_time(now)],
            )?;
            Ok(())
        })
    }

    /// It was taken but not sent, so this is no attempt. The last error is kept.
    pub fn given_up(&mut self, due: &Due, error: &str) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE serial_gate_delivery
                     SET state = 'failed', attempts = attempts - 1, error = coalesce(error, $4),
                     lease_until = NULL
                     WHERE alert = $1 AND channel = $2 AND attempts = $3 AND state = 'pending'",
                values![due.alert.id, due.channel, due.attempt, error],
            )?;
            Ok(())
        })
    }

    /// It could not be sent: it is due again at `again`, or has failed. The channel is left alone
    /// until `held_until`. A sender whose lease ran out does not change the delivery.
    pub fn not_delivered(
        &mut self,
        due: &Due,
        error: &str,
        again: Option<Timestamp>,
        held_until: Timestamp,
    ) -> Result<(), Error> {
        let whole = |time| sql_time(lease_end(time, Duration::ZERO));
        let state = match again {
            Some(_) => DeliveryState::Pending,
            None => DeliveryState::Failed,
        };
        self.write(|tx| {
            tx.execute(
                "UPDATE serial_gate_delivery
                     SET state = $4, error = $5, due_at = coalesce($6, due_at), lease_until = NULL
                     WHERE alert = $1 AND channel = $2 AND attempts = $3 AND state = 'pending'",
                values![
                    due.alert.id,
                    due.channel,
                    due.attempt,
                    state.name(),
                    error,
                    again.map(whole)
                ],
            )?;
            tx.execute(
                "INSERT INTO serial_gate_channel (name, held_until) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET held_until = excluded.held_until",
                values![due.channel, whole(held_until)],
            )?;
            Ok(())
        })
    }
}

/// When to come back to a channel, if there is nothing to do for it now. An impossible time counts
/// as the earliest.
fn nothing(
    tx: &dyn Tx,
    now: Timestamp,
    channel: &str,
    since: &str,
    [last_due, last_lease]: &[String; 2],
) -> Result<Option<Option<Timestamp>>, Error> {
    let (news, due, held): (bool, Option<String>, Option<String>) = tx.only(
        &format!(
            "SELECT
            EXISTS (SELECT 1 FROM serial_gate_alert a WHERE {UNKNOWN}),
            (SELECT min(CASE WHEN leased > due THEN leased ELSE due END) FROM (
                SELECT CASE WHEN due_at > $3 THEN '' ELSE due_at END AS due,
                    CASE WHEN lease_until > $4 THEN '' ELSE lease_until END AS leased
                FROM serial_gate_delivery WHERE channel = $1 AND state = 'pending') AS pending),
            (SELECT CASE WHEN held_until > $3 THEN '' ELSE held_until END
             FROM serial_gate_channel WHERE name = $1)"
        ),
        values![channel, since, last_due, last_lease],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if !news && due.is_none() {
        return Ok(Some(None));
    }
    let due = if news { None } else { due };
    let then = [due, held].into_iter().flatten().max();
    let is_later = then.as_ref().is_some_and(|then| *then > sql_time(now));
    // A text that is not a time, by another program, is no reason to wait.
    Ok(then
        .filter(|_| is_later)
        .and_then(|then| from_sql_time(&then))
        .map(Some))
}

impl FromValue for DeliveryState {
    fn from_value(value: Value<'_>) -> Option<DeliveryState> {
        let name = String::from_value(value)?;
        DeliveryState::ALL
            .into_iter()
            .find(|known| known.name() == name)
    }
}
