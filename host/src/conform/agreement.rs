//! Whether `decide` and the clause let the same jobs through: the central promise of a policy.
//!
//! Owns the comparison, on the real database, of what the clause lets through with what `decide`
//! says of the same rows: in states that are made for the clause's own conditions, and at times at
//! which either may be another. A clause is kept as a host keeps it, until its `valid-until`.
//! Leaves the states to `directed` and `states`, the times to `times`, and a smaller example to
//! `example`.

use jiff::Timestamp;
use serde_json::Value;

use super::budget::Budget;
use super::case::Document;
use super::directed::states;
use super::example::{Difference, smallest};
use super::language::has_large_number;
use super::times::{Moment, Times};
use super::vocabulary::Vocabulary;
use super::world::World;
use super::{Error, example};
use crate::clause::{Clause, Footprint};
use crate::error::with_causes;
use crate::gate::{self, Source};
use crate::model::{Decision, Settings, Snapshot, Verdict};
use crate::observe::fault;
use crate::policy::Policy;
use crate::queue;
use crate::store::Reason;

/// About how many states the policy is asked at each time.
const PROBES: usize = 3;

/// How many states are tried where nothing seems to be another.
const SHARP: usize = 12;

/// A state with more rows is not tried again and again.
const SMALL: usize = 40;

/// The world of a check, with the clause that is in force there.
pub(super) struct Trial<'a> {
    pub world: &'a mut World,
    pub policy: &'a Policy,
    pub settings: &'a Settings,
    pub budget: Budget,
    now: Timestamp,
    asked: Option<Timestamp>,
    /// For a policy that rounds them.
    pub leaves_out_large_ids: bool,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        world: &'a mut World,
        policy: &'a Policy,
        settings: &'a Settings,
        now: Timestamp,
        budget: Budget,
    ) -> Trial<'a> {
        Trial {
            world,
            policy,
            settings,
            budget,
            now,
            asked: None,
            leaves_out_large_ids: false,
        }
    }

    /// Tries all states at all times. In words what was found, or where the two differ.
    pub(super) fn run(
        &mut self,
        times: &mut Times,
        usual: &[Value],
    ) -> Result<Result<String, String>, Error> {
        let clauses: Vec<&Clause> = times.clauses.iter().collect();
        let vocabulary = Vocabulary::of(&clauses, self.settings);
        let made: Vec<Vec<Value>> = clauses
            .iter()
            .map(|clause| {
                let mut states = states(clause, &vocabulary, self.settings);
                states.retain(|state| !self.leaves_out_large_ids || !has_large_number(state));
                states
            })
            .collect();
        let present = times.present(self.now);
        let mut sharp: Vec<&Value> = Vec::new();
        let mut tried = 0;
        // The usual ones first: what they find is plain to read.
        let made_now = made.get(present.clauses[0]).into_iter().flatten();
        let first: Vec<&Value> = usual.iter().chain(made_now).collect();
        for state in &first {
            match self.try_one(present, state, tried, first.len())? {
                Err(reason) => return Ok(Err(reason)),
                Ok(true) => sharp.push(state),
                Ok(false) => {}
            }
            tried += 1;
        }
        let step = sharp.len().div_ceil(SHARP).max(1);
        let sharp: Vec<&Value> = sharp.into_iter().step_by(step).collect();
        let probes = self.snapshots(sharp.iter().copied().take(PROBES))?;
        times.decide(self.policy, self.settings, &probes, self.budget);
        let moments = times.moments(self.now);
        for moment in moments.iter().skip(1) {
            let mut of_moment = sharp.clone();
            if moment.is_new {
                let [kept, newest] = moment.clauses;
                of_moment.extend(made.get(kept).into_iter().flatten());
                if newest != kept {
                    of_moment.extend(made.get(newest).into_iter().flatten());
                }
            }
            for state in &of_moment {
                let all = tried + of_moment.len();
                if let Err(reason) = self.try_one(*moment, state, tried, all)? {
                    return Ok(Err(reason));
                }
                tried += 1;
            }
        }
        let mut at: Vec<Timestamp> = moments.iter().map(|moment| moment.at).collect();
        at.sort_unstable();
        at.dedup();
        Ok(Ok(format!(
            "`decide` and the clause let the same jobs through, in {tried} states and at {} times",
            at.len()
        )))
    }

    /// Tries a state. Whether a job is held there, or why the policy is refused.
    fn try_one(
        &mut self,
        moment: Moment,
        state: &Value,
        tried: usize,
        all: usize,
    ) -> Result<Result<bool, String>, Error> {
        if self.budget.is_spent() {
            return Ok(Err(self.budget.spent_after(tried, all, "states")));
        }
        match self.compare(moment, state)? {
            Compared::Same { is_held } => {
                let rows = example::rows(state);
                Ok(Ok(is_held && rows <= SMALL))
            }
            Compared::Other(difference) => {
                let (state, difference) = smallest(self, moment, state, difference)?;
                let Difference { words, .. } = difference;
                let when = self.when(moment);
                Ok(Err(format!("{words}{when}, in the state {state}")))
            }
        }
    }

    /// What the clause and `decide` say of a state.
    pub(super) fn compare(&mut self, moment: Moment, state: &Value) -> Result<Compared, Error> {
        let case: Document = serde_json::from_value(state.clone())
            .map_err(|error| Error::Value(error.to_string()))?;
        match self.world.load(&case) {
            // Not a state that a queue can be in: a column that must not be NULL, say.
            Err(Error::Refused(refused)) if refused.reason == Reason::Constraint => {
                return Ok(Compared::Same { is_held: false });
            }
            loaded => loaded?,
        }
        match self.ask(moment, state) {
            Err(error @ queue::Error::Gate(gate::Error::Policy(_))) => {
                Ok(Compared::Other(Difference {
                    job: None,
                    words: with_causes(&error),
                }))
            }
            compared => Ok(compared?),
        }
    }

    fn ask(&mut self, moment: Moment, state: &Value) -> Result<Compared, queue::Error> {
        let queue = &mut self.world.queue;
        if self.asked != Some(moment.asked) {
            // The clause that was kept so far is dropped.
            queue.set_settings(self.settings.clone());
            queue.clause(moment.asked)?;
            self.asked = Some(moment.asked);
        }
        let clause = queue.clause(moment.at)?;
        let other = |job, words| Ok(Compared::Other(Difference { job, words }));
        if ![Source::Policy, Source::Off].contains(&clause.source) {
            return other(None, clause.notes.join(", "));
        }
        let by_clause = queue.claimable(moment.at)?;
        let queued = queue.store().queued_jobs()?;
        for decisions in self.decisions(moment.at)? {
            if let Some(fault) = fault(&queued, &decisions) {
                return other(None, fault);
            }
            for decision in &decisions {
                let passes = by_clause.contains(&decision.job);
                if passes != (decision.verdict == Verdict::Claim) {
                    let words = example::words(decision, passes, state);
                    return other(Some(decision.job), words);
                }
            }
        }
        Ok(Compared::Same {
            is_held: by_clause.len() < queued.len(),
        })
    }

    /// What `decide` says of the whole state, and of the rows that can matter to the clause, if
    /// those are fewer. A clause that opens the gate reads no rows: alone with it, `decide` would
    /// not see the freeze either.
    fn decisions(&mut self, at: Timestamp) -> Result<Vec<Vec<Decision>>, queue::Error> {
        let queue = &mut self.world.queue;
        let in_reach = queue.footprint(at)?;
        let mut every = Footprint::of_every_clause();
        every.extend(in_reach.clone());
        let mut states = vec![
            queue.store().snapshot(&every, None)?,
            queue.store().snapshot(&in_reach, None)?,
        ];
        states.dedup();
        let decided = states.iter().map(|state| queue.decide_over(at, state));
        decided.collect()
    }

    /// The time of a moment, where it is not the present.
    fn when(&self, moment: Moment) -> String {
        let Moment { asked, at, .. } = moment;
        if asked != at {
            format!(" at {at}, by the clause that was asked for at {asked} and is still valid")
        } else if at != self.now {
            format!(" at {at}")
        } else {
            String::new()
        }
    }

    /// What a policy is given of some states.
    fn snapshots<'s>(
        &mut self,
        states: impl Iterator<Item = &'s Value>,
    ) -> Result<Vec<Snapshot>, Error> {
        let reach = Footprint::of_every_clause();
        let mut snapshots = Vec::new();
        for state in states {
            let case: Document = serde_json::from_value(state.clone())
                .map_err(|error| Error::Value(error.to_string()))?;
            self.world.load(&case)?;
            let store = self.world.queue.store();
            snapshots.push(store.snapshot(&reach, None).map_err(queue::Error::from)?);
        }
        Ok(snapshots)
    }
}

/// What came of a comparison.
pub(super) enum Compared {
    /// The two are one; whether a job is held.
    Same { is_held: bool },
    /// They differ.
    Other(Difference),
}
