//! Whether a policy's two answers agree, `decide` and the clause, and whether its decisions are a
//! complete list.
//!
//! Owns the comparison and its words. Both answers are about one state at one time, so a difference
//! is always a fault of the policy. Claims follow the clause: a job that it lets through is given
//! to the next worker even if `decide` holds it. A decision that is missing, occurs twice, or is
//! about a job that is not queued contradicts the clause as well, which has one answer for each
//! job.

use std::{fmt, iter};

use crate::model::{Decision, Snapshot, Verdict};

/// How many jobs of one state are named.
const NAMED: usize = 100;

/// A job about which a policy contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Contradiction {
    /// The job.
    pub job: i64,
    /// What `decide` says of it.
    pub decide: Decided,
    /// What the clause says, which claims follow.
    pub clause: ByClause,
}

/// What `decide` says of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// It may be claimed.
    Claim,
    /// It is held.
    Hold,
    /// Nothing.
    Nothing,
    /// Several things.
    Twice,
}

/// What the clause says of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ByClause {
    /// It may be claimed.
    Claim,
    /// It is held.
    Hold,
    /// Nothing: the job is not queued.
    NotQueued,
}

/// All of them in one state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contradicting {
    /// How many jobs there are.
    pub count: usize,
    /// The first of them, up to 100, by id.
    pub jobs: Vec<Contradiction>,
    /// The repo of the first, if that is known.
    pub repo: Option<String>,
}

impl Contradiction {
    /// What both say, without the job's name.
    pub fn answers(&self) -> &'static str {
        match (self.decide, self.clause) {
            (_, ByClause::NotQueued) => "`decide` says something of it, and it is not queued",
            (Decided::Hold, _) => {
                "`decide` holds it, and the clause, which claims use, lets it through"
            }
            (Decided::Claim, _) => {
                "`decide` lets it through, and the clause, which claims use, holds it"
            }
            (Decided::Nothing, ByClause::Claim) => {
                "`decide` says nothing of it, and the clause, which claims use, lets it through"
            }
            (Decided::Nothing, ByClause::Hold) => {
                "`decide` says nothing of it, and the clause, which claims use, holds it"
            }
            (Decided::Twice, ByClause::Claim) => {
                "`decide` has several answers for it, and the clause, which claims use, lets it \
                 through"
            }
            (Decided::Twice, ByClause::Hold) => {
                "`decide` has several answers for it, and the clause, which claims use, holds it"
            }
        }
    }

    /// What to add to a verdict of `decide`, where its job is shown; nothing where the job is not
    /// queued.
    pub fn beside_verdict(&self) -> Option<&'static str> {
        match self.clause {
            ByClause::Claim => Some("but the clause lets it through"),
            ByClause::Hold => Some("but the clause holds it"),
            ByClause::NotQueued => None,
        }
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}: {}", self.job, self.answers())
    }
}

impl Contradicting {
    /// Whether there is no contradiction.
    pub fn is_none(&self) -> bool {
        self.count == 0
    }

    /// The contradiction about one job.
    pub fn about(&self, job: i64) -> Option<&Contradiction> {
        self.jobs.iter().find(|found| found.job == job)
    }

    /// The first of them in words; nothing if there is none.
    pub(super) fn first(&self) -> String {
        self.jobs
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// What it is, in a sentence; none if there is no contradiction.
    pub fn note(&self) -> Option<String> {
        let first = self.jobs.first()?;
        Some(match self.count {
            0 | 1 => format!("the policy contradicts itself about {first}"),
            count => {
                format!("the policy contradicts itself about {count} jobs, such as {first}")
            }
        })
    }

    fn add(&mut self, found: Contradiction) {
        self.count += 1;
        if self.jobs.len() < NAMED {
            self.jobs.push(found);
        }
    }
}

/// Compares the decisions over a state with what the clause says of its queued jobs, or with `job`
/// of that one only. `by_clause` is in the order of ids.
pub(super) fn compare(
    state: &Snapshot,
    by_clause: &[(i64, bool)],
    decisions: &[Decision],
    job: Option<i64>,
) -> Contradicting {
    let of_job = |decision: &&Decision| job.is_none_or(|job| decision.job == job);
    let mut found = Contradicting::default();
    for both in side_by_side(by_clause, decisions.iter().filter(of_job)) {
        if !matches!(
            (both.decide, both.clause),
            (Decided::Claim, ByClause::Claim) | (Decided::Hold, ByClause::Hold)
        ) {
            found.add(both);
        }
    }
    found.repo = found
        .jobs
        .first()
        .and_then(|first| repo_of(state, first.job));
    found
}

/// What is wrong with decisions as a list, if anything: there should be one for each queued job, in
/// the order of ids.
pub(crate) fn fault(queued: &[i64], decisions: &[Decision]) -> Option<String> {
    let decided = decisions.iter().map(|decision| decision.job);
    if decided.eq(queued.iter().copied()) {
        return None;
    }
    let by_clause: Vec<(i64, bool)> = queued.iter().map(|job| (*job, true)).collect();
    let fault = side_by_side(&by_clause, decisions).find_map(|both| {
        let job = both.job;
        match (both.decide, both.clause) {
            (_, ByClause::NotQueued) => Some(format!(
                "`decide` has a decision for job {job}, which is not queued: decide about queued \
                 jobs only"
            )),
            (Decided::Twice, _) => Some(format!(
                "`decide` has two decisions for job {job}: write one for each queued job"
            )),
            (Decided::Nothing, _) => Some(format!(
                "`decide` has no decision for job {job}, which is queued: write one for each \
                 queued job"
            )),
            _ => None,
        }
    });
    Some(fault.unwrap_or_else(|| {
        "`decide` has its decisions in another order than that of the jobs' ids: write them in the \
         order of the snapshot's jobs"
            .into()
    }))
}

/// Both answers about each job that either names, in the order of ids.
fn side_by_side<'a>(
    by_clause: &[(i64, bool)],
    decisions: impl IntoIterator<Item = &'a Decision>,
) -> impl Iterator<Item = Contradiction> {
    let mut decided: Vec<(i64, Decided)> = decisions
        .into_iter()
        .map(|decision| {
            let said = match decision.verdict {
                Verdict::Claim => Decided::Claim,
                Verdict::Hold(_) => Decided::Hold,
            };
            (decision.job, said)
        })
        .collect();
    decided.sort_by_key(|(job, _)| *job);
    let mut decided = decided.into_iter().peekable();
    let mut queued = by_clause.iter().copied().peekable();
    iter::from_fn(move || {
        let next = [
            decided.peek().map(|(job, _)| *job),
            queued.peek().map(|(job, _)| *job),
        ];
        let job = next.into_iter().flatten().min()?;
        let mut decide = Decided::Nothing;
        while let Some((_, said)) = decided.next_if(|(other, _)| *other == job) {
            decide = match decide {
                Decided::Nothing => said,
                _ => Decided::Twice,
            };
        }
        let clause = match queued.next_if(|(other, _)| *other == job) {
            None => ByClause::NotQueued,
            Some((_, true)) => ByClause::Claim,
            Some((_, false)) => ByClause::Hold,
        };
        Some(Contradiction {
            job,
            decide,
            clause,
        })
    })
}

fn repo_of(state: &Snapshot, job: i64) -> Option<String> {
    let place = state.jobs.id.iter().position(|id| *id == job)?;
    let repo = state.jobs.repo.get(place)?;
    state.symbols.text(*repo).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Freezes, Hold, Jobs, Symbols, Tasks};

    fn nothing() -> Snapshot {
        Snapshot {
            symbols: Symbols::new(),
            tasks: Tasks {
                id: vec![],
                work_item: vec![],
                repo: vec![],
                stage: vec![],
                label: vec![],
            },
            jobs: Jobs {
                id: vec![],
                task_id: vec![],
                task_id_kind: vec![],
                repo: vec![],
                agent: vec![],
                status: vec![],
            },
            freezes: Freezes {
                id: vec![],
                repo: vec![],
                frozen_at: vec![],
                cleared_at: vec![],
                reason: vec![],
                work_item: vec![],
            },
        }
    }

    fn claim(job: i64) -> Decision {
        Decision {
            job,
            verdict: Verdict::Claim,
        }
    }

    fn hold(job: i64) -> Decision {
        let verdict = Verdict::Hold(Hold {
            earlier_task: None,
            freeze: None,
            rule: None,
        });
        Decision { job, verdict }
    }

    fn found(by_clause: &[(i64, bool)], decisions: &[Decision]) -> Vec<String> {
        let found = compare(&nothing(), by_clause, decisions, None);
        found.jobs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_answers_that_say_the_same_do_not_contradict_each_other_in_whatever_order() {
        assert_eq!(
            found(&[(1, true), (2, false)], &[hold(2), claim(1)]),
            [""; 0]
        );
        assert_eq!(found(&[], &[]), [""; 0]);
    }

    #[test]
    fn each_kind_of_contradiction_is_named() {
        let by_clause = [
            (1, true),
            (2, false),
            (3, true),
            (4, false),
            (5, true),
            (6, false),
        ];
        let decisions = [
            hold(1),
            claim(2),
            claim(5),
            hold(5),
            hold(6),
            hold(6),
            claim(-7),
            hold(9),
        ];
        assert_eq!(
            found(&by_clause, &decisions),
            [
                "job -7: `decide` says something of it, and it is not queued",
                "job 1: `decide` holds it, and the clause, which claims use, lets it through",
                "job 2: `decide` lets it through, and the clause, which claims use, holds it",
                "job 3: `decide` says nothing of it, and the clause, which claims use, lets it through",
                "job 4: `decide` says nothing of it, and the clause, which claims use, holds it",
                "job 5: `decide` has several answers for it, and the clause, which claims use, lets it through",
                "job 6: `decide` has several answers for it, and the clause, which claims use, holds it",
                "job 9: `decide` says something of it, and it is not queued",
            ]
        );
    }

    #[test]
    fn of_one_job_only_what_is_said_of_it_counts() {
        let found = compare(
            &nothing(),
            &[(2, true)],
            &[hold(1), hold(2), claim(3)],
            Some(2),
        );
        let jobs: Vec<i64> = found.jobs.iter().map(|found| found.job).collect();
        assert_eq!(jobs, [2]);
    }

    #[test]
    fn a_hundred_are_named_and_all_are_counted() {
        let decisions: Vec<Decision> = (0..1000).map(claim).collect();
        let found = compare(&nothing(), &[], &decisions, None);
        assert_eq!((found.count, found.jobs.len()), (1000, 100));
    }
}
