//! PostgreSQL as an engine: which connection is open, and how a step runs on it.
//!
//! Owns when a connection is opened anew. Leaves its settings to `connection`, and begin and end to
//! `transaction`. Callers rely on this: a step that returns an error has changed nothing, unless the
//! error says that this is unknown. A step is never run twice.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::claiming::KnownFunctions;
use super::connection::Open;
use super::error::at;
use super::identity::{Identity, meet};
use super::locks::{Locks, RECORDS};
use super::one_state;
use super::server::Server;
use super::transaction::{self, Kind, Waits};
use super::tx::Session;
use crate::clause::Rendered;
use crate::store::engine::Tx;
use crate::store::job::IS_QUEUED;
use crate::store::records::late_tasks;
use crate::store::{Backlog, Committed, Durability, Error, Location, NoRoom, Problem};

/// How long a question of a clause may take, unless the caller sets it.
const BUDGET: Duration = Duration::from_secs(5);

/// After this time without a step, the connection is tried before the next one: no server is back
/// sooner.
const IDLE: Duration = Duration::from_millis(50);

/// How long an idle connection may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database of a server.
pub(crate) struct Postgres {
    pub server: Server,
    pub(super) durability: Durability,
    /// None after the connection was lost, until there is a new one.
    pub(super) open: Option<Open>,
    openings: i64,
    /// When the connection was last used.
    used: Instant,
    own_changes: u64,
    pub claim_budget: Duration,
    waits: Waits,
    pub(super) write_failed: Option<NoRoom>,
    /// The server of the first opening, or of the last change.
    pub(super) identity: Option<Identity>,
    pub(super) functions: KnownFunctions,
}

impl Postgres {
    /// Opens a database that is prepared.
    pub(crate) fn open(server: Server, durability: Durability) -> Result<Postgres, Error> {
        let mut postgres = Postgres {
            server,
            durability,
            open: None,
            openings: 0,
            used: Instant::now(),
            own_changes: 0,
            claim_budget: BUDGET,
            waits: Waits::ForOthers,
            write_failed: None,
            identity: None,
            functions: KnownFunctions::default(),
        };
        postgres.check_files()?;
        Ok(postgres)
    }

    /// Runs a step that only reads. It is a transaction, because a time of an orchestrator's is
    /// compared as text in UTC.
    pub(crate) fn read<T>(
        &mut self,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.in_transaction(Kind::Reads, step)
    }

    /// Runs statements that only read, in the cheapest way: each is one round trip, with the session's
    /// own settings.
    pub(crate) fn read_fast<T>(
        &mut self,
        statement: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.on_connection(|open| match open.keeps_state {
            true => one_state::run(open, None, statement),
            false => statement(&Session::that_reads(&mut open.client, &open.statements)),
        })
    }

    /// Runs a step that only reads, from one state.
    pub(crate) fn read_one_state<T>(
        &mut self,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.in_transaction(Kind::OneState { budget: None }, step)
    }

    /// Asks what a clause says, all from one state, in the budget of a claim.
    pub(crate) fn ask<T>(
        &mut self,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let budget = self.claim_budget;
        let answer = self.in_transaction(
            Kind::OneState {
                budget: Some(budget),
            },
            step,
        );
        answer.map_err(|error| self.in_budget(error))
    }

    /// Runs a step in one transaction, which is rolled back when the step fails.
    pub(crate) fn write<T>(
        &mut self,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.commit_with(self.durability, step)
    }

    /// The same, while no other session makes such a change: a step may rely on what it has read.
    pub(crate) fn write_alone<T>(
        &mut self,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.commit_with(self.durability, |session| alone(session, step))
    }

    /// The same, safe on the disk when this returns.
    pub(crate) fn write_durably<T>(
        &mut self,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.commit_with(Durability::Full, |session| alone(session, step))
    }

    fn commit_with<T>(
        &mut self,
        durability: Durability,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let kind = Kind::Change {
            durability,
            waits: self.waits,
        };
        let done = self.in_transaction(kind, step);
        self.counted(done)
    }

    /// Runs a change of one statement, which commits itself.
    pub(super) fn commit_one<T>(
        &mut self,
        statement: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = self.on_connection(|open| transaction::run_one(open, statement));
        self.counted(done)
    }

    fn counted<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        match &done {
            Ok(_) => self.own_changes += 1,
            Err(error) => self.write_failed = NoRoom::of(error).or(self.write_failed),
        }
        done
    }

    fn in_transaction<T>(
        &mut self,
        kind: Kind,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.on_connection(|open| transaction::run(open, &kind, step))
    }

    /// Runs a step on the connection, which is opened anew if it was lost, and names the database in
    /// its error.
    pub(super) fn on_connection<T>(
        &mut self,
        step: impl FnOnce(&mut Open) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = self.be_open().and_then(step);
        let result = result.map_err(|error| at(error, &self.location()));
        if let Err(error) = &result
            && matches!(
                error.problem(),
                Some(Problem::Unknown(_) | Problem::NoServer(_))
            )
        {
            // The driver may learn that it is lost only when it is used again.
            self.lose();
        }
        result
    }

    /// Gives a connection up that is lost. The next step opens another.
    fn lose(&mut self) {
        if self.open.take().is_some() {
            tracing::warn!(
                "the connection to `{}` was lost: it is opened anew",
                self.server
            );
            self.openings += 1;
            self.functions = KnownFunctions::default();
        }
    }

    fn be_open(&mut self) -> Result<&mut Open, Error> {
        let is_idle = self.used.elapsed() >= IDLE;
        self.used = Instant::now();
        // Nothing tells that a server has gone while nothing is asked of it.
        let is_lost = |open: &mut Open| {
            open.client.is_closed() || (is_idle && open.client.is_valid(PATIENCE).is_err())
        };
        if self.open.as_mut().is_some_and(is_lost) {
            self.lose();
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let mut open = Open::at(&self.server)?;
                if let Some(known) = &self.identity {
                    self.identity = Some(meet(&mut open, Some(known), &self.server)?);
                }
                open
            }
        };
        Ok(self.open.insert(open))
    }

    /// The schema of the shared tables, as an identifier.
    pub(super) fn schema(&mut self) -> Result<String, Error> {
        self.on_connection(|open| Ok(open.statements.schema().to_owned()))
    }

    /// Runs a step as a change, and undoes it.
    pub(super) fn undone<T>(
        &mut self,
        step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let kind = Kind::Change {
            durability: Durability::Normal,
            waits: self.waits,
        };
        self.on_connection(|open| transaction::run_and_undo(open, &kind, step))
    }

    /// Ends the server's process for this connection, with all that it keeps. The next step opens
    /// another.
    pub(super) fn renew(&mut self) {
        self.open = None;
        self.forget();
    }

    /// Takes nothing that was read before as known.
    pub(super) fn forget(&mut self) {
        self.openings += 1;
        self.functions = KnownFunctions::default();
    }

    pub(super) fn location(&self) -> Location {
        Location::Server(self.server.clone())
    }

    /// Names the budget in an error.
    pub(super) fn in_budget(&self, error: Error) -> Error {
        if super::error::is_out_of_time(&error) {
            return Error::Budget {
                budget_ms: self.claim_budget.as_millis(),
            };
        }
        error
    }

    /// Sets how long a question of a clause may take.
    pub(crate) fn set_claim_budget(&mut self, budget: Duration) {
        self.claim_budget = budget;
    }

    /// Checks that the server accepts a clause.
    pub(crate) fn check_clause(&mut self, clause: &Rendered) -> Result<(), Error> {
        self.read_one_state(|tx| tx.plan(&format!("SELECT id FROM jobs WHERE {clause}")))?;
        Ok(())
    }

    /// The server's plan for the queue as a clause lets it through. `claim` runs in the server: its
    /// plans are under test there.
    pub(crate) fn claim_plans(&mut self, clause: &Rendered) -> Result<Vec<Vec<String>>, Error> {
        let sql = format!("SELECT id FROM jobs WHERE {IS_QUEUED} AND {clause} ORDER BY id");
        Ok(vec![self.read_one_state(|tx| tx.plan(&sql))?])
    }

    /// A number that changes when any transaction has changed the server's databases.
    pub(crate) fn data_version(&mut self) -> Result<i64, Error> {
        let snapshot: String = self.read_fast(|session| {
            let tx: &dyn Tx = session;
            tx.only("SELECT pg_current_snapshot()::text", &[], |row| row.get(0))
        })?;
        let mut hasher = DefaultHasher::new();
        (self.openings, snapshot).hash(&mut hasher);
        Ok(hasher.finish().cast_signed())
    }

    /// How many changes this connection has made.
    pub(crate) fn own_changes(&self) -> u64 {
        self.own_changes
    }

    /// How often the connection was opened anew.
    pub(crate) fn openings(&self) -> i64 {
        self.openings
    }

    /// The server keeps its files in order itself.
    pub(crate) fn let_go_of_moved_files(&self) {}

    /// How old the oldest snapshot is that keeps dead rows from being removed. Without the right to
    /// see the sessions of others, it is that of this role's own.
    pub(crate) fn backlog(&mut self) -> Result<Backlog, Error> {
        self.read(|session| {
            let tx: &dyn Tx = session;
            let oldest = "SELECT coalesce(max(age(x)), 0)::bigint FROM (
                SELECT backend_xmin FROM pg_catalog.pg_stat_activity
                UNION ALL SELECT xmin FROM pg_catalog.pg_replication_slots
                UNION ALL SELECT transaction FROM pg_catalog.pg_prepared_xacts) AS open (x)";
            tx.only(oldest, &[], |row| Ok(Backlog::Snapshot(row.get(0)?)))
        })
    }

    /// How many tasks appeared after a higher one of their repo had been started.
    pub(crate) fn late_tasks(&mut self) -> Result<Option<i64>, Error> {
        self.read(|session| late_tasks::count(session)).map(Some)
    }

    /// Stores alerts about those that have none.
    pub(crate) fn tell_of_late_tasks(&mut self, now: Timestamp) -> Result<usize, Error> {
        match self.read(|session| late_tasks::any_untold(session))? {
            true => self.write_alone(|session| late_tasks::tell(session, now)),
            false => Ok(0),
        }
    }

    /// The server's disk cannot be looked at from here: a change that fails tells.
    pub(crate) fn disk_is_full(&self) -> bool {
        false
    }

    /// Why a change could not be written, if no trial has succeeded since.
    pub(crate) fn write_failed(&self) -> Option<NoRoom> {
        self.write_failed
    }

    /// Sets whether statements wait for another session's locks.
    #[expect(clippy::unnecessary_wraps, reason = "the other engine can fail")]
    pub(crate) fn wait_for_others(&mut self, waits: bool) -> Result<(), Error> {
        self.waits = if waits {
            Waits::ForOthers
        } else {
            Waits::ForNobody
        };
        Ok(())
    }

    /// Each change is committed on its own: the server flushes the commits of many sessions
    /// together, and a group would hold the locks of many repos until its end.
    pub(crate) fn open_group(&self) -> bool {
        false
    }

    /// There is no group that could be broken.
    pub(crate) fn group_is_broken(&self) -> bool {
        false
    }

    /// Nothing is left to commit.
    #[expect(clippy::unnecessary_wraps, reason = "the other engine can fail")]
    pub(crate) fn close_group(&self) -> Result<Option<Committed>, Error> {
        Ok(None)
    }
}

/// Takes the lock of the records before a step. It comes first in its transaction, so nobody who
/// waits for it holds another.
fn alone<T>(
    session: &Session<'_>,
    step: impl FnOnce(&Session<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let take = Locks::of(session.schema()).take(RECORDS);
    session.batch(&format!("SELECT {take}"))?;
    step(session)
}
