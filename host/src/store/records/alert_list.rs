//! The list of alerts, as people see it: each with how far it is.
//!
//! Owns what an alert counts as over all its channels. It changes nothing.

use jiff::Timestamp;
use rusqlite::Connection;

use super::alerts::{Alert, COLUMNS};
use super::deliveries::NEWS;
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::value::Shown;
use crate::store::{Delivery, DeliveryState, Error, Store, sql_time};

/// Where an alert stands, over all channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedAs {
    /// A channel is to have it yet.
    Pending,
    /// A channel could not be given it.
    Failed,
    /// Every channel has it.
    Sent,
    /// There was no channel for it while it was news.
    Expired,
}

/// An alert with its deliveries.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AlertRow {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Where it stands.
    pub state: ListedAs,
    /// How far it is with each channel.
    pub deliveries: Vec<Delivery>,
}

/// How full the outbox is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbox {
    /// What is to be sent yet.
    pub pending: i64,
    /// When the oldest of that was written, UTC.
    pub oldest_pending: Option<String>,
    /// What was tried often enough.
    pub failed: i64,
}

impl Store {
    /// How full the outbox is, over all channels.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn outbox(&mut self, now: Timestamp) -> Result<Outbox, Error> {
        let since = sql_time(now.checked_sub(NEWS).unwrap_or(Timestamp::MIN));
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT count(*) FILTER (WHERE is_pending), min(at) FILTER (WHERE is_pending),
                        count(*) FILTER (WHERE state = 'failed')
                 FROM (SELECT a.at, d.state, coalesce(d.state = 'pending', a.at > ?1) AS is_pending
                       FROM serial_gate_alert a LEFT JOIN serial_gate_delivery d ON d.alert = a.id)",
            )?;
            Ok(query.query_row([since], |row| {
                Ok(Outbox {
                    pending: row.get(0)?,
                    oldest_pending: row.get::<_, Shown>(1)?.0,
                    failed: row.get(2)?,
                })
            })?)
        })
    }

    /// The alerts with their deliveries, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn alerts(&mut self, now: Timestamp, limit: u32) -> Result<Vec<AlertRow>, Error> {
        let since = sql_time(now.checked_sub(NEWS).unwrap_or(Timestamp::MIN));
        self.doing(|connection| {
            // Both reads see one state.
            let reading = Transaction::read(connection)?;
            let mut query = reading.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM serial_gate_alert a ORDER BY a.id DESC LIMIT ?1"
            ))?;
            let alerts = query.query_map([limit], Alert::of_row)?;
            let rows = alerts.map(|alert| {
                let alert = alert?;
                let deliveries = deliveries(&reading, alert.id)?;
                let state = listed_as(&deliveries, alert.at > since);
                Ok(AlertRow {
                    alert,
                    state,
                    deliveries,
                })
            });
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn deliveries(connection: &Connection, alert: i64) -> rusqlite::Result<Vec<Delivery>> {
    let mut query = connection.prepare_cached(
        "SELECT channel, state, attempts, CASE state WHEN 'pending' THEN due_at END, sent_at, error
         FROM serial_gate_delivery WHERE alert = ?1 ORDER BY channel",
    )?;
    let deliveries = query.query_map([alert], |row| {
        Ok(Delivery {
            channel: row.get::<_, Shown>(0)?.0.unwrap_or_default(),
            state: row.get(1)?,
            attempts: row.get(2)?,
            due_at: row.get::<_, Shown>(3)?.0,
            sent_at: row.get::<_, Shown>(4)?.0,
            error: row.get::<_, Shown>(5)?.0,
        })
    })?;
    deliveries.collect()
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
