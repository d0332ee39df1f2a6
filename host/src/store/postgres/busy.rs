//! Who holds what a claim needs.
//!
//! Owns the look, after a claim has waited in vain. Leaves the words to `Problem`. Callers rely on
//! this: those who are named had a lock of a repo at that moment; they may be other claims.

use super::locks::Locks;
use super::tx::Session;
use crate::store::Error;
use crate::store::engine::Tx;

/// The server's processes that hold a lock of a repo, up to five of them.
pub(super) fn holders(session: &Session<'_>) -> Result<Vec<i64>, Error> {
    let tx: &dyn Tx = session;
    let sql = format!(
        "SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory'
            AND l.granted AND l.pid <> pg_backend_pid() AND {}
         ORDER BY l.pid LIMIT 5",
        Locks::of(session.schema()).is_of_a_repo("l")
    );
    tx.rows(&sql, &[], |row| row.get(0))
}
