//! The index of heads: for each partition, which is a repo and an agent, the first job that
//! may be claimed.
//!
//! Owns the rows that make a claim's cost independent of how many jobs are held (docs/design.md,
//! "The claim"): for each clause in use an index, its heads, and its dirty repos, whose heads may have
//! changed. Leaves the marks to `triggers`, the search to `search`, and the claim itself to
//! `claim`. The clause decides what a head is, and is evaluated again before a job is given away.
//! Callers rely on this: a repo that is not dirty has the heads that the clause gives now. A wrong
//! index can cost order or time, but cannot open the gate.

use std::sync::LazyLock;
use std::time::Instant;

use rusqlite::{OptionalExtension, params};

use super::head_statements::{
    FIRST, FIRST_DIRTY, FIRST_OF_AGENT, LATER, LOOK, LOOK_FOR_AGENT, NAMED, OPEN, REMOVE, REPLACE,
    next_repo,
};
use super::sandbox::Sandbox;
use super::search::Search;
use super::transaction::Transaction;
use super::triggers::{mark, reads};
use crate::clause::Table;
use crate::store::indexes::PARTITIONS;
use crate::store::job::IS_QUEUED;
use crate::store::raw::Raw;
use crate::store::{Lease, Shaped};

/// How many clauses have an index at a time: the active one's, those of hosts with other settings,
/// and a clause that returns when a rule depends on the time. Each costs every write a check.
const KEPT: i64 = 4;

/// Forgets every index, so that each is filled anew.
pub(crate) const FORGET: &str = "DELETE FROM serial_gate_index;
    DELETE FROM serial_gate_partition;
    DELETE FROM serial_gate_dirty;";

/// The result of a look at an index, which takes no lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// No repo is dirty and there is no head.
    Idle,
    /// There is something to do: a head, a dirty repo, or a missing index.
    Busy,
}

/// Looks at the index of a clause, for the agents of a claim.
pub(crate) fn look(
    connection: &rusqlite::Connection,
    digest: &str,
    lease: Lease<'_>,
) -> rusqlite::Result<Look> {
    let is_busy = |row: &rusqlite::Row<'_>| row.get(0);
    for agent in lease.each_agent() {
        let is_busy: Option<bool> = match agent {
            None => connection
                .prepare_cached(LOOK)?
                .query_row([digest], is_busy),
            Some(agent) => connection
                .prepare_cached(LOOK_FOR_AGENT)?
                .query_row([digest, agent], is_busy),
        }
        .optional()?;
        if is_busy != Some(false) {
            return Ok(Look::Busy);
        }
    }
    Ok(Look::Idle)
}

/// The head of an agent in some repo.
pub(crate) type Head = (Raw, i64);

/// The first of all heads.
pub(crate) struct First {
    pub job: i64,
    pub repo: Raw,
    pub agent: Raw,
}

/// The index of one clause, under the write lock.
pub(crate) struct Heads<'a> {
    pub search: Search<'a>,
    transaction: &'a Transaction<'a>,
    sandbox: &'a Sandbox,
    id: i64,
    reads_jobs: bool,
}

impl<'a> Heads<'a> {
    /// The index of a clause. A missing index is created, with every repo dirty that has a queued
    /// job.
    pub(crate) fn open(
        transaction: &'a Transaction<'a>,
        sandbox: &'a Sandbox,
        shaped: Shaped<'a>,
    ) -> rusqlite::Result<Heads<'a>> {
        match Heads::known(transaction, sandbox, shaped)? {
            Some(known) => Ok(known),
            None => {
                let id = sandbox.open_for_own_statements(|| make(transaction, shaped))?;
                Ok(Heads::new(transaction, sandbox, shaped, id))
            }
        }
    }

    /// Evaluates dirty repos until none is left (true) or the time is over (false).
    pub(crate) fn settle_until(&self, end: Instant) -> rusqlite::Result<bool> {
        while let Some(repo) = self.first_dirty()? {
            if Instant::now() >= end {
                return Ok(false);
            }
            self.settle(&repo)?;
        }
        Ok(true)
    }

    fn first_dirty(&self) -> rusqlite::Result<Option<Raw>> {
        self.sandbox.open_for_own_statements(|| {
            let mut query = self.transaction.prepare_cached(FIRST_DIRTY)?;
            let repo = query.query_row([self.id], |row| repo_at(row, 0));
            repo.optional()
        })
    }

    /// The first head of an agent, or of all, outside of the skipped repos. It is only right once
    /// no repo is dirty.
    pub(crate) fn first(
        &self,
        agent: Option<&str>,
        aside: &[Raw],
    ) -> rusqlite::Result<Option<First>> {
        let sql = if agent.is_none() {
            FIRST
        } else {
            FIRST_OF_AGENT
        };
        let sql = if aside.is_empty() {
            sql
        } else {
            sql.trim_end_matches(" LIMIT 1")
        };
        self.sandbox.open_for_own_statements(|| {
            let mut query = self.transaction.prepare_cached(sql)?;
            let mut rows = match agent {
                None => query.query([self.id])?,
                Some(agent) => query.query(params![self.id, agent])?,
            };
            while let Some(row) = rows.next()? {
                let first = First {
                    job: row.get(0)?,
                    repo: repo_at(row, 1)?,
                    agent: row.get(3)?,
                };
                if !aside.contains(&first.repo) {
                    return Ok(Some(first));
                }
            }
            Ok(None)
        })
    }

    /// The index of a clause, if there is one.
    pub(crate) fn known(
        transaction: &'a Transaction<'a>,
        sandbox: &'a Sandbox,
        shaped: Shaped<'a>,
    ) -> rusqlite::Result<Option<Heads<'a>>> {
        let id = sandbox.open_for_own_statements(|| {
            transaction
                .prepare_cached(OPEN)?
                .query_row([shaped.digest], |row| row.get(0))
                .optional()
        })?;
        Ok(id.map(|id| Heads::new(transaction, sandbox, shaped, id)))
    }

    fn new(
        transaction: &'a Transaction<'a>,
        sandbox: &'a Sandbox,
        shaped: Shaped<'a>,
        id: i64,
    ) -> Heads<'a> {
        let search = Search {
            transaction,
            clause: shaped.clause,
        };
        Heads {
            search,
            transaction,
            sandbox,
            id,
            reads_jobs: shaped.reads.contains(&Table::Jobs),
        }
    }

    /// Evaluates a repo anew.
    pub(crate) fn settle(&self, repo: &Raw) -> rusqlite::Result<()> {
        let firsts = self.search.firsts_of(repo)?;
        let known = self.of_repo(repo)?;
        // Heads that stay are not written again.
        let gone: Vec<_> = known.iter().filter(|one| !firsts.contains(one)).collect();
        let new: Vec<_> = firsts.iter().filter(|one| !known.contains(one)).collect();
        self.sandbox.open_for_own_statements(|| {
            let (idx, no_repo, name) = self.key(repo);
            self.transaction
                .prepare_cached(
                    "DELETE FROM serial_gate_dirty WHERE idx = ?1 AND no_repo = ?2 AND repo = ?3",
                )?
                .execute(params![idx, no_repo, name])?;
            if let ([(_, gone)], [(agent, job)]) = (gone.as_slice(), new.as_slice()) {
                // Nearly always: the job was claimed, or its repo's next task may start.
                self.transaction
                    .prepare_cached(REPLACE)?
                    .execute(params![idx, no_repo, name, agent, job, gone])?;
                return Ok(());
            }
            for (_, job) in gone {
                self.transaction
                    .prepare_cached(REMOVE)?
                    .execute(params![idx, no_repo, name, job])?;
            }
            for (agent, job) in new {
                self.transaction
                    .prepare_cached(
                        "INSERT INTO serial_gate_partition (idx, no_repo, repo, agent, job)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![idx, no_repo, name, agent, job])?;
            }
            Ok(())
        })
    }

    /// Finds the successor of a head that has just been given away, and marks its repo for every
    /// other index. A claim makes no mark by trigger. If the clause reads no jobs, only this
    /// agent's head can have changed.
    pub(crate) fn succeed(&self, gone: &First) -> rusqlite::Result<()> {
        self.sandbox
            .open_for_own_statements(|| mark_claimed(self.transaction, gone.job, Some(self.id)))?;
        if self.reads_jobs {
            return self.settle(&gone.repo);
        }
        let next = self.search.first_of_agent(&gone.repo, &gone.agent)?;
        let (idx, no_repo, name) = self.key(&gone.repo);
        self.sandbox.open_for_own_statements(|| {
            match next {
                Some(next) => self
                    .transaction
                    .prepare_cached(REPLACE)?
                    .execute(params![idx, no_repo, name, gone.agent, next, gone.job])?,
                None => self
                    .transaction
                    .prepare_cached(REMOVE)?
                    .execute(params![idx, no_repo, name, gone.job])?,
            };
            Ok(())
        })
    }

    pub(crate) fn count_differences(&self, count: usize) -> rusqlite::Result<()> {
        self.sandbox.open_for_own_statements(|| {
            let sql = "UPDATE serial_gate_index SET differences = differences + ?2 WHERE id = ?1";
            self.transaction
                .prepare_cached(sql)?
                .execute(params![self.id, count])
                .map(drop)
        })
    }

    /// What the index has for a repo.
    pub(crate) fn of_repo(&self, repo: &Raw) -> rusqlite::Result<Vec<Head>> {
        self.sandbox.open_for_own_statements(|| {
            let mut query = self.transaction.prepare_cached(
                "SELECT agent, job FROM serial_gate_partition WHERE idx = ?1 AND no_repo = ?2
                 AND repo = ?3",
            )?;
            let found = query.query_map(self.key(repo), |row| Ok((row.get(0)?, row.get(1)?)))?;
            found.collect()
        })
    }

    /// Whether a repo's heads may have changed.
    pub(crate) fn is_dirty(&self, repo: &Raw) -> rusqlite::Result<bool> {
        self.sandbox.open_for_own_statements(|| {
            let sql =
                "SELECT 1 FROM serial_gate_dirty WHERE idx = ?1 AND no_repo = ?2 AND repo = ?3";
            self.transaction.prepare_cached(sql)?.exists(self.key(repo))
        })
    }

    /// The repo after another among those with a queued job or a head. The nameless repo is the
    /// first.
    pub(crate) fn next_repo(&self, after: &Raw) -> rusqlite::Result<Option<Raw>> {
        let first = |row: &rusqlite::Row<'_>| row.get(0);
        let next = self.sandbox.open_for_own_statements(|| match after {
            Raw::Null => self
                .transaction
                .prepare_cached(&next_repo(NAMED))?
                .query_row([self.id], first),
            name => self
                .transaction
                .prepare_cached(&next_repo(LATER))?
                .query_row(params![self.id, name], first),
        })?;
        Ok(Some(next).filter(|next| *next != Raw::Null))
    }

    /// A repo as a key, which cannot be NULL.
    fn key<'r>(&self, repo: &'r Raw) -> (i64, bool, &'r Raw) {
        const NO_NAME: &Raw = &Raw::Text(Vec::new());
        match repo {
            Raw::Null => (self.id, true, NO_NAME),
            name => (self.id, false, name),
        }
    }
}

/// Marks the repo of a job that has just been claimed, for each index but the claim's own: what
/// `triggers` do for every other change.
pub(crate) fn mark_claimed(
    transaction: &Transaction<'_>,
    job: i64,
    own: Option<i64>,
) -> rusqlite::Result<()> {
    static MARK: LazyLock<String> = LazyLock::new(|| {
        let from = "serial_gate_index JOIN jobs ON jobs.id = ?1";
        mark("jobs", from, "serial_gate_index.id IS NOT ?2")
    });
    transaction
        .prepare_cached(&MARK)?
        .execute(params![job, own])?;
    Ok(())
}

fn repo_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Raw> {
    if row.get(column)? {
        Ok(Raw::Null)
    } else {
        row.get(column + 1)
    }
}

/// Creates the index of a clause, and deletes the oldest if there are too many.
fn make(transaction: &Transaction<'_>, shaped: Shaped<'_>) -> rusqlite::Result<i64> {
    let columns = Table::ALL.map(reads).join(", ");
    let [tasks, jobs, freezes] = Table::ALL.map(|table| shaped.reads.contains(&table));
    let id = transaction.query_row(
        &format!(
            "INSERT INTO serial_gate_index (clause, differences, {columns})
            VALUES (?1, 0, ?2, ?3, ?4) RETURNING id"
        ),
        params![shaped.digest, tasks, jobs, freezes],
        |row| row.get(0),
    )?;
    // Goes from one repo to the next, however many jobs are in between.
    transaction.execute(
        &format!(
            "WITH RECURSIVE name (repo) AS (
                SELECT (SELECT repo FROM jobs INDEXED BY {PARTITIONS}
                        WHERE {IS_QUEUED} AND repo IS NOT NULL ORDER BY repo LIMIT 1)
                UNION ALL
                SELECT (SELECT repo FROM jobs INDEXED BY {PARTITIONS}
                        WHERE {IS_QUEUED} AND repo > name.repo ORDER BY repo LIMIT 1)
                FROM name WHERE name.repo IS NOT NULL)
             INSERT INTO serial_gate_dirty (idx, no_repo, repo)
             SELECT ?1, FALSE, repo FROM name WHERE repo IS NOT NULL
             UNION ALL SELECT ?1, TRUE, '' WHERE EXISTS (
                SELECT 1 FROM jobs INDEXED BY {PARTITIONS} WHERE {IS_QUEUED} AND repo IS NULL)"
        ),
        [id],
    )?;
    transaction.execute(
        "DELETE FROM serial_gate_index WHERE id NOT IN (SELECT id FROM serial_gate_index
         ORDER BY id DESC LIMIT ?1)",
        [KEPT],
    )?;
    for table in [
        "serial_gate_partition",
        "serial_gate_dirty",
        "serial_gate_compared",
    ] {
        transaction.execute(
            &format!("DELETE FROM {table} WHERE idx NOT IN (SELECT id FROM serial_gate_index)"),
            [],
        )?;
    }
    Ok(id)
}
