//! The list of alerts for people, each with its state over all channels.
//!
//! Owns how the states of the deliveries become one state. Changes nothing.

use jiff::Timestamp;

use super::alerts::{Alert, COLUMNS};
use super::deliveries::NEWS;
use crate::store::engine::{Tx, values};
use crate::store::{Delivery, DeliveryState, Error, Store, sql_time};

/// The state of an alert, over all channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedAs {
    /// It is yet to be sent to a channel.
    Pending,
    /// It could not be sent to a channel.
    Failed,
    /// Every channel has it.
    Sent,
    /// There was no channel for it within a day.
    Expired,
}

/// An alert with its deliveries.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AlertRow {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Its state.
    pub state: ListedAs,
    /// Its delivery to each channel.
    pub deliveries: Vec<Delivery>,
}

/// How full the outbox is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbox {
    /// How many deliveries are pending.
    pub pending: i64,
    /// When the oldest pending alert was written, UTC.
    pub oldest_pending: Option<String>,
    /// How many deliveries have failed.
    pub failed: i64,
}

impl Store {
    /// How full the outbox is, over all channels.
    pub fn outbox(&mut self, now: Timestamp) -> Result<Outbox, Error> {
        let since = sql_time(now.checked_sub(NEWS).unwrap_or(Timestamp::MIN));
        self.read(|tx| {
            tx.only(
                "SELECT count(*) FILTER (WHERE is_pending), min(at) FILTER (WHERE is_pending),
                        count(*) FILTER (WHERE state = 'failed')
                 FROM (SELECT a.at, d.state, coalesce(d.state = 'pending', a.at > $1) AS is_pending
                       FROM serial_gate_alert a LEFT JOIN serial_gate_delivery d
                       ON d.alert = a.id) AS listed",
                values![since],
                |row| {
                    Ok(Outbox {
                        pending: row.get(0)?,
                        oldest_pending: row.shown(1)?,
                        failed: row.get(2)?,
                    })
                },
            )
        })
    }

    /// The alerts with their deliveries, the newest first.
    pub fn alerts(&mut self, now: Timestamp, limit: u32) -> Result<Vec<AlertRow>, Error> {
        let since = sql_time(now.checked_sub(NEWS).unwrap_or(Timestamp::MIN));
        self.read_one_state(|tx| {
            let alerts = tx.rows(
                &format!("SELECT {COLUMNS} FROM serial_gate_alert a ORDER BY a.id DESC LIMIT $1"),
                values![limit],
                Alert::of_row,
            )?;
            let rows = alerts.into_iter().map(|alert| {
                let deliveries = deliveries(tx, alert.id)?;
                let state = listed_as(&deliveries, alert.at > since);
                Ok(AlertRow {
                    alert,
                    state,
                    deliveries,
                })
            });
            rows.collect()
        })
    }
}

fn deliveries(tx: &dyn Tx, alert: i64) -> Result<Vec<Delivery>, Error> {
    tx.rows(
        "SELECT channel, state, attempts, CASE state WHEN 'pending' THEN due_at END, sent_at, error
         FROM serial_gate_delivery WHERE alert = $1 ORDER BY channel",
        values![alert],
        |row| {
            Ok(Delivery {
                channel: row.shown(0)?.unwrap_or_default(),
                state: row.get(1)?,
                attempts: row.get(2)?,
                due_at: row.shown(3)?,
                sent_at: row.shown(4)?,
                error: row.shown(5)?,
            })
        },
    )
}

fn listed_as(deliveries: &[Delivery], is_news: bool) -> ListedAs {
    let any = |state| deliveries.iter().any(|delivery| delivery.state == state);
    if deliveries.is_empty() && !is_news {
        ListedAs::Expired
    } else if any(DeliveryState::Failed) {
        ListedAs::Failed
    } else if deliveries.is_empty() || any(DeliveryState::Pending) {
        ListedAs::Pending
    } else {
        ListedAs::Sent
    }
}
