//! Which server holds the database, and which of its histories.
//!
//! Owns the comparison with the server that this process knows, and with the last server of the
//! database. A standby that takes over, a backup that is restored to a point in time, and a copy
//! in another server all differ. Callers rely on this: when it differs, the change is logged once
//! for each process, and the first process that notices has every head found anew.

use super::connection::Open;
use super::error::{is_not_allowed, reason};
use super::heads;
use super::server::Server;
use super::transaction::{self, Kind, Waits};
use super::tx::Session;
use super::version_row;
use crate::store::engine::{Tx, values};
use crate::store::{Durability, Error};

/// A server, and one of its histories. A part is unknown if this role may not see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The server keeps it for life, and its standbys have it, too.
    system: Option<i64>,
    /// Grows whenever a standby takes over, or a backup is restored to a point in time.
    timeline: Option<i64>,
}

/// Finds out who serves a connection, and says when it is not the one that was known. The database
/// is prepared.
pub(super) fn meet(
    open: &mut Open,
    known: Option<&Identity>,
    server: &Server,
) -> Result<Identity, Error> {
    let (found, is_stored) = transaction::run(open, &Kind::OneState { budget: None }, |session| {
        let found = identity(session)?;
        let is_stored = is_stored(session, &found)?;
        Ok((found, is_stored))
    })?;
    if known.is_some_and(|known| *known != found) {
        tracing::warn!(
            "`{server}` is another server now, or another history of it: what was read before is \
             forgotten"
        );
    }
    if !is_stored {
        let kind = Kind::Change {
            durability: Durability::Full,
            waits: Waits::ForOthers,
        };
        match transaction::run(open, &kind, |session| store(session, &found)) {
            Ok(true) => tracing::warn!(
                "the queue in `{server}` was in another server before, or in another history of \
                 this one: every head is found anew"
            ),
            Ok(false) => {}
            // A worker's role. A process that may do it will.
            Err(error) if is_not_allowed(&error) => tracing::debug!("left to others: {error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Stores who holds the database, and has every head found anew if that was another. Returns whether
/// it was another.
fn store(session: &Session<'_>, found: &Identity) -> Result<bool, Error> {
    let tx: &dyn Tx = session;
    let of_another = tx.exists("SELECT 1 FROM serial_gate_server", &[])?;
    let changed = tx.execute(
        "INSERT INTO serial_gate_server AS known (id, system, timeline) VALUES (1, $1, $2)
         ON CONFLICT (id) DO UPDATE SET system = excluded.system, timeline = excluded.timeline
         WHERE (known.system, known.timeline)
            IS DISTINCT FROM (excluded.system, excluded.timeline)",
        values![found.system, found.timeline],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    tx.execute(heads::MARK_ALL, &[])?;
    version_row::next(session)?;
    Ok(of_another)
}

fn is_stored(session: &Session<'_>, found: &Identity) -> Result<bool, Error> {
    let tx: &dyn Tx = session;
    // What this role may not see says nothing.
    let is_hidden = found.system.is_none() || found.timeline.is_none();
    let sql = "SELECT 1 FROM serial_gate_server WHERE system = $1 AND timeline = $2";
    Ok(is_hidden || tx.exists(sql, values![found.system, found.timeline])?)
}

/// Who serves this session now.
fn identity(session: &Session<'_>) -> Result<Identity, Error> {
    Ok(Identity {
        system: ask(session, "SELECT system_identifier FROM pg_control_system()")?,
        timeline: match ask(session, TIMELINE)? {
            Some(timeline) => Some(timeline),
            None => ask(session, "SELECT timeline_id FROM pg_control_checkpoint()")?,
        },
    })
}

/// The timeline that is written now; NULL on a standby. That of the last checkpoint stays for
/// minutes after a standby has taken over.
const TIMELINE: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN
    ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END";

/// Asks what a role may be forbidden to see.
fn ask(session: &Session<'_>, sql: &str) -> Result<Option<i64>, Error> {
    let tx: &dyn Tx = session;
    session.begin_part()?;
    let found = tx.only(sql, &[], |row| row.get(0));
    if found.as_ref().is_err_and(|error| reason(error).is_none()) {
        return found;
    }
    session.undo_part()?;
    Ok(found.unwrap_or_default())
}
