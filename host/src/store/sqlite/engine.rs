//! SQLite as an engine: which files are open, and how a step runs on them.
//!
//! Owns when the files are looked at, opened anew and flushed. Leaves the settings of a connection
//! to `connection`, the files to `files`, and begin and end to `transaction`. Callers rely on this:
//! a step that returns an error has changed nothing, unless the error says that this is unknown;
//! and an acknowledged change is in the file at the path.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;

use super::connection::{Open, set_waiting};
use super::error::at;
use super::files::check_links;
use super::group::Group;
use super::prepare;
use super::transaction::{self, Transaction};
use crate::store::{
    Backlog, DatabaseError, Durability, Error, NoRoom, Problem, Proof, Risk, Trial,
};

/// An open database.
///
/// It has one connection, so that the pages that one statement has read are cached for the next:
/// SQLite drops the cache as soon as another connection writes. Policies' clauses run on it too, in
/// the sandbox.
pub struct Sqlite {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    /// None after its files disappeared, until there are new ones.
    pub(crate) open: Option<Open>,
    /// How often it was opened. Each time, everything may have changed.
    pub(crate) openings: i64,
    pub(crate) claim_budget: Duration,
    pub(crate) group: Group,
    /// Whether reads are of one state until the first change.
    keeps_state: bool,
    /// Whether the last claim by heads found a job.
    pub(crate) last_claim_found: bool,
    /// Why a change could not be written, if no trial has succeeded since.
    pub(crate) write_failed: Option<NoRoom>,
}

impl Sqlite {
    /// Opens a database that is prepared.
    pub(crate) fn open(path: PathBuf, durability: Durability) -> Result<Sqlite, Error> {
        let open = Open::at(&path)?;
        Ok(Sqlite {
            claim_budget: open.sandbox.budget(),
            path,
            durability,
            open: Some(open),
            openings: 0,
            group: Group::default(),
            keeps_state: false,
            last_claim_found: false,
            write_failed: None,
        })
    }

    /// Tries the gate's work with a row, by the statements that really do it, and undoes it all.
    ///
    /// # Errors
    ///
    /// When the disk or another program prevents it.
    pub fn prove(&mut self, trial: &Trial) -> Result<Proof, Error> {
        self.read(|connection| prepare::prove(connection, trial))
    }

    /// A number that changes when another connection has changed the database, or when it was
    /// opened anew. A cheap read.
    pub fn data_version(&mut self) -> Result<i64, Error> {
        let version: u32 = self.read(|connection| {
            Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
        })?;
        Ok((self.openings << 32) | i64::from(version))
    }

    /// A number that changes when this connection has changed the database.
    pub fn own_changes(&self) -> u64 {
        self.open
            .as_ref()
            .map_or(0, |open| open.connection.total_changes())
    }

    /// How often the database was opened again because other files were at its path. What was read
    /// before may be different now.
    pub fn openings(&self) -> i64 {
        self.openings
    }

    /// Checks that the files at the path are the open ones, and opens them if they are not.
    ///
    /// # Errors
    ///
    /// When there are no files, they are not a prepared queue, or the main file has several names.
    pub fn check_files(&mut self) -> Result<(), Error> {
        self.be_open()?;
        check_links(&self.path)
    }

    /// Closes files that are no longer at the path. An idle part of a process calls this now and
    /// then: while one connection of a process has the old files open, the others cannot open the
    /// new ones.
    pub fn let_go_of_moved_files(&mut self) {
        let is_gone = |open: &mut Open| !open.files.are_in_place();
        if !self.group.has_begun && self.open.take_if(is_gone).is_some() {
            self.say_that_files_are_gone();
        }
    }

    /// Sets whether statements wait for another process's write.
    pub(crate) fn wait_for_others(&mut self, waits: bool) -> Result<(), Error> {
        Ok(set_waiting(&mut self.be_open()?.connection, waits)?)
    }

    /// A file has no standby.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the other engine looks"
    )]
    pub fn risks(&self) -> Result<Vec<Risk>, Error> {
        Ok(Vec::new())
    }

    /// How long the log is.
    #[expect(clippy::unnecessary_wraps, reason = "the other engine can fail")]
    pub fn backlog(&self) -> Result<Backlog, Error> {
        let open = self.open.as_ref();
        Ok(Backlog::Log(open.map_or(0, |open| open.files.log_bytes())))
    }

    /// An id is given out while no other task can be started.
    #[expect(clippy::unnecessary_wraps, reason = "the other engine can fail")]
    pub(crate) fn late_tasks(&self) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    /// There are none.
    #[expect(clippy::unnecessary_wraps, reason = "the other engine can fail")]
    pub(crate) fn tell_of_late_tasks(&self, _now: Timestamp) -> Result<usize, Error> {
        Ok(0)
    }

    /// The open database. If its files are no longer in place, the database is opened again, but
    /// not before the end of a group, or of reads of one state.
    pub(crate) fn be_open(&mut self) -> Result<&mut Open, Error> {
        let is_in_use = self.group.has_begun || self.keeps_state;
        let is_good = |open: &&mut Open| is_in_use || open.files.are_in_place();
        if self.open.as_mut().filter(is_good).is_none() {
            self.open_anew()?;
        }
        self.open
            .as_mut()
            .ok_or_else(|| Problem::Moved.at(&self.path))
    }

    pub(crate) fn open_anew(&mut self) -> Result<(), Error> {
        if self.open.take().is_some() {
            self.say_that_files_are_gone();
        }
        self.last_claim_found = false;
        self.keeps_state = false;
        let mut open = Open::at(&self.path).map_err(|error| match error {
            // It was there before.
            Error::Database(DatabaseError {
                location: Some(location),
                problem: Problem::Missing,
            }) => Problem::Moved.at(location),
            other => other,
        })?;
        open.sandbox.set_budget(self.claim_budget);
        self.open = Some(open);
        self.openings += 1;
        Ok(())
    }

    pub(crate) fn say_that_files_are_gone(&self) {
        tracing::warn!(
            "`{}` or its log was replaced, renamed or removed: what is there now is opened",
            self.path.display()
        );
    }

    /// Every read is as fast.
    pub(crate) fn read_fast<T>(
        &mut self,
        step: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read(step)
    }

    /// Runs a step of the host's own statements, and names the database in its error.
    pub(crate) fn read<T>(
        &mut self,
        step: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Open {
            connection,
            sandbox,
            ..
        } = self.be_open()?;
        let result = sandbox.open_for_own_statements(|| step(connection));
        result.map_err(|error| at(error, &self.path))
    }

    /// From now on, reads are of one state, until it is let go of. False if they are already.
    pub(crate) fn keep_state(&mut self) -> Result<bool, Error> {
        let begun = self.read(|connection| {
            if connection.is_autocommit() {
                transaction::run(connection, "BEGIN")?;
                return Ok(true);
            }
            Ok(false)
        })?;
        self.keeps_state |= begun;
        Ok(begun)
    }

    /// Reads are of the newest state again. A change does this first.
    pub(crate) fn let_go_of_state(&mut self) {
        if !std::mem::take(&mut self.keeps_state) {
            return;
        }
        let Some(open) = &self.open else { return };
        let end = || transaction::run(&open.connection, "ROLLBACK");
        if let Err(error) = open.sandbox.open_for_own_statements(end) {
            tracing::warn!("the database is opened anew, because a read did not end: {error}");
            self.open = None;
        }
    }

    /// Runs a step that only reads, from one state.
    pub(crate) fn read_one_state<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read(|connection| step(&Transaction::read(connection)?))
    }

    /// Runs a step in one write transaction, which is rolled back when the step fails.
    pub(crate) fn write<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.commit_with(self.durability, step)
    }

    /// The same: there is one writer at a time.
    pub(crate) fn write_alone<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.write(step)
    }

    /// The same for a change that is on the disk when this returns, whatever the durability of the
    /// database.
    pub(crate) fn write_durably<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.commit_with(Durability::Full, step)
    }

    pub(crate) fn commit_with<T>(
        &mut self,
        durability: Durability,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.try_write(durability, step)
            .inspect_err(|error| self.note_failure(error))
    }

    pub(crate) fn try_write<T>(
        &mut self,
        durability: Durability,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (open, group) = self.be_open_for_a_change()?;
        let result = open.sandbox.open_for_own_statements(|| {
            let transaction = group.begin(&open.connection)?;
            let result = step(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        let result = result.map_err(|error| at(error, &self.path))?;
        self.acknowledge(durability)?;
        Ok(result)
    }

    /// The open database, and the group that a change joins.
    pub(crate) fn be_open_for_a_change(&mut self) -> Result<(&mut Open, &mut Group), Error> {
        self.let_go_of_state();
        let has_begun = self.group.has_begun;
        let open = self.be_open()?;
        if !has_begun && open.files.has_failed() {
            open.make_whole().map_err(|error| at(error, &self.path))?;
        }
        match &mut self.open {
            Some(open) => Ok((open, &mut self.group)),
            None => Err(Problem::Moved.at(&self.path)),
        }
    }

    /// After a commit. In a group it is left to the end.
    pub(crate) fn acknowledge(&mut self, durability: Durability) -> Result<(), Error> {
        let flush = durability == Durability::Full;
        if self.group.is_open {
            self.group.is_to_be_flushed |= flush;
            return Ok(());
        }
        match &self.open {
            Some(open) => open.committed(&self.path, flush).acknowledge(),
            None => Ok(()),
        }
    }
}
