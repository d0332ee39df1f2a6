//! When work was done in a repo, when jobs waited, and when it was frozen: against a look at each
//! minute.

use jiff::SignedDuration;
use serial_gate::queue::{RepoHistory, Span, Stretch};
use serial_gate::store::sql_time;

use super::{DONE, Job, add_attempt, add_jobs, before, now};
use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::random::Rng;

/// The minutes of the span, counted back from the present. The first hour begins 1,410 minutes ago.
const MINUTES: i64 = 23 * 60 + 30;

/// Whether stretches cover each minute, from the first of the span to the last.
fn minutes_of(stretches: &[Stretch]) -> Vec<bool> {
    let is_in = |minute: i64| {
        let (from, until) = (before(minute), before(minute - 1));
        let mut covering = stretches.iter();
        covering.any(|stretch| stretch.from <= from && until <= stretch.until)
    };
    (1..=MINUTES).rev().map(is_in).collect()
}

/// What happened in a repo, by minutes before the present. A later end is a lower number.
#[derive(Default)]
struct Model {
    working: Vec<(i64, i64)>,
    waiting: Vec<(i64, i64)>,
    frozen: Vec<(i64, i64)>,
}

fn looked_at(intervals: &[(i64, i64)]) -> Vec<bool> {
    let is_in = |minute| {
        let mut covering = intervals.iter();
        covering.any(|(from, until)| *from >= minute && minute > *until && minute > 0)
    };
    (1..=MINUTES).rev().map(is_in).collect()
}

fn check(history: &RepoHistory, model: &Model, seed: u64) {
    for (what, lane, expected) in [
        ("working", &history.working.stretches, &model.working),
        ("waiting", &history.waiting.stretches, &model.waiting),
        ("frozen", &history.frozen.stretches, &model.frozen),
    ] {
        assert_eq!(minutes_of(lane), looked_at(expected), "seed {seed}, {what}");
        assert!(lane.iter().all(|it| it.from < it.until), "{lane:?}");
        let apart = |pair: &[Stretch]| pair[0].until < pair[1].from;
        assert!(lane.windows(2).all(apart), "{lane:?}");
        let is_in = |it: &Stretch| history.from <= it.from && it.until <= now();
        assert!(lane.iter().all(is_in), "{lane:?}");
    }
}

#[test]
fn the_lanes_of_random_repos_cover_the_minutes_that_a_look_at_each_finds() {
    for seed in 0..u64::from(Engine::cases(40)) {
        let gate = Gate::new();
        let mut random = Rng::new(seed);
        let (mut model, mut jobs, mut attempts) = (Model::default(), Vec::new(), Vec::new());
        for _ in 0..random.below(12) {
            let id = i64::try_from(jobs.len()).unwrap() + 1;
            // Some times are before the span.
            let mut times: Vec<i64> = (0..8).map(|_| minute(&mut random)).collect();
            times.sort_unstable_by(|one, other| other.cmp(one));
            times.dedup();
            let mut times = times.into_iter();
            let created = times.next().unwrap();
            let mut earlier = Vec::new();
            for _ in 0..random.below(3) {
                earlier.extend(times.next().zip(times.next()));
            }
            let claimed = times.next().filter(|_| random.below(4) > 0);
            let ended = times.next();
            let (status, ended, lease) = match (random.below(4), claimed) {
                (0, None) => ("queued", None, None),
                (1, Some(_)) => ("running", None, Some(ended.unwrap_or(0).min(3) - 2)),
                _ if ended.is_none() => continue,
                (2, Some(_)) => ("failed", ended, None),
                (_, Some(_)) => ("done", ended, None),
                _ => ("cancelled", ended, None),
            };
            let begins = earlier
                .iter()
                .map(|it| it.0)
                .chain([claimed.or(ended).unwrap_or(0)]);
            let ends = [created].into_iter().chain(earlier.iter().map(|it| it.1));
            model.waiting.extend(ends.zip(begins));
            model.working.extend(&earlier);
            if let Some(claimed) = claimed {
                model
                    .working
                    .push((claimed, ended.or(lease).unwrap().max(0)));
            }
            jobs.push(Job {
                status,
                created,
                // The time of an earlier claim stays.
                claimed: claimed.or(earlier.last().map(|it| it.0)),
                ended,
                worker: claimed.map(|_| "w"),
                lease,
                ..DONE
            });
            attempts.extend(
                earlier
                    .into_iter()
                    .map(|(claimed, ended)| (id, claimed, ended)),
            );
        }
        add_jobs(&gate, &jobs);
        for (id, claimed, ended) in attempts {
            add_attempt(&gate, id, claimed, ended, "given_back");
        }
        for _ in 0..random.below(4) {
            let (one, other) = (minute(&mut random), minute(&mut random));
            let (from, until) = (one.max(other), one.min(other));
            let is_active = random.below(3) == 0;
            model.frozen.push((from, if is_active { 0 } else { until }));
            let cleared = match is_active {
                true => "NULL".into(),
                false => format!("'{}'", sql_time(before(until))),
            };
            gate.program().run(format!(
                "INSERT INTO repo_freeze (repo, frozen_at, cleared_at) VALUES ('alpha', '{}', {cleared})",
                sql_time(before(from))
            ));
        }
        let history = gate
            .queue()
            .repo_history(now(), Span::Day, "alpha")
            .unwrap();
        check(&history, &model, seed);
    }
}

fn minute(random: &mut Rng) -> i64 {
    i64::try_from(random.below(1_600)).unwrap()
}

#[test]
fn of_very_many_stretches_the_shortest_gaps_are_closed() {
    let gate = Gate::new();
    // A minute of work every two minutes, and one pause of an hour.
    let jobs: Vec<Job<'_>> = (0..650)
        .map(|number| {
            let start = 1_400 - number * 2 - if number > 300 { 60 } else { 0 };
            Job {
                created: start,
                claimed: Some(start),
                ended: Some(start - 1),
                ..DONE
            }
        })
        .collect();
    add_jobs(&gate, &jobs);
    let history = gate
        .queue()
        .repo_history(now(), Span::Day, "alpha")
        .unwrap();
    let working = &history.working;
    assert_eq!(working.stretches.len(), 300);
    assert!(working.is_coarse);
    assert_eq!(working.long, SignedDuration::from_mins(650));
    let gaps = working.stretches.windows(2);
    let gaps = gaps.map(|pair| pair[1].from.duration_since(pair[0].until));
    assert_eq!(gaps.max(), Some(SignedDuration::from_mins(61)));
    assert!(history.waiting.stretches.is_empty());
}

#[test]
fn a_freeze_without_a_readable_time_or_from_the_future_is_left_out() {
    let gate = Gate::new();
    for (frozen, cleared) in [
        ("'long ago'", "NULL"),
        ("'2026-03-04 11:00:00'", "'soon'"),
        ("'2027-01-01 00:00:00'", "NULL"),
        ("'2026-03-04 11:00:00'", "'2026-03-04 10:00:00'"),
        // By another program, and cleared in the future.
        ("'2026-03-04T10:00:00+01:00'", "'2026-03-04T10:30:00Z'"),
        ("'2026-03-04 12:00:00'", "'2027-03-04 13:00:00'"),
    ] {
        gate.program().run(format!(
            "INSERT INTO repo_freeze (repo, frozen_at, cleared_at) VALUES ('alpha', {frozen}, {cleared})"
        ));
    }
    let history = gate
        .queue()
        .repo_history(now(), Span::Day, "alpha")
        .unwrap();
    let frozen = history
        .frozen
        .stretches
        .iter()
        .map(|it| format!("{} {}", it.from, it.until));
    assert_eq!(
        frozen.collect::<Vec<_>>(),
        [
            "2026-03-04T09:00:00Z 2026-03-04T10:30:00Z",
            "2026-03-04T12:00:00Z 2026-03-04T12:30:00Z"
        ]
    );
}
