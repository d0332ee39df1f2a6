//! Whether the candidates are what the clause says, and whether every trigger is there that keeps them so.
//!
//! Owns the comparison of `candidates` with the clause, repo by repo, and the repair. It takes the write lock only for a
//! repo that differs. Callers rely on this: a difference is counted and logged, whoever asked, and after a comparison the
//! candidates compared are right.

use super::candidates::{Candidates, Shaped};
use super::value::Raw;
use super::{Change, ClaimConnection, Error, Store, candidates, migrate};

/// Where a comparison goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Place(Raw);

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    /// How many repos were compared.
    pub repos: usize,
    /// The repos that differed. Their candidates are right now.
    pub differences: Vec<Difference>,
    /// Where to go on; none at the end.
    pub next: Option<Place>,
}

/// A repo whose candidate was not what the clause gives.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The repo; none for jobs without one.
    pub repo: Option<String>,
    /// The job that would have been claimed.
    pub candidate: Option<i64>,
    /// The job that the clause gives.
    pub first: Option<i64>,
}

impl ClaimConnection {
    /// Compares up to `limit` repos, from a place on or from the first, and puts right what differs. An index that is not
    /// there yet has nothing to compare.
    ///
    /// # Errors
    ///
    /// When the database refuses, or the budget is spent.
    pub fn compare(
        &mut self,
        shaped: Shaped<'_>,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Compared, Error> {
        let mut compared = Compared::default();
        let (mut looked_at, mut differing) = (0, Vec::new());
        compared.next = self.within_budget(|connection, wall| {
            let transaction = connection.transaction()?;
            let Some(candidates) = Candidates::known(&transaction, wall, shaped)? else {
                return Ok(None);
            };
            let mut next = Some(from.map_or(Raw::Null, |Place(repo)| repo));
            while let Some(repo) = next.take_if(|_| looked_at < limit) {
                looked_at += 1;
                compared.repos += usize::from(repo != Raw::Null);
                if difference(&candidates, &repo)?.is_some() {
                    differing.push(repo.clone());
                }
                next = candidates.next_repo(&repo)?;
            }
            Ok(next.map(Place))
        })?;
        for repo in differing {
            let difference = self.writing(|transaction, wall| {
                let (candidates, _) = Candidates::open(transaction, wall, shaped)?;
                let difference = difference(&candidates, &repo)?;
                if difference.is_some() {
                    candidates.count_difference()?;
                    candidates.settle(&repo)?;
                }
                Ok(difference)
            })?;
            if let Some(difference) = &difference {
                tracing::error!(
                    "the candidate of repo {:?} was {:?} where the clause gives {:?}: it is put right",
                    difference.repo,
                    difference.candidate,
                    difference.first
                );
            }
            compared.differences.extend(difference);
        }
        Ok(compared)
    }

    /// How often candidates were found to be wrong, since the index of a clause was made.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn differences(&mut self, shaped: Shaped<'_>) -> Result<i64, Error> {
        self.own(|connection| {
            connection.query_row(
                "SELECT coalesce(sum(differences), 0) FROM serial_gate_index WHERE clause = ?1",
                [shaped.digest],
                |row| row.get(0),
            )
        })
    }
}

impl Store {
    /// Makes the triggers anew that are not there, or not as this version makes them, and returns their names. Changes may
    /// have gone unseen meanwhile, so every candidate is found anew.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn restore_triggers(&mut self) -> Result<Vec<Change>, Error> {
        if self.doing(|connection| Ok(migrate::triggers_are_as_made(connection)?))? {
            return Ok(Vec::new());
        }
        self.writing(|transaction| {
            let mut changes = Vec::new();
            migrate::add_triggers(transaction, &mut changes)?;
            transaction.execute_batch(candidates::FORGET)?;
            Ok(changes)
        })
    }
}

/// How a repo's candidate differs from what the clause gives. That of a dirty repo is not known and so not wrong.
fn difference(candidates: &Candidates<'_>, repo: &Raw) -> rusqlite::Result<Option<Difference>> {
    let (candidate, first) = (
        candidates.candidate(repo)?,
        candidates.oracle.first_of(repo)?,
    );
    if candidate == first || candidates.is_dirty(repo)? {
        return Ok(None);
    }
    Ok(Some(Difference {
        repo: repo.shown(),
        candidate,
        first,
    }))
}
