//! The comparison of `decide` with the clause when the queue is shown, and what it leads to.
//!
//! Owns which clauses are compared: those that the policy has just given, and no fallback. Both
//! answers come from one policy, one moment and one snapshot. Leaves the comparison itself to
//! `agreement`. Callers rely on this: contradictions are counted against the generation, except
//! under this process's overrides, where they are only shown; and nothing here fails a look.

use std::time::Duration;

use jiff::Timestamp;

use super::Observer;
use super::agreement::{Contradicting, compare};
use crate::error::with_causes;
use crate::gate::{self, Answered, CurrentClause, Failing, Gate, Purpose, Source, THE_HOST};
use crate::model::Snapshot;
use crate::recent::is_recent;
use crate::store::{Actor, Contradicted, Contradictions, Patience, Store};

/// How soon a process that looks repeatedly counts the same contradictions again. Each count is a
/// write, which wakes everyone who watches the database.
const COUNTED_FOR: Duration = Duration::from_secs(10);

/// What a look at all queued jobs found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// How many jobs were compared; none where the clause is not the policy's, or takes more than
    /// its budget.
    pub compared: Option<usize>,
    /// Those about which the policy contradicts itself.
    pub found: Contradicting,
    /// What was found of the generation so far, this time included; none if nothing was.
    pub ever: Option<Contradictions>,
    /// The generation that is active again, if this was one failure too many.
    pub rolled_back_to: Option<i64>,
}

/// Whether a clause can be compared with `decide`.
pub(super) fn is_comparable(clause: &CurrentClause) -> bool {
    clause.source == Source::Policy
}

/// What a comparison found, and the generation to blame.
pub(crate) struct Compared {
    /// How many jobs were compared.
    pub jobs: usize,
    pub found: Contradicting,
    failing: Option<Failing>,
}

/// The decisions for all queued jobs or for one, and where they contradict the clause.
pub(crate) fn decide_and_compare(
    gate: &mut Gate,
    store: &mut Store,
    now: Timestamp,
    job: Option<i64>,
) -> Result<(Answered, Option<Compared>), gate::Error> {
    // Until the decisions are made, no step may change to another generation.
    let clause = gate.clause(store, Purpose::Look, now)?;
    if !is_comparable(&clause) {
        let state = store.snapshot(&clause.footprint(), job)?;
        return Ok((decide(gate, store, now, &state, job)?, None));
    }
    let judged = store.judged(&clause.footprint(), &clause.rendered, job)?;
    let state = judged.state;
    let decided = decide(gate, store, now, &state, job)?;
    let compared = judged.by_clause.map(|by_clause| {
        let by_clause = decided.answered(&state, by_clause);
        Compared {
            jobs: by_clause.len(),
            found: compare(&state, &by_clause, &decided.decisions, job),
            failing: gate.failing(),
        }
    });
    Ok((decided, compared))
}

fn decide(
    gate: &mut Gate,
    store: &mut Store,
    now: Timestamp,
    state: &Snapshot,
    job: Option<i64>,
) -> Result<Answered, gate::Error> {
    match job {
        None => gate.decide_each(store, now, state),
        Some(_) => Ok(Answered {
            decisions: gate.decide_over(store, now, state)?,
            ..Answered::default()
        }),
    }
}

/// Compares what the policy and the clause say of one queued job.
pub(crate) fn compare_about(
    gate: &mut Gate,
    store: &mut Store,
    now: Timestamp,
    job: i64,
) -> Option<Compared> {
    match decide_and_compare(gate, store, now, Some(job)) {
        Ok((_, compared)) => compared,
        Err(error) => {
            tracing::debug!("job {job} was not compared: {}", with_causes(&error));
            None
        }
    }
}

impl Observer {
    /// Compares all queued jobs, and counts what is found.
    pub fn agreement(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<Agreement, gate::Error> {
        let clause = gate.clause(store, Purpose::Look, now)?;
        let compared = match is_comparable(&clause) {
            true => decide_and_compare(gate, store, now, None)?.1,
            false => None,
        };
        let rolled_back_to = compared
            .as_ref()
            .and_then(|compared| self.count_look(gate, store, now, compared));
        let ever = match gate.generation_id() {
            Some(generation) => store.contradictions(generation)?,
            None => None,
        };
        Ok(Agreement {
            compared: compared.as_ref().map(|compared| compared.jobs),
            found: compared.map(|compared| compared.found).unwrap_or_default(),
            ever,
            rolled_back_to,
        })
    }

    /// Counts what a look has found. It waits for no lock. Returns the generation that is active
    /// again, if this was one failure too many.
    pub(crate) fn count_look(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
        compared: &Compared,
    ) -> Option<i64> {
        let Compared { found, failing, .. } = compared;
        let counted = self.counted.as_ref();
        if counted.is_some_and(|(last, at)| last == found && is_recent(*at, now, COUNTED_FOR)) {
            return None;
        }
        self.counted = Some((found.clone(), now)).filter(|(found, _)| !found.is_none());
        let back = count(store, failing.as_ref(), found, now, Patience::None);
        if back.is_some() {
            gate.look_again();
        }
        back
    }
}

/// Counts what was found against its generation. Returns the generation that is active again, if
/// this was one failure too many. If the database cannot be written, the log says so.
pub(super) fn count(
    store: &mut Store,
    failing: Option<&Failing>,
    found: &Contradicting,
    now: Timestamp,
    patience: Patience,
) -> Option<i64> {
    let note = found.note()?;
    let Some(failing) = failing else {
        tracing::debug!("{note}");
        return None;
    };
    let generation = &failing.generation;
    // A look shows it.
    match patience {
        Patience::AsUsual => tracing::error!("generation {}: {note}", generation.id),
        Patience::None => tracing::debug!("generation {}: {note}", generation.id),
    }
    let first = found.first();
    let contradicted = Contradicted {
        jobs: found.count,
        repo: found.repo.as_deref(),
        first: &first,
        allowed: failing.allowance.failures,
        since: failing.since(now),
    };
    let actor = Actor {
        now,
        who: THE_HOST,
        why: &format!("the policy contradicts itself about {first}"),
    };
    let counted = store.contradicted(generation, contradicted, actor, patience);
    let back = counted.unwrap_or_else(|error| {
        tracing::warn!(
            "that generation {} contradicts itself is not counted: {}",
            generation.id,
            with_causes(&error)
        );
        None
    });
    failing.say_rolled_back(back);
    back
}
