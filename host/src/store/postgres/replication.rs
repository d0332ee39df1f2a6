//! Whether an acknowledged change outlives the server.
//!
//! Owns what is asked of the server. Leaves the words to `risk`, and to `transaction` what is asked of
//! a commit. Callers rely on this: what this role may not see is no reason for a warning.

use super::engine::Postgres;
use super::tx::Session;
use crate::store::engine::{Tx, values};
use crate::store::{Error, Risk};

/// What may cost an acknowledged change.
pub(crate) fn risks(session: &Session<'_>) -> Result<Vec<Risk>, Error> {
    let tx: &dyn Tx = session;
    // A role without `pg_monitor` sees that a standby is there, and not its state.
    let (is_flushed, is_synchronous, commit, standbys, unknown, synchronous) = tx.only(
        "SELECT current_setting('fsync')::boolean,
            current_setting('synchronous_standby_names') <> '',
            (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'synchronous_commit'),
            count(pid), count(pid) FILTER (WHERE sync_state IS NULL),
            count(pid) FILTER (WHERE sync_state IN ('sync', 'quorum'))
         FROM pg_catalog.pg_stat_replication",
        &[],
        |row| {
            Ok((
                row.get::<bool>(0)?,
                row.get::<bool>(1)?,
                row.get::<String>(2)?,
                row.get::<i64>(3)?,
                row.get::<i64>(4)?,
                row.get::<i64>(5)?,
            ))
        },
    )?;
    let mut risks = Vec::new();
    if !is_flushed {
        risks.push(Risk::NotFlushed);
    }
    let unlogged = "SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace($1)
        AND relname IN ('tasks', 'jobs', 'repo_freeze') AND relpersistence = 'u'";
    if tx.exists(unlogged, values![session.schema()])? {
        risks.push(Risk::Unlogged);
    }
    if !is_synchronous && standbys > 0 {
        risks.push(Risk::Asynchronous);
    }
    if is_synchronous && commit == "remote_write" {
        risks.push(Risk::NotOnItsDisk);
    }
    if is_synchronous && synchronous == 0 && unknown == 0 {
        risks.push(Risk::NoneConnected);
    }
    Ok(risks)
}

impl Postgres {
    /// Why an acknowledged change may be lost.
    pub(crate) fn risks(&mut self) -> Result<Vec<Risk>, Error> {
        self.read(risks)
    }
}
