//! The comparison of `decide` with the clause where somebody looks at the queue, and what becomes of what is found.
//!
//! Owns which clauses are compared: those that the policy has just given, and no fallback. Both answers come from one
//! policy, one moment and one snapshot. Callers rely on this: what is found is counted against the generation, except under
//! this process's own settings, where it is only shown; and nothing here fails a look.

use std::time::Duration;

use jiff::Timestamp;

use super::agreement::{Contradicting, Contradiction, compare};
use super::by_repo::Answered;
use super::generation::Failing;
use super::recent::is_recent;
use super::{CurrentClause, Error, Queue, Source, State, with_causes};
use crate::model::Snapshot;
use crate::store::{Act, Contradicted, Contradictions, Patience, Store};

/// Who counts, and rolls back.
const THE_HOST: &str = "serial-gate";

/// How soon a process that looks again and again counts the same thing once more. What it writes is a change that others who
/// look are woken by.
const COUNTED_FOR: Duration = Duration::from_secs(10);

/// What a look at all queued jobs found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// How many jobs were compared; none where the clause is not the policy's, or takes more than its budget.
    pub compared: Option<usize>,
    /// Those about which the policy contradicts itself.
    pub found: Contradicting,
    /// What was found of the generation so far, this time included; none if that is nothing.
    pub ever: Option<Contradictions>,
    /// The generation that is active again, if this was one failure too many.
    pub rolled_back_to: Option<i64>,
}

/// Whether a clause is one that can be compared with `decide`.
pub(super) fn is_comparable(clause: &CurrentClause) -> bool {
    clause.source == Source::Policy
}

impl Queue {
    /// The decisions for all queued jobs or for one, and where they contradict the clause.
    pub(super) fn decide_and_compare(
        &mut self,
        now: Timestamp,
        job: Option<i64>,
    ) -> Result<(Answered, Option<Compared>), Error> {
        // Nothing between this and the decisions may go over to another generation.
        let clause = self.clause(now)?;
        if !is_comparable(&clause) {
            let state = self.store.snapshot(&clause.reach(), job)?;
            return Ok((self.decided(now, &state, job)?, None));
        }
        let judged = self.store.judged(&clause.reach(), &clause.rendered, job)?;
        let state = judged.state;
        let decided = self.decided(now, &state, job)?;
        let compared = judged.by_clause.map(|by_clause| {
            let by_clause = decided.answered(&state, by_clause);
            Compared {
                jobs: by_clause.len(),
                found: compare(&state, &by_clause, &decided.decisions, job),
                failing: self.in_use.failing(),
            }
        });
        Ok((decided, compared))
    }

    fn decided(
        &mut self,
        now: Timestamp,
        state: &Snapshot,
        job: Option<i64>,
    ) -> Result<Answered, Error> {
        match job {
            None => self.decide_each(now, state),
            Some(_) => Ok(Answered {
                decisions: self.decide_over(now, state)?,
                ..Answered::default()
            }),
        }
    }

    /// What the policy says of one queued job, if that contradicts the clause. It is counted.
    pub(super) fn contradiction_about(
        &mut self,
        now: Timestamp,
        job: i64,
    ) -> Option<Contradiction> {
        match self.decide_and_compare(now, Some(job)) {
            Ok((_, compared)) => {
                let compared = compared?;
                self.count_look(now, &compared);
                compared.found.jobs.into_iter().next()
            }
            Err(error) => {
                tracing::debug!("job {job} was not compared: {}", with_causes(&error));
                None
            }
        }
    }

    /// Compares all queued jobs, and counts what is found.
    ///
    /// # Errors
    ///
    /// When the policy fails, or the database cannot be read.
    pub fn agreement(&mut self, now: Timestamp) -> Result<Agreement, Error> {
        let compared = if is_comparable(&*self.clause(now)?) {
            self.decide_and_compare(now, None)?.1
        } else {
            None
        };
        let rolled_back_to = compared
            .as_ref()
            .and_then(|compared| self.count_look(now, compared));
        let ever = match self.in_use.id() {
            Some(generation) => self.store.contradictions(generation)?,
            None => None,
        };
        Ok(Agreement {
            compared: compared.as_ref().map(|compared| compared.jobs),
            found: compared.map(|compared| compared.found).unwrap_or_default(),
            ever,
            rolled_back_to,
        })
    }

    /// Says in a state what was found, and counts it. Last of all: another generation may be active after it.
    pub(super) fn tell_contradictions(
        &mut self,
        now: Timestamp,
        compared: Compared,
        state: &mut State,
    ) {
        let back = self.count_look(now, &compared);
        state.notes.extend(compared.found.note());
        state.notes.extend(back.map(|good| {
            format!("it failed too often: generation {good} is active again, and this is what the one after it said")
        }));
        state.contradictions = compared.found.jobs;
    }

    /// Counts what somebody who looks has found. It waits for nobody. Returns the generation that is active again, if this was
    /// one failure too many.
    pub(super) fn count_look(&mut self, now: Timestamp, compared: &Compared) -> Option<i64> {
        let Compared { found, failing, .. } = compared;
        let counted = self.counted.as_ref();
        if counted.is_some_and(|(last, at)| last == found && is_recent(*at, now, COUNTED_FOR)) {
            return None;
        }
        self.counted = Some((found.clone(), now)).filter(|(found, _)| !found.is_none());
        let back = count(
            &mut self.store,
            failing.as_ref(),
            found,
            now,
            Patience::None,
        );
        if back.is_some() {
            self.following.look_again();
        }
        back
    }
}

/// What came of a comparison, and whose fault it would be: nobody's under settings of this process's own.
pub(super) struct Compared {
    /// How many jobs were compared.
    pub jobs: usize,
    pub found: Contradicting,
    pub failing: Option<Failing>,
}

/// Counts what was found against its generation. Returns the generation that is active again, if this was one failure too
/// many. A database that cannot be written is said in the log.
pub(super) fn count(
    store: &mut Store,
    failing: Option<&Failing>,
    found: &Contradicting,
    now: Timestamp,
    patience: Patience,
) -> Option<i64> {
    let note = found.note()?;
    let Some(Failing {
        generation,
        allowance,
    }) = failing
    else {
        tracing::debug!("{note}");
        return None;
    };
    // Who looks is shown it.
    match patience {
        Patience::AsUsual => tracing::error!("generation {}: {note}", generation.id),
        Patience::None => tracing::debug!("generation {}: {note}", generation.id),
    }
    let within = Duration::from_secs(60 * u64::from(allowance.failures_within_minutes));
    let first = found.first();
    let contradicted = Contradicted {
        jobs: found.count,
        repo: found.repo.as_deref(),
        first: &first,
        allowed: allowance.failures,
        since: now.checked_sub(within).unwrap_or(Timestamp::MIN),
    };
    let act = Act {
        now,
        who: THE_HOST,
        why: &format!("the policy contradicts itself about {first}"),
    };
    let counted = store.contradicted(generation, contradicted, act, patience);
    let back = counted.unwrap_or_else(|error| {
        tracing::warn!(
            "that generation {} contradicts itself is not counted: {}",
            generation.id,
            with_causes(&error)
        );
        None
    });
    if let Some(good) = back {
        tracing::error!(
            "generation {} failed too often, generation {good} is active again",
            generation.id
        );
    }
    back
}
