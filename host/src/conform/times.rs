//! The times at which a policy is asked, and those at which its answers change.
//!
//! Owns the choice of the times: now; around each `valid-until`; each minute of an hour, each hour
//! of a week, each day of more than a year, the ends of old counters, and the numbers of `rules`
//! that may be times. At each the clause is asked for, and `decide` about a few states. A host
//! keeps a clause until its `valid-until`, so a moment has two times: when the clause was asked
//! for, and when it is used. Leaves trying states at the moments to `agreement`.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::clause::Clause;
use crate::model::{Dialect, Settings, Snapshot, Verdict};
use crate::policy::Policy;

use super::budget::Budget;
use super::near::numbers_of;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What a host may do with a clause while it is valid.
const LATER: [i64; 7] = [1, MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY];

/// How many changes of a clause that depends on the time are looked at.
pub(super) const CHANGES: usize = 32;

/// How many different answers are distinguished.
const DIFFERENT: usize = 24;

/// At how many moments every state is tried, and at how many some of them.
const NEW: usize = 16;
const NOT_NEW: usize = 24;

/// Where numbers of 32 bits end.
const ENDS: [i64; 4] = [2_147_483_647, 2_147_483_648, 4_294_967_295, 4_294_967_296];

/// A time of use, with the time at which the clause was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub asked: Timestamp,
    pub at: Timestamp,
    /// Which of [`Times::clauses`] are looked into for states: the clause in use and the
    /// policy's newest.
    pub clauses: [usize; 2],
    /// Whether some answer differs from the present one, so that every state is tried.
    pub is_new: bool,
}

/// What a policy said at a time.
struct Sample {
    at: Timestamp,
    clause: usize,
    valid_until: Option<i64>,
    /// Which jobs of the few states were let through.
    decided: Vec<bool>,
}

/// What a policy says at many times.
pub(super) struct Times {
    samples: Vec<Sample>,
    /// Each different clause, in the order of the times.
    pub clauses: Vec<Clause>,
    texts: Vec<String>,
}

impl Times {
    /// Asks for the clause at each time. A time without a usable clause is left out: in use, the
    /// last good clause then applies.
    pub(super) fn ask(
        policy: &Policy,
        settings: &Settings,
        now: Timestamp,
        budget: Budget,
    ) -> Times {
        let mut times = Times {
            samples: Vec::new(),
            clauses: Vec::new(),
            texts: Vec::new(),
        };
        times.add(policy, settings, now);
        let mut at = now;
        for _ in 0..CHANGES {
            let Some(until) = times.valid_until(at) else {
                break;
            };
            times.extend(
                policy,
                settings,
                [
                    until.as_second() - 1,
                    until.as_second(),
                    until.as_second() + 1,
                ],
            );
            at = until;
        }
        for at in candidates(settings, now) {
            if budget.is_spent_to(6) {
                break;
            }
            times.extend(policy, settings, [at]);
        }
        times.samples.sort_by_key(|sample| sample.at);
        times.samples.dedup_by_key(|sample| sample.at);
        times
    }

    fn extend(
        &mut self,
        policy: &Policy,
        settings: &Settings,
        seconds: impl IntoIterator<Item = i64>,
    ) {
        for second in seconds {
            if let Ok(at) = Timestamp::from_second(second) {
                self.add(policy, settings, at);
            }
        }
    }

    fn add(&mut self, policy: &Policy, settings: &Settings, at: Timestamp) {
        let (text, valid_until) = if settings.enabled {
            match policy.claim_clause(settings, at, Dialect::Sqlite) {
                Ok(answer) => (answer.text, answer.valid_until),
                Err(_) => return,
            }
        } else {
            // The policy is not asked while the gate is switched off.
            (String::new(), None)
        };
        let clause = match self.texts.iter().position(|known| *known == text) {
            Some(clause) => clause,
            // The clause differs at each time: all later ones count as the last.
            None if self.texts.len() >= DIFFERENT => self.texts.len() - 1,
            None => {
                let Ok(clause) = Clause::accept(&text) else {
                    return;
                };
                self.clauses.push(clause);
                self.texts.push(text);
                self.texts.len() - 1
            }
        };
        self.samples.push(Sample {
            at,
            clause,
            valid_until,
            decided: Vec::new(),
        });
    }

    /// Asks `decide` about the same states at each time. A later time at which it fails is left
    /// out, as one without a clause is.
    pub(super) fn decide(
        &mut self,
        policy: &Policy,
        settings: &Settings,
        states: &[Snapshot],
        budget: Budget,
    ) {
        let mut is_first = true;
        self.samples.retain_mut(|sample| {
            // The present comes first, and every state was tried there.
            let is_present = std::mem::take(&mut is_first);
            if budget.is_spent_to(3) {
                return is_present;
            }
            for state in states {
                match policy.decide(settings, sample.at, state) {
                    Ok(decisions) => {
                        let claimed = decisions.iter();
                        let claimed = claimed.map(|decision| decision.verdict == Verdict::Claim);
                        sample.decided.extend(claimed);
                    }
                    Err(_) => return is_present,
                }
            }
            true
        });
    }

    /// The next moment after this one at which the clause may be another.
    pub(super) fn valid_until(&self, at: Timestamp) -> Option<Timestamp> {
        let sample = self.samples.iter().rfind(|sample| sample.at == at)?;
        let until = Timestamp::from_second(sample.valid_until?).ok()?;
        (until > at).then_some(until)
    }

    /// Now, and the last moment and the first of each of the clause's changes.
    pub(super) fn around_changes(&self, now: Timestamp) -> Vec<Timestamp> {
        let mut around = vec![now];
        let mut at = now;
        while let Some(until) = self.valid_until(at).filter(|_| around.len() < 2 * CHANGES) {
            around.extend(Timestamp::from_second(until.as_second() - 1));
            around.push(until);
            at = until;
        }
        around
    }

    /// The present moment.
    pub(super) fn present(&self, now: Timestamp) -> Moment {
        let present = self.samples.iter().find(|sample| sample.at == now);
        Moment {
            asked: now,
            at: now,
            clauses: [present.map_or(0, |sample| sample.clause); 2],
            is_new: true,
        }
    }

    /// Every moment that is to be tried, the present one first.
    pub(super) fn moments(&self, now: Timestamp) -> Vec<Moment> {
        let mut moments = Vec::new();
        let Some(present) = self.samples.iter().find(|sample| sample.at == now) else {
            return moments;
        };
        let different = self.different();
        moments.push(Moment::of(present, present, true));
        for sample in &different {
            moments.push(Moment::of(sample, sample, true));
        }
        // A host may keep a clause while the policy already gives another answer.
        for asked in std::iter::once(&present).chain(&different) {
            let mut seen = vec![asked.answer()];
            for used in self
                .samples
                .iter()
                .filter(|used| asked.is_valid_at(used.at))
            {
                if !seen.contains(&used.answer()) {
                    seen.push(used.answer());
                    moments.push(Moment::of(asked, used, true));
                }
            }
        }
        moments.truncate(NEW);
        // At the others it is as it was, as far as a few states tell.
        let untils: BTreeSet<i64> = self
            .samples
            .iter()
            .filter_map(|sample| sample.valid_until)
            .collect();
        let is_later = |sample: &&Sample| {
            let second = sample.at.as_second();
            let mut around = untils.range(second - 1..=second + 1);
            LATER.contains(&(second - now.as_second())) || around.next().is_some()
        };
        for used in self.samples.iter().filter(is_later).take(NOT_NEW) {
            moments.push(Moment::of(used, used, false));
            if present.is_valid_at(used.at) {
                moments.push(Moment::of(present, used, false));
            }
        }
        let mut seen = BTreeSet::new();
        moments.retain(|moment| seen.insert((moment.asked, moment.at)));
        moments
    }

    /// The first sample of each different answer.
    fn different(&self) -> Vec<&Sample> {
        let mut different: Vec<&Sample> = Vec::new();
        for sample in &self.samples {
            let is_known = different
                .iter()
                .any(|known| known.answer() == sample.answer());
            if different.len() < DIFFERENT && !is_known {
                different.push(sample);
            }
        }
        different
    }
}

impl Moment {
    fn of(asked: &Sample, used: &Sample, is_new: bool) -> Moment {
        Moment {
            asked: asked.at,
            at: used.at,
            clauses: [asked.clause, used.clause],
            is_new,
        }
    }
}

impl Sample {
    /// What the policy said, without its time.
    fn answer(&self) -> (usize, &[bool]) {
        (self.clause, &self.decided)
    }

    /// Whether a host that asked at this time uses the clause at another.
    fn is_valid_at(&self, at: Timestamp) -> bool {
        self.at <= at && self.valid_until.is_none_or(|until| at.as_second() < until)
    }
}

/// Times at which a rule may be another, in seconds since 1970.
fn candidates(settings: &Settings, now: Timestamp) -> Vec<i64> {
    let now = now.as_second();
    let (hour, day) = (now - now.rem_euclid(HOUR), now - now.rem_euclid(DAY));
    let in_rules = numbers_of(settings).into_iter();
    let in_rules = in_rules.filter(|number| number.abs_diff(now) < 20 * 365 * DAY.unsigned_abs());
    let mut times: Vec<i64> = LATER.iter().map(|offset| now + offset).collect();
    times.extend(in_rules.flat_map(|number| [number - 1, number, number + 1]));
    times.extend((0..60).map(|minute| hour + HOUR + minute * MINUTE));
    times.extend((0..60).map(|second| hour + HOUR + second));
    times.extend((1..=8 * 24).map(|number| hour + number * HOUR));
    times.extend((1..=400).map(|number| day + number * DAY));
    times.extend((1..=10).map(|number| now + number * 365 * DAY));
    times.extend(ENDS);
    times.retain(|time| *time > now);
    times
}
