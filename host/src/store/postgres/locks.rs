//! The locks by which writers and claims of a repo know of each other.
//!
//! Owns the keys and who takes which. A program that writes a repo's rows takes the repo's lock
//! shared, in a trigger; a claim takes it alone, and then asks the clause in the next statement,
//! which sees everything that was committed before. Writers never wait for each other. Callers rely
//! on this: a claim waits only while it holds no repo's lock, and only for a bounded time; with
//! several it tries. So nobody waits for a claim that waits, and there are no deadlocks, in
//! whatever order a transaction writes its repos.

use std::fmt::Display;

/// Repos share this many keys: a server has room for a few thousand locks, and a transaction may
/// write any number of repos. Two repos of one key miss a claim at most.
const KEYS: i32 = 1024;

/// The key of the rows without a repo.
const NO_REPO: i32 = KEYS;

/// Every writer takes it shared, before its repo's. A claim by a clause that reads other repos' rows
/// takes it alone.
pub(super) const WRITERS: i32 = KEYS + 1;

/// Every claim takes it shared. A process that adds an index of heads takes it alone.
pub(super) const CLAIMS: i32 = KEYS + 2;

/// The session that moves the numbers of freezes to the present holds it.
pub(super) const NUMBERS: i32 = KEYS + 3;

/// A change of the records that relies on what it reads takes it alone: a freeze, a verdict, a
/// generation, an alert on its way.
pub(super) const RECORDS: i32 = KEYS + 4;

/// The key of a repo, which is an expression of the type `text`.
pub(super) fn key(repo: &str) -> String {
    format!(
        "CASE WHEN {repo} IS NULL THEN {NO_REPO}
         ELSE (hashtextextended({repo} COLLATE \"C\", 0) & {})::integer END",
        KEYS - 1
    )
}

/// The locks of one queue.
#[derive(Clone, Copy)]
pub(super) struct Locks(i32);

impl Locks {
    /// Those of the queue in a schema. A database may have several queues, and locks of other
    /// programs: the upper half of the number is the gate's, the lower half the schema's.
    pub(super) fn of(schema: &str) -> Locks {
        let hash = schema.bytes().fold(0_u16, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(byte.into())
        });
        Locks(0x5347_0000 | i32::from(hash))
    }

    /// Takes a key shared, until the transaction ends.
    pub(super) fn share(self, key: impl Display) -> String {
        format!("pg_advisory_xact_lock_shared({}, {key})", self.0)
    }

    /// Takes the locks of a writer of a repo, an expression of the type `text`.
    pub(super) fn write(self, repo: &str) -> String {
        format!("{}, {}", self.share(WRITERS), self.share(key(repo)))
    }

    /// Takes a key alone, until the transaction ends.
    pub(super) fn take(self, key: impl Display) -> String {
        format!("pg_advisory_xact_lock({}, {key})", self.0)
    }

    /// Whether the key could be taken alone at once.
    pub(super) fn try_take(self, key: impl Display) -> String {
        format!("pg_try_advisory_xact_lock({}, {key})", self.0)
    }

    /// Whether the key could be taken shared at once.
    pub(super) fn try_share(self, key: impl Display) -> String {
        format!("pg_try_advisory_xact_lock_shared({}, {key})", self.0)
    }

    /// Takes a key alone, until it is let go.
    pub(super) fn hold(self, key: impl Display) -> String {
        format!("pg_advisory_lock({}, {key})", self.0)
    }

    /// The condition that a row of `pg_locks` is about a repo of this queue.
    pub(super) fn is_of_a_repo(self, alias: &str) -> String {
        format!(
            "{alias}.classid = {} AND {alias}.objid <= {NO_REPO} AND {alias}.database = (
                SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())",
            self.0
        )
    }

    /// Lets a key go that is held.
    pub(super) fn let_go(self, key: impl Display) -> String {
        format!("pg_advisory_unlock({}, {key})", self.0)
    }
}
