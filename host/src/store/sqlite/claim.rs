//! The claim: one transaction that gives a job to a worker.
//!
//! Owns where a claim evaluates a policy's clause, always inside [`Sandbox`], and the check of the
//! clause's plan. Leaves the index of heads to `heads`. Callers rely on this: a job is claimed by
//! one worker only, lowest id first, and only while the clause is true for it. The clause is
//! evaluated under the write lock, in a statement that only reads; the change that follows contains
//! no text of a policy.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::aside::Aside;
use super::connection::Open;
use super::engine::Sqlite;
use super::error::{at, code};
use super::head_statements::own_statements;
use super::heads::{First, Heads, Look, look, mark_claimed};
use super::plans::{plan, steps_without_statistics};
use super::sandbox::Sandbox;
use super::search::{Search, first_beyond, first_queued, statements};
use super::transaction::Transaction;
use crate::clause::Rendered;
use crate::store::engine::values;
use crate::store::job::{self, IS_RUNNING, NewClaim};
use crate::store::raw::Raw;
use crate::store::records::jobs::{is_there, undone};
use crate::store::records::leases;
use crate::store::time::whole_seconds;
use crate::store::token::new_token;
use crate::store::{Claimed, Error, HeadClaim, Lease, Scanned, Shaped, lease_end, sql_time};

/// How long a claim holds the write lock to find heads.
const SLICE: Duration = Duration::from_millis(20);

/// How long a claim waits until the heads are known. A thousand repos need about a tenth of it.
const PATIENCE: Duration = Duration::from_millis(500);

impl Sqlite {
    /// Sets how long a claim over the whole queue, and a comparison of heads, may take; by default
    /// 5 s.
    pub fn set_claim_budget(&mut self, budget: Duration) {
        self.claim_budget = budget;
        if let Some(open) = &mut self.open {
            open.sandbox.set_budget(budget);
        }
    }

    /// Checks that SQLite accepts a clause and reads no whole table for a job.
    ///
    /// # Errors
    ///
    /// When it reads a whole table.
    pub fn check_clause(&mut self, clause: &Rendered) -> Result<(), Error> {
        // The queue itself is read in order. The renderer gives each sub-select's table an alias
        // that begins with `g`.
        let scan = |step: &String| step.starts_with("SCAN g");
        let scanned = self.claim_plans(clause)?.into_iter().flatten().find(scan);
        let Some(plan) = scanned else {
            return Ok(());
        };
        // It may be cheaper than an index, for the few rows that the table had when statistics were
        // made of it.
        let mut queries = statements(clause).to_vec();
        queries.push(first_queued(clause));
        let without = self.within_budget(|connection, sandbox| {
            Ok(sandbox
                .open_for_own_statements(|| steps_without_statistics(connection, &queries))?)
        });
        match without?.iter().any(scan) {
            true => Err(Error::Scan { plan }),
            false => Ok(()),
        }
    }

    /// The steps of SQLite's plan for each query of a claim: over the whole queue, those that find
    /// heads, and the looks for leases that are over.
    ///
    /// # Errors
    ///
    /// When SQLite does not accept one of them.
    pub fn claim_plans(&mut self, clause: &Rendered) -> Result<Vec<Vec<String>>, Error> {
        let queries = statements(clause);
        self.within_budget(|connection, sandbox| {
            let mut plans = vec![plan(connection, &first_queued(clause))?];
            for query in &queries {
                plans.push(plan(connection, query)?);
            }
            for query in own_statements() {
                plans.push(sandbox.open_for_own_statements(|| plan(connection, &query))?);
            }
            for look in [leases::ANY_EXPIRED.as_str(), leases::LATER] {
                plans.push(sandbox.open_for_own_statements(|| plan(connection, look))?);
            }
            Ok(plans)
        })
    }

    /// Gives the first claimable job to a worker, if there is one. Looks at one queued job after
    /// another, and takes the write lock only once it has found one.
    ///
    /// # Errors
    ///
    /// When the budget is spent. No job is claimed then.
    pub fn claim(
        &mut self,
        scanned: Scanned<'_>,
        lease: Lease<'_>,
    ) -> Result<Option<Claimed>, Error> {
        let clause = scanned.clause;
        let mut aside = Aside::default();
        loop {
            let mut tried = None;
            match self.claim_beyond(clause, lease, aside.repos(), &mut tried) {
                Ok(None) => return aside.refusal().map_or(Ok(None), Err),
                Ok(claimed) => {
                    aside.tell();
                    return Ok(claimed);
                }
                Err(error) => aside.put(self, tried, error)?,
            }
        }
    }

    /// Gives the first claimable job outside of these repos to a worker. `tried` becomes the job,
    /// once it is known.
    fn claim_beyond(
        &mut self,
        clause: &Rendered,
        lease: Lease<'_>,
        aside: &[Raw],
        tried: &mut Option<i64>,
    ) -> Result<Option<Claimed>, Error> {
        let find = |connection: &Connection, sandbox: &Sandbox| -> rusqlite::Result<_> {
            let mut found: Option<(i64, Option<&str>)> = None;
            for agent in lease.each_agent() {
                let job = first_beyond(connection, sandbox, clause, agent, aside)?;
                let job = job.map(|job| (job, agent));
                found = found.into_iter().chain(job).min();
            }
            Ok(found)
        };
        let found = self.within_budget(|connection, sandbox| Ok(find(connection, sandbox)?))?;
        let Some((found, agent)) = found else {
            return Ok(None);
        };
        self.writing_by_clause(|transaction, sandbox| {
            let search = Search {
                transaction,
                clause,
            };
            // Another worker may have it by now. Under the lock the look is final.
            let job = if search.is_claimable(found, agent)? {
                Some(found)
            } else {
                find(transaction, sandbox)?.map(|(job, _)| job)
            };
            let Some(job) = job else {
                return Ok(None);
            };
            *tried = Some(job);
            sandbox.open_for_own_statements(|| {
                let claimed = give(transaction, job, lease)?;
                mark_claimed(transaction, job, None)?;
                Ok(Some(claimed))
            })
        })
    }

    /// Gives the first head to a worker. The result is that of [`Sqlite::claim`], but the cost does
    /// not depend on how many jobs are held. If nothing was found and the queue has not changed
    /// since, it takes no lock and reads a few pages.
    ///
    /// # Errors
    ///
    /// On an error no job is claimed.
    pub fn claim_head(&mut self, shaped: Shaped<'_>, lease: Lease<'_>) -> Result<HeadClaim, Error> {
        let begun = Instant::now();
        let mut aside = Aside::default();
        loop {
            // After a successful claim there is likely another job, so the look without a lock is
            // skipped.
            let found = std::mem::take(&mut self.last_claim_found);
            if !found
                && self.read(|connection| Ok(look(connection, shaped.digest, lease)?))?
                    == Look::Idle
            {
                return Ok(HeadClaim::Nothing);
            }
            let mut tried = None;
            let answer = self.writing_by_clause(|transaction, sandbox| {
                take_candidate(
                    transaction,
                    sandbox,
                    shaped,
                    lease,
                    aside.repos(),
                    &mut tried,
                )
            });
            match answer {
                Err(Error::Budget { .. }) => return Ok(HeadClaim::NotReady),
                Err(error) => aside.put(self, tried, error)?,
                Ok(Some(HeadClaim::Claimed(job))) => {
                    aside.tell();
                    self.last_claim_found = true;
                    return Ok(HeadClaim::Claimed(job));
                }
                Ok(Some(other)) => return aside.refusal().map_or(Ok(other), Err),
                Ok(None) if begun.elapsed() >= PATIENCE => return Ok(HeadClaim::NotReady),
                Ok(None) => {}
            }
        }
    }

    /// Runs a step in one write transaction. Its budget begins with the lock: the wait for other
    /// workers' claims does not count.
    pub(crate) fn writing_by_clause<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>, &Sandbox) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.try_by_clause(step)
            .inspect_err(|error| self.note_failure(error))
    }

    fn try_by_clause<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>, &Sandbox) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (open, group) = self.be_open_for_a_change()?;
        let Open {
            connection,
            sandbox,
            ..
        } = open;
        let answer = sandbox
            .open_for_own_statements(|| group.begin(connection))
            .and_then(|transaction| {
                let budgeted = sandbox.start_budget();
                let answer = step(&transaction, sandbox);
                drop(budgeted);
                sandbox.open_for_own_statements(|| match answer {
                    Ok(answer) => {
                        transaction.commit()?;
                        Ok(answer)
                    }
                    Err(error) => {
                        drop(transaction);
                        Err(error)
                    }
                })
            });
        let answer = answer.map_err(|error| self.in_budget(error))?;
        self.acknowledge(self.durability)?;
        Ok(answer)
    }

    /// Asks what a clause says, all from one state.
    pub(crate) fn ask<T>(
        &mut self,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.within_budget(|connection, _| step(&Transaction::read(connection)?))
    }

    pub(crate) fn within_budget<T>(
        &mut self,
        step: impl FnOnce(&mut Connection, &Sandbox) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Open {
            connection,
            sandbox,
            ..
        } = self.be_open()?;
        let budgeted = sandbox.start_budget();
        let result = step(connection, sandbox);
        drop(budgeted);
        result.map_err(|error| self.in_budget(error))
    }

    /// Names the database or the budget in an error.
    fn in_budget(&self, error: Error) -> Error {
        if code(&error) == Some(ErrorCode::OperationInterrupted) {
            return Error::Budget {
                budget_ms: self.claim_budget.as_millis(),
            };
        }
        at(error, &self.path)
    }
}

/// One transaction of a claim by heads; none if there was no time to evaluate every dirty repo.
fn take_candidate(
    transaction: &Transaction<'_>,
    sandbox: &Sandbox,
    shaped: Shaped<'_>,
    lease: Lease<'_>,
    aside: &[Raw],
    tried: &mut Option<i64>,
) -> Result<Option<HeadClaim>, Error> {
    let heads = Heads::open(transaction, sandbox, shaped)?;
    if !heads.settle_until(Instant::now() + SLICE)? {
        return Ok(None);
    }
    let mut first: Option<(First, _)> = None;
    for agent in lease.each_agent() {
        let of_agent = heads.first(agent, aside)?.map(|head| (head, agent));
        let firsts = first.into_iter().chain(of_agent);
        first = firsts.min_by_key(|(head, _)| head.job);
    }
    let Some((first, agent)) = first else {
        return Ok(Some(HeadClaim::Nothing));
    };
    let job = first.job;
    if !heads.search.is_claimable(job, agent)? {
        tracing::error!(
            "job {job} was the head of its repo and may not be claimed: the repo is \
             evaluated anew"
        );
        heads.count_differences(1)?;
        heads.settle(&first.repo)?;
        return Ok(None);
    }
    *tried = Some(job);
    let claimed = sandbox.open_for_own_statements(|| give(transaction, job, lease))?;
    heads.succeed(&first)?;
    Ok(Some(HeadClaim::Claimed(claimed)))
}

/// Writes the claim of a job. These statements contain no text of a policy.
pub(crate) fn give(
    transaction: &Transaction<'_>,
    job: i64,
    lease: Lease<'_>,
) -> Result<Claimed, Error> {
    let until = sql_time(lease_end(lease.now, lease.lease));
    let token = new_token()?;
    let claim = NewClaim {
        job,
        worker: lease.worker,
        token: &token,
        now: lease.now,
        lease_until: &until,
        lease: whole_seconds(lease.lease),
        generation: lease.generation,
    };
    let given = job::claim(transaction, &claim, |row| {
        let (task, repo): (Raw, Raw) = (row.get(0)?, row.get(2)?);
        let claimed = Claimed {
            token: token.clone(),
            lease_until: until.clone(),
            id: job,
            task_id: row.id(0)?,
            work_item_id: row.shown(1)?,
            repo: repo.shown(),
            agent: row.shown(3)?,
            attempt: row.get(4)?,
            fence: row.get(5)?,
            worker: lease.worker.into(),
            generation: lease.generation,
        };
        Ok((claimed, task, repo))
    })?;
    // A trigger may have ignored the claim, or reverted it.
    let Some((claimed, task, repo)) = given else {
        return Err(undone(job));
    };
    let query = &format!(
        "SELECT 1 FROM jobs WHERE id = $1 AND {IS_RUNNING} AND gate_token = $2
        AND gate_worker = $3 AND gate_lease_until = $4 AND gate_outcome IS NULL AND gate_fence = $5
        AND repo IS $6 AND task_id IS $7"
    );
    let values = values![job, token, lease.worker, until, claimed.fence, repo, task];
    is_there(transaction, job, query, values)?;
    Ok(claimed)
}
