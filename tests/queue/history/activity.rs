//! What ended in each hour, and how long it had waited.

use std::time::Duration;

use serial_gate::queue::{Bucket, Span};

use super::{DONE, Job, add_attempt, add_jobs, now};
use crate::support::Gate;

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// The buckets in which something is, by the hour at which they begin.
fn shown(buckets: &[Bucket]) -> Vec<String> {
    let is_some = |bucket: &&Bucket| bucket.done + bucket.failed > 0;
    let wait =
        |wait: Option<Duration>| wait.map_or("-".into(), |it| (it.as_secs() / 60).to_string());
    let shown = buckets.iter().filter(is_some).map(|bucket| {
        format!(
            "{}: {} done, {} failed, waited {} and {}",
            bucket.from.strftime("%d %H:%M"),
            bucket.done,
            bucket.failed,
            wait(bucket.wait_median),
            wait(bucket.wait_90)
        )
    });
    shown.collect()
}

#[test]
fn each_hour_of_the_day_tells_what_ended_in_it_and_how_long_that_had_waited() {
    let gate = Gate::new();
    let mut jobs: Vec<Job<'_>> = (1..=10)
        .map(|number| Job {
            created: 90 + number * 10,
            ended: Some(80),
            ..DONE
        })
        .collect();
    jobs.extend([
        // At the begin of an hour, and just before.
        Job {
            ended: Some(30),
            ..DONE
        },
        Job {
            ended: Some(31),
            status: "failed",
            ..DONE
        },
        // Before the span, and ahead of the present in its hour and after it.
        Job {
            ended: Some(24 * 60),
            ..DONE
        },
        Job {
            ended: Some(-5),
            ..DONE
        },
        Job {
            ended: Some(-40),
            ..DONE
        },
        // A wait that is none.
        Job {
            ended: Some(600),
            created: 80,
            ..DONE
        },
        Job {
            ended: Some(600),
            claimed: None,
            ..DONE
        },
        // Neither done nor failed.
        Job {
            ended: Some(700),
            status: "cancelled",
            ..DONE
        },
        // Ended by another program.
        Job {
            ended: None,
            ..DONE
        },
        Job {
            repo: "beta",
            ended: Some(60),
            ..DONE
        },
    ]);
    add_jobs(&gate, &jobs);
    gate.program()
        .run("UPDATE jobs SET repo = NULL WHERE repo = 'beta'");
    let mut queue = gate.queue();
    let of_alpha = queue.activity(now(), Span::Day, Some("alpha")).unwrap();
    assert_eq!(of_alpha.from.to_string(), "2026-03-03T13:00:00Z");
    assert_eq!(of_alpha.until.to_string(), "2026-03-04T13:00:00Z");
    assert_eq!(of_alpha.buckets.len(), 24);
    assert!(!of_alpha.is_cut);
    insta::assert_debug_snapshot!(shown(&of_alpha.buckets), @r#"
    [
        "04 02:00: 2 done, 0 failed, waited - and -",
        "04 11:00: 10 done, 1 failed, waited 50 and 90",
        "04 12:00: 2 done, 0 failed, waited 10 and 10",
    ]
    "#);
    let of_all = queue.activity(now(), Span::Day, None).unwrap();
    insta::assert_debug_snapshot!(shown(&of_all.buckets), @r#"
    [
        "04 02:00: 2 done, 0 failed, waited - and -",
        "04 11:00: 11 done, 1 failed, waited 40 and 90",
        "04 12:00: 2 done, 0 failed, waited 10 and 10",
    ]
    "#);
}

#[test]
fn the_week_has_quarters_of_a_day_that_begin_at_whole_hours() {
    let gate = Gate::new();
    let days = [0, 1, 6, 7].map(|days| Job {
        ended: Some(days * 24 * 60 + 60),
        ..DONE
    });
    add_jobs(&gate, &days);
    let week = gate.queue().activity(now(), Span::Week, None).unwrap();
    assert_eq!(week.from.to_string(), "2026-02-25T18:00:00Z");
    assert_eq!(week.buckets.len(), 28);
    insta::assert_debug_snapshot!(shown(&week.buckets), @r#"
    [
        "26 06:00: 1 done, 0 failed, waited 10 and 10",
        "03 06:00: 1 done, 0 failed, waited 10 and 10",
        "04 06:00: 1 done, 0 failed, waited 10 and 10",
    ]
    "#);
}

#[test]
fn a_job_waits_until_its_first_claim_and_fails_as_often_as_it_has_failed() {
    let gate = Gate::new();
    let job = Job {
        created: 3_000,
        claimed: Some(100),
        ended: Some(90),
        ..DONE
    };
    add_jobs(&gate, &[job]);
    // Two days ago it was given back, and today it failed and was queued again.
    add_attempt(&gate, 1, 2_990, 2_900, "given_back");
    add_attempt(&gate, 1, 300, 200, "failed");
    add_attempt(&gate, 1, 190, 180, "tried_again");
    let mut queue = gate.queue();
    for repo in [None, Some("alpha")] {
        let day = queue.activity(now(), Span::Day, repo).unwrap();
        let of_wait = day.buckets.iter().find_map(|bucket| bucket.wait_median);
        assert_eq!(of_wait, Some(minutes(10)));
        insta::allow_duplicates! {
            insta::assert_debug_snapshot!(shown(&day.buckets), @r#"
            [
                "04 09:00: 0 done, 1 failed, waited - and -",
                "04 11:00: 1 done, 0 failed, waited 10 and 10",
            ]
            "#);
        }
    }
}

#[test]
fn of_very_many_jobs_the_first_buckets_are_left_empty() {
    let gate = Gate::new();
    gate.program().run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250002)
         INSERT INTO jobs (repo, agent, status, gate_ended_at)
         SELECT 'alpha', 'analyst', 'done', CASE WHEN i % 2 = 0 THEN '2026-03-04 12:10:00'
            WHEN i = 1 THEN '2026-03-04 09:10:00' ELSE '2026-03-04 10:10:00' END FROM n",
    );
    let mut queue = gate.queue();
    for repo in [None, Some("alpha")] {
        let day = queue.activity(now(), Span::Day, repo).unwrap();
        assert!(day.is_cut);
        insta::allow_duplicates! {
            insta::assert_debug_snapshot!(shown(&day.buckets), @r#"
            [
                "04 12:00: 125001 done, 0 failed, waited - and -",
            ]
            "#);
        }
        assert!(
            !queue
                .activity(now(), Span::Day, Some("beta"))
                .unwrap()
                .is_cut
        );
    }
}

#[test]
fn a_queue_without_a_past_has_empty_buckets_whatever_the_time_is() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    for now in [
        jiff::Timestamp::MIN,
        jiff::Timestamp::UNIX_EPOCH,
        jiff::Timestamp::MAX,
    ] {
        for (span, buckets) in [(Span::Day, 24), (Span::Week, 28)] {
            let activity = queue.activity(now, span, None).unwrap();
            assert_eq!(activity.buckets.len(), buckets);
            assert_eq!(shown(&activity.buckets), [""; 0]);
            assert!(
                queue
                    .repo_history(now, span, "alpha")
                    .unwrap()
                    .working
                    .stretches
                    .is_empty()
            );
        }
    }
}
