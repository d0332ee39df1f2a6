//! Heads that a reader found to be doubtful: a job may be claimed, but the index does not have it.
//!
//! Owns the check of the heads in such jobs' repos, and the mark that makes the next claim evaluate
//! them. Leaves the evaluation to `heads`. Callers rely on this: only repos of jobs that the clause
//! lets through are marked, so a reader that asks again finds nothing more to mark; and the mark
//! does not wait for other processes.

use std::sync::LazyLock;

use rusqlite::params;

use super::connection::{Open, without_waiting};
use super::engine::Sqlite;
use super::heads::Heads;
use super::transaction::Transaction;
use crate::store::{Error, Shaped};

/// The jobs of a list whose repo is not dirty and has no head for their agent, or a later one.
static DOUBTED: LazyLock<String> = LazyLock::new(|| {
    "SELECT jobs.id, jobs.repo FROM json_each(?2) AS named
         JOIN jobs ON jobs.id = named.value AND jobs.status = 'queued'
         JOIN serial_gate_index ON serial_gate_index.clause = ?1
     WHERE NOT EXISTS (SELECT 1 FROM serial_gate_partition AS known
            WHERE known.idx = serial_gate_index.id AND known.no_repo = (jobs.repo IS NULL)
            AND known.repo = coalesce(jobs.repo, '') AND known.agent IS +jobs.agent
            AND known.job <= jobs.id)
        AND NOT EXISTS (SELECT 1 FROM serial_gate_dirty AS marked
            WHERE marked.idx = serial_gate_index.id AND marked.no_repo = (jobs.repo IS NULL)
            AND marked.repo = coalesce(jobs.repo, ''))"
        .into()
});

impl Sqlite {
    /// Marks the repos of jobs that the clause lets through but the index lacks, and counts them as
    /// differences.
    ///
    /// # Errors
    ///
    /// When the database cannot be written at once.
    pub fn doubt_heads(&mut self, shaped: Shaped<'_>, claimable: &[i64]) -> Result<(), Error> {
        let named = serde_json::json!(claimable).to_string();
        let doubted: Vec<i64> = self.within_budget(|connection, sandbox| {
            let transaction = Transaction::read(connection)?;
            let Some(heads) = Heads::known(&transaction, sandbox, shaped)? else {
                return Ok(Vec::new());
            };
            let jobs: Vec<i64> = sandbox.open_for_own_statements(|| {
                let mut query = transaction.prepare_cached(&DOUBTED)?;
                let found =
                    query.query_map(params![shaped.digest, named], |row| row.get::<_, i64>(0))?;
                found.collect::<rusqlite::Result<_>>()
            })?;
            let mut doubted = Vec::new();
            for job in jobs {
                if heads.search.is_claimable(job, None)? {
                    doubted.push(job);
                }
            }
            Ok(doubted)
        })?;
        // In a group the mark would wait for the other changes, and one of their claims may come
        // first.
        if doubted.is_empty() || self.group.is_open {
            return Ok(());
        }
        let jobs = serde_json::json!(doubted).to_string();
        self.let_go_of_state();
        let Open {
            connection,
            sandbox,
            ..
        } = self.be_open()?;
        let marked = sandbox.open_for_own_statements(|| {
            without_waiting(connection, |connection| {
                let transaction = connection.unchecked_transaction()?;
                let marked = transaction.execute(
                    &format!(
                        "INSERT INTO serial_gate_dirty (idx, no_repo, repo)
                         SELECT DISTINCT (SELECT id FROM serial_gate_index
                         WHERE clause = ?1), repo IS NULL, coalesce(repo, '')
                         FROM ({})",
                        *DOUBTED
                    ),
                    params![shaped.digest, jobs],
                )?;
                transaction.execute(
                    "UPDATE serial_gate_index SET differences = differences + ?2 WHERE clause = ?1",
                    params![shaped.digest, marked],
                )?;
                transaction.commit()?;
                Ok(marked)
            })
        })?;
        if marked > 0 {
            tracing::error!(
                "{marked} repos had jobs that may be claimed and that no claim would have found: \
                 the next claim evaluates them anew"
            );
        }
        Ok(())
    }
}
