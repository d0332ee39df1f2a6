//! Whether the heads are those of the clause, and whether every trigger that maintains them exists.
//!
//! Owns the comparison of `heads` with the clause, repo by repo, and the repair. It takes the write
//! lock only for a repo that differs. Callers rely on this: every difference is counted and logged,
//! and after a comparison the compared heads are right.

use super::engine::Sqlite;
use super::heads::{Head, Heads};
use super::migrate::Made;
use super::transaction::Transaction;
use super::{heads, migrate, triggers, version_row};
use crate::store::raw::Raw;
use crate::store::{Change, Compared, Difference, Error, Place, Shaped};

impl Sqlite {
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
        let mut compared = Compared::default();
        let (mut looked_at, mut differing) = (0, Vec::new());
        compared.next = self.within_budget(|connection, sandbox| {
            let transaction = Transaction::read(connection)?;
            let Some(heads) = Heads::known(&transaction, sandbox, shaped)? else {
                return Ok(None);
            };
            let mut next = Some(from.map_or(Raw::Null, |Place(repo)| repo));
            while let Some(repo) = next.take_if(|_| looked_at < limit) {
                looked_at += 1;
                compared.repos += usize::from(repo != Raw::Null);
                if !differences(&heads, &repo)?.is_empty() {
                    differing.push(repo.clone());
                }
                next = heads.next_repo(&repo)?;
            }
            Ok(next.map(Place))
        })?;
        for repo in differing {
            let differences = self.writing_by_clause(|transaction, sandbox| {
                let heads = Heads::open(transaction, sandbox, shaped)?;
                let differences = differences(&heads, &repo)?;
                if !differences.is_empty() {
                    heads.count_differences(differences.len())?;
                    heads.settle(&repo)?;
                }
                Ok(differences)
            })?;
            for difference in &differences {
                tracing::error!("{}", difference.in_words());
            }
            compared.differences.extend(differences);
        }
        Ok(compared)
    }

    /// How often heads were wrong since the index of a clause was created.
    pub fn differences(&mut self, shaped: Shaped<'_>) -> Result<i64, Error> {
        self.read(|connection| {
            Ok(connection.query_row(
                "SELECT coalesce(sum(differences), 0) FROM serial_gate_index WHERE clause = ?1",
                [shaped.digest],
                |row| row.get(0),
            )?)
        })
    }

    /// Creates the missing triggers again, and returns their names. Changes may have gone
    /// unnoticed, so every head is found anew, and the clause gets a new version. A lost row of
    /// that version is restored as well. Another version's triggers stay and are logged: two
    /// versions would undo each other's for ever.
    pub fn restore_triggers(&mut self) -> Result<Vec<Change>, Error> {
        let (missing, others): (Vec<_>, Vec<_>) = self
            .read(|connection| Ok(migrate::triggers_not_as_made(connection)?))?
            .into_iter()
            .partition(|(_, made)| *made == Made::Nowhere);
        for (other, _) in others {
            tracing::error!(
                "the trigger `{}` is not as this version makes it: prepare the database with the \
                 newest version, and restart processes of older ones",
                other.name
            );
        }
        let is_numbered = self.read(|connection| Ok(version_row::is_right(connection)?))?;
        if missing.is_empty() && is_numbered {
            return Ok(Vec::new());
        }
        self.write(|transaction| {
            let mut changes = Vec::new();
            for (trigger, made) in migrate::triggers_not_as_made(transaction)? {
                // Another process may have created it by now.
                if made == Made::Nowhere {
                    transaction.execute_batch(&trigger.create)?;
                    changes.push(Change::Trigger(trigger.name));
                }
            }
            if !changes.is_empty() {
                transaction.execute_batch(heads::FORGET)?;
                transaction.execute_batch(triggers::NEXT_VERSION)?;
            }
            if version_row::put_right(transaction)? {
                changes.push(Change::Row(version_row::TABLE.into()));
            }
            Ok(changes)
        })
    }
}

/// How a repo's heads differ from what the clause gives. Those of a dirty repo are unknown and so
/// not wrong.
fn differences(heads: &Heads<'_>, repo: &Raw) -> rusqlite::Result<Vec<Difference>> {
    let known = heads.of_repo(repo)?;
    let firsts = heads.search.firsts_of(repo)?;
    if heads.is_dirty(repo)? {
        return Ok(Vec::new());
    }
    let job_of = |agent: &Raw, jobs: &[Head]| {
        let found = jobs.iter().find(|(name, _)| name == agent);
        found.map(|(_, job)| *job)
    };
    let mut differences = Vec::new();
    let gone = known
        .iter()
        .filter(|(agent, _)| job_of(agent, &firsts).is_none());
    for (agent, _) in firsts.iter().chain(gone) {
        let (candidate, first) = (job_of(agent, &known), job_of(agent, &firsts));
        if candidate != first {
            differences.push(Difference {
                repo: repo.shown(),
                agent: agent.shown(),
                candidate,
                first,
            });
        }
    }
    Ok(differences)
}
