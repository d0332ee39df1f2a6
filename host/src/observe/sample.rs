//! The comparison of `decide` with the clause before claims, in processes that stay.
//!
//! Owns how often: at most once a second, and for at most a hundredth of the time, over all queues
//! of a process that share a [`Pace`]. A state that has not changed waits, so that the turn is free
//! when the next change comes. A short comparison is made before the claim, in the very state that
//! the claim sees, and takes no lock. A long queue is compared in a thread, on its own connection.
//! Leaves the contradictions to `judging`. Callers rely on this: nothing here fails a claim.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Observer;
use super::agreement::{Contradicting, compare};
use super::judging::{count, is_comparable};
use crate::error::with_causes;
use crate::gate::{self, CurrentClause, Failing, Gate, Purpose};
use crate::model::Settings;
use crate::policy::Policy;
use crate::store::{Database, Patience, Store};

/// The least time between two comparisons.
const BETWEEN: Duration = Duration::from_secs(1);

/// How long the pause after a comparison is, in multiples of the time that it took.
const REST: u32 = 100;

/// How long a claim may be kept waiting for one.
const LONG: Duration = Duration::from_millis(20);

/// With more queued jobs than this, a comparison may take that long.
const MANY: usize = 500;

/// How soon an unchanged state is compared again: a rule may depend on the time.
const UNCHANGED: Duration = Duration::from_secs(10);

/// How often a process compares. A clone is the same pace: the queues that share it take turns.
#[derive(Debug, Clone, Default)]
pub struct Pace(Arc<Mutex<Beat>>);

#[derive(Debug, Default)]
struct Beat {
    under_way: bool,
    next: Option<Instant>,
    took: Duration,
}

/// One comparison. The next one is due some time after it was dropped.
struct Turn {
    pace: Pace,
    begun: Instant,
}

impl Pace {
    fn is_due(&self) -> bool {
        let beat = self.lock();
        !beat.under_way && beat.next.is_none_or(|next| Instant::now() >= next)
    }

    /// None where another queue was first.
    fn take_turn(&self) -> Option<Turn> {
        let mut beat = self.lock();
        let begun = Instant::now();
        if beat.under_way || beat.next.is_some_and(|next| begun < next) {
            return None;
        }
        beat.under_way = true;
        let pace = self.clone();
        Some(Turn { pace, begun })
    }

    fn was_long(&self) -> bool {
        self.lock().took > LONG
    }

    /// A beat is whole at every moment, so a poisoned lock means nothing here.
    fn lock(&self) -> MutexGuard<'_, Beat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        *self.pace.lock() = Beat {
            under_way: false,
            next: Instant::now().checked_add(BETWEEN.max(took.saturating_mul(REST))),
            took,
        };
    }
}

/// What was compared last.
pub(super) struct Sampled {
    at: Instant,
    versions: (i64, u64),
    clause: Arc<CurrentClause>,
}

/// What a comparison needs, on whatever thread it is made.
struct Question {
    policy: Policy,
    settings: Settings,
    clause: Arc<CurrentClause>,
    failing: Option<Failing>,
    now: Timestamp,
}

impl Observer {
    /// Compares the state before a claim, if it is time to. When that was one failure too many, the
    /// clause is that of the generation which is active again.
    pub(crate) fn sample(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
        clause: Arc<CurrentClause>,
    ) -> Result<Arc<CurrentClause>, gate::Error> {
        let sampled = self.try_to_sample(gate, store, now, &clause);
        let is_rolled_back = sampled.unwrap_or_else(|error| {
            tracing::warn!("`decide` was not compared: {}", with_causes(&error));
            false
        });
        if !is_rolled_back {
            return Ok(clause);
        }
        // No claim uses the old generation from now on, as after a failure to give a clause.
        gate.read_anew(store)?;
        gate.clause(store, Purpose::Look, now)
    }

    /// True if another generation is active now.
    fn try_to_sample(
        &mut self,
        gate: &mut Gate,
        store: &mut Store,
        now: Timestamp,
        clause: &Arc<CurrentClause>,
    ) -> Result<bool, gate::Error> {
        let Some(pace) = self.pace.clone() else {
            return Ok(false);
        };
        if !is_comparable(clause) || !pace.is_due() {
            return Ok(false);
        }
        let versions = (store.data_version()?, store.own_changes());
        let is_as_before = |last: &Sampled| {
            last.versions == versions
                && Arc::ptr_eq(&last.clause, clause)
                && last.at.elapsed() < UNCHANGED
        };
        if self.sampled.as_ref().is_some_and(is_as_before) {
            return Ok(false);
        }
        let Some(turn) = pace.take_turn() else {
            return Ok(false);
        };
        self.sampled = Some(Sampled {
            at: Instant::now(),
            versions,
            clause: Arc::clone(clause),
        });
        let failing = gate.failing();
        let (policy, settings) = gate.loaded(store)?;
        let question = Question {
            policy: policy.clone(),
            settings: settings.clone(),
            clause: Arc::clone(clause),
            failing,
            now,
        };
        if pace.was_long() || store.has_more_queued_than(MANY)? {
            let (database, budget) = (store.database().clone(), self.claim_budget);
            // It writes what it finds to the database, where this queue notices it.
            thread::Builder::new()
                .name("agreement".into())
                .spawn(move || in_background(&database, budget, &question, turn))
                .map_err(gate::Error::Thread)?;
            return Ok(false);
        }
        let back = ask(store, &question);
        drop(turn);
        if back.is_some() {
            gate.look_again();
        }
        Ok(back.is_some())
    }
}

fn in_background(database: &Database, budget: Duration, question: &Question, mut turn: Turn) {
    match Store::open(database) {
        Ok(mut store) => {
            store.set_claim_budget(budget);
            // A claim's own connection is open already: the next comparison there is as short.
            turn.begun = Instant::now();
            ask(&mut store, question);
        }
        Err(error) => tracing::warn!("`decide` was not compared: {}", with_causes(&error)),
    }
    drop(turn);
}

/// Compares, and counts what is found. Returns the generation that is active again after a
/// rollback.
fn ask(store: &mut Store, question: &Question) -> Option<i64> {
    let found = find(store, question).unwrap_or_else(|error| {
        tracing::warn!("`decide` was not compared: {}", with_causes(&error));
        Contradicting::default()
    });
    let failing = question.failing.as_ref();
    count(store, failing, &found, question.now, Patience::AsUsual)
}

fn find(store: &mut Store, question: &Question) -> Result<Contradicting, gate::Error> {
    let Question {
        policy,
        settings,
        clause,
        now,
        ..
    } = question;
    let judged = store.judged(&clause.footprint(), &clause.rendered, None)?;
    let Some(by_clause) = judged.by_clause else {
        return Ok(Contradicting::default());
    };
    match policy.decide(settings, *now, &judged.state) {
        Ok(decisions) => {
            let found = compare(&judged.state, &by_clause, &decisions, None);
            if judged.is_whole || !found.is_none() {
                return Ok(found);
            }
        }
        // The policy may fail on the rows of one repo only.
        Err(error) => tracing::warn!("not all jobs were compared: {}", with_causes(&error)),
    }
    // At least the next one. The clause may have shut out rows of a large state that `decide` sees
    // with this one.
    let Some((job, _)) = by_clause.iter().find(|(_, lets_through)| *lets_through) else {
        return Ok(Contradicting::default());
    };
    let judged = store.judged(&clause.footprint(), &clause.rendered, Some(*job))?;
    let decisions = match policy.decide(settings, *now, &judged.state) {
        // `decide` has no answer for a job that the clause gives away. A broken limit does not
        // count: there may be much to decide over.
        Err(error) if matches!(error.failure(), Some("trap" | "capability")) => {
            tracing::warn!("job {job} was not decided: {}", with_causes(&error));
            Vec::new()
        }
        decided => decided?,
    };
    Ok(match judged.by_clause {
        Some(by_clause) => compare(&judged.state, &by_clause, &decisions, Some(*job)),
        None => Contradicting::default(),
    })
}
