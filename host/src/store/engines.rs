//! What each engine does in its own way: the claim and its heads, the state of the queue, the
//! groups of changes, and the look after the database.
//!
//! Owns the choice of the engine, and what each call means. Leaves the work to `sqlite` and
//! `postgres`; what both do with the same SQL is in `records`. Every method that returns a `Result`
//! fails when the database cannot be read or written; `# Errors` names what else it refuses.

use std::time::Duration;

use jiff::Timestamp;

use super::sqlite::engine::Sqlite;
use super::{
    Backlog, Census, Change, Claimed, Committed, Compared, Error, HeadClaim, Lease, Missing,
    NoRoom, Place, Proof, Risk, Scanned, Shaped, Store, Trial,
};
use crate::clause::{Dialect, Rendered};

/// The engine of an open queue.
pub(super) enum Engine {
    Sqlite(Box<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Box<super::postgres::engine::Postgres>),
}

/// Calls the engine, whichever it is.
macro_rules! engine {
    ($store:expr, $engine:ident => $call:expr) => {
        match &mut $store.engine {
            $crate::store::engines::Engine::Sqlite($engine) => $call,
            #[cfg(feature = "postgres")]
            $crate::store::engines::Engine::Postgres($engine) => $call,
        }
    };
}
pub(super) use engine;

/// Claims, and what a clause says of the queue.
impl Store {
    /// How a clause is written for the database.
    pub fn dialect(&self) -> Dialect {
        self.database.location.dialect()
    }

    /// Sets how long a claim over the whole queue, and a comparison of heads, may take; by default
    /// 5 s.
    pub fn set_claim_budget(&mut self, budget: Duration) {
        engine!(self, engine => engine.set_claim_budget(budget));
    }

    /// Checks that the database accepts a clause and reads no whole table for a job.
    ///
    /// # Errors
    ///
    /// When it reads a whole table.
    pub fn check_clause(&mut self, clause: &Rendered) -> Result<(), Error> {
        engine!(self, engine => engine.check_clause(clause))
    }

    /// The steps of the database's plan for each query of a claim: over the whole queue, those that
    /// find heads, and the looks for leases that are over.
    ///
    /// # Errors
    ///
    /// When the database does not accept one of them.
    pub fn claim_plans(&mut self, clause: &Rendered) -> Result<Vec<Vec<String>>, Error> {
        engine!(self, engine => engine.claim_plans(clause))
    }

    /// Makes what claims by a clause need in the database, unless it is there. The first claim that
    /// may make it does so as well.
    ///
    /// # Errors
    ///
    /// When this process may not make it.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "only a server needs it")
    )]
    pub fn prepare_claims(
        &mut self,
        shaped: Option<Shaped<'_>>,
        scanned: Scanned<'_>,
    ) -> Result<(), Error> {
        match &mut self.engine {
            // A claim is statements of this process.
            Engine::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => engine.prepare_claims(shaped, scanned),
        }
    }

    /// Gives the first claimable job to a worker, if there is one. Looks at one queued job after
    /// another.
    ///
    /// # Errors
    ///
    /// When the budget is spent. No job is claimed then.
    pub fn claim(
        &mut self,
        scanned: Scanned<'_>,
        lease: Lease<'_>,
    ) -> Result<Option<Claimed>, Error> {
        engine!(self, engine => engine.claim(scanned, lease))
    }

    /// Gives the first head to a worker. The result is that of [`Store::claim`], but the cost does
    /// not depend on how many jobs are held. If nothing was found and the queue has not changed
    /// since, it takes no lock and reads a few pages.
    ///
    /// # Errors
    ///
    /// On an error no job is claimed.
    pub fn claim_head(&mut self, shaped: Shaped<'_>, lease: Lease<'_>) -> Result<HeadClaim, Error> {
        engine!(self, engine => engine.claim_head(shaped, lease))
    }
}

/// The heads of the partitions.
impl Store {
    /// Compares up to `limit` repos, from a place or from the first, and repairs what differs. A
    /// missing index has nothing to compare.
    ///
    /// # Errors
    ///
    /// When the budget is spent.
    pub fn compare_heads(
        &mut self,
        shaped: Shaped<'_>,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Compared, Error> {
        engine!(self, engine => engine.compare_heads(shaped, from, limit))
    }

    /// How often heads were wrong since the index of a clause was created.
    pub fn differences(&mut self, shaped: Shaped<'_>) -> Result<i64, Error> {
        engine!(self, engine => engine.differences(shaped))
    }

    /// Marks the repos of jobs that the clause lets through but the index lacks, and counts them as
    /// differences.
    ///
    /// # Errors
    ///
    /// When the database cannot be written at once.
    pub fn doubt_heads(&mut self, shaped: Shaped<'_>, claimable: &[i64]) -> Result<(), Error> {
        engine!(self, engine => engine.doubt_heads(shaped, claimable))
    }

    /// Where the last process stopped the comparison, if it did not finish.
    pub fn compared_to(&mut self, shaped: Shaped<'_>) -> Result<Option<Place>, Error> {
        engine!(self, engine => engine.compared_to(shaped))
    }

    /// Stores where a comparison stopped, unless another program is writing.
    pub fn compared_as_far_as(&mut self, shaped: Shaped<'_>, place: Option<&Place>) {
        engine!(self, engine => engine.compared_as_far_as(shaped, place));
    }

    /// Creates the missing triggers again, and returns their names. Changes may have gone
    /// unnoticed, so every head is found anew, and the clause gets a new version. Another version's
    /// triggers stay and are logged: two versions would undo each other's for ever.
    pub fn restore_triggers(&mut self) -> Result<Vec<Change>, Error> {
        engine!(self, engine => engine.restore_triggers())
    }
}

/// Changes that are made together, and changes by others.
impl Store {
    /// From now on changes share one transaction, which begins with the first of them. An error
    /// still undoes only its own change. No change may be acknowledged before the group is closed
    /// and acknowledged. False if the engine has no groups: each change is committed on its own.
    pub fn open_group(&mut self) -> bool {
        engine!(self, engine => engine.open_group())
    }

    /// Whether one statement has ended the whole transaction: then no change of the group was made.
    pub fn group_is_broken(&mut self) -> bool {
        engine!(self, engine => engine.group_is_broken())
    }

    /// Commits the changes of the group, if there were any.
    ///
    /// # Errors
    ///
    /// On an error no change of the group was made.
    pub fn close_group(&mut self) -> Result<Option<Committed>, Error> {
        engine!(self, engine => engine.close_group())
    }

    /// A number that changes when another connection has changed the database, or when it was
    /// opened anew. A cheap read.
    pub fn data_version(&mut self) -> Result<i64, Error> {
        engine!(self, engine => engine.data_version())
    }

    /// A number that changes when this connection has changed the database. As cheap as
    /// [`Store::data_version`], which is about the other connections.
    pub fn own_changes(&mut self) -> u64 {
        engine!(self, engine => engine.own_changes())
    }

    /// How often the database was opened again. What was read before may be different now.
    pub fn openings(&mut self) -> i64 {
        engine!(self, engine => engine.openings())
    }
}

/// The look after the database.
impl Store {
    /// Tries the gate's work with a row, by the statements that really do it, and undoes it all.
    ///
    /// # Errors
    ///
    /// When the disk or another program prevents it.
    pub fn prove(&mut self, trial: &Trial) -> Result<Proof, Error> {
        engine!(self, engine => engine.prove(trial))
    }

    /// What is in the tables.
    pub fn census(&mut self) -> Result<Census, Error> {
        engine!(self, engine => engine.census())
    }

    /// Why an acknowledged change may be lost, although nothing has failed.
    pub fn risks(&mut self) -> Result<Vec<Risk>, Error> {
        engine!(self, engine => engine.risks())
    }

    /// What the database lacks of the gate's schema; nothing right after the preparation.
    pub fn missing(&mut self) -> Result<Vec<Missing>, Error> {
        engine!(self, engine => engine.missing())
    }

    /// Checks that what is at the place of the database is the open one, and opens it if it is not.
    ///
    /// # Errors
    ///
    /// When there is nothing, or it is not a prepared queue.
    pub fn check_files(&mut self) -> Result<(), Error> {
        engine!(self, engine => engine.check_files())
    }

    /// Closes files that are no longer at the path. An idle part of a process calls this now and
    /// then: while one connection of a process has the old files open, the others cannot open the
    /// new ones.
    pub fn let_go_of_moved_files(&mut self) {
        engine!(self, engine => engine.let_go_of_moved_files());
    }

    /// What a long-running reader keeps the engine from tidying up.
    pub fn backlog(&mut self) -> Result<Backlog, Error> {
        engine!(self, engine => engine.backlog())
    }

    /// How many tasks appeared after a higher one of their repo had been started, if the engine
    /// gives out ids before their rows can be seen.
    pub fn late_tasks(&mut self) -> Result<Option<i64>, Error> {
        engine!(self, engine => engine.late_tasks())
    }

    /// Stores an alert for each repo in which such tasks have appeared since the last call. Returns
    /// how many alerts it stored.
    pub fn tell_of_late_tasks(&mut self, now: Timestamp) -> Result<usize, Error> {
        engine!(self, engine => engine.tell_of_late_tasks(now))
    }

    /// Why a change could not be written, if no trial has succeeded since.
    pub fn write_failed(&mut self) -> Option<NoRoom> {
        engine!(self, engine => engine.write_failed())
    }

    /// Makes a change that leaves nothing behind and takes as much room as a claim, to see whether
    /// the disk takes it.
    ///
    /// # Errors
    ///
    /// When it does not, or the database refuses for another reason.
    pub fn try_to_write(&mut self) -> Result<(), Error> {
        engine!(self, engine => engine.try_to_write())
    }

    /// Whether the disk of the database is known to have no room for another change.
    pub fn disk_is_full(&mut self) -> bool {
        engine!(self, engine => engine.disk_is_full())
    }

    /// From now on, all reads are of one state of the database, until [`Store::let_go_of_state`] or
    /// the first change. False if they are already.
    pub(crate) fn keep_state(&mut self) -> Result<bool, Error> {
        engine!(self, engine => engine.keep_state())
    }

    /// Each read is of the newest state again.
    pub(crate) fn let_go_of_state(&mut self) {
        engine!(self, engine => engine.let_go_of_state());
    }

    /// Sets whether statements wait for another process's write.
    pub(crate) fn wait_for_others(&mut self, waits: bool) -> Result<(), Error> {
        engine!(self, engine => engine.wait_for_others(waits))
    }
}
