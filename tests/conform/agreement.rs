//! The central property: the rule says the same in each of its forms, for any state and settings.

use jiff::Timestamp;
use proptest::prelude::*;
use serial_gate::clause::Footprint;
use serial_gate::gate::{Rule, default_settings};
use serial_gate::model::Settings;
use serial_gate::policy::{Allowance, DEFAULT_POLICY, Runtime};
use serial_gate::queue::Queue;

use super::decide_natively;
use crate::support::random_states::{State, agree, for_random_states_of, settings};

fn for_random_states(
    cases: u32,
    check: impl Fn(&mut Queue, &State, &Settings) -> Result<(), TestCaseError>,
) {
    let rule = Rule::built_in(default_settings());
    for_random_states_of(rule, settings(), cases, |queue, state, settings| {
        queue.set_settings(settings.clone());
        check(queue, state, settings)
    });
}

#[test]
fn decide_lets_through_exactly_the_jobs_that_satisfy_the_clause() {
    for_random_states(3_000, |queue, _, _| agree(queue, Timestamp::UNIX_EPOCH));
}

#[test]
fn there_is_one_decision_for_each_queued_job_in_the_order_of_ids() {
    for_random_states(500, |queue, state, _| {
        let decided: Vec<i64> = queue
            .decide(Timestamp::UNIX_EPOCH, None)
            .unwrap()
            .iter()
            .map(|decision| decision.job)
            .collect();
        let queued = state
            .jobs
            .iter()
            .filter(|job| job.4 == Some("queued"))
            .map(|job| job.0);
        prop_assert_eq!(decided, queued.collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn the_component_decides_as_the_native_rule_does_reasons_included() {
    let policy = Runtime::new()
        .unwrap()
        .load(DEFAULT_POLICY, Allowance::default())
        .unwrap();
    for_random_states(3_000, |queue, _, settings| {
        let all = Footprint::of_every_clause();
        let snapshot = queue.store().snapshot(&all, None).unwrap();
        let native = decide_natively(settings, &snapshot).unwrap();
        prop_assert_eq!(
            policy
                .decide(settings, Timestamp::UNIX_EPOCH, &snapshot)
                .unwrap(),
            native
        );
        Ok(())
    });
}

#[test]
fn rows_that_the_clause_cannot_see_make_no_difference() {
    let policy = Runtime::new()
        .unwrap()
        .load(DEFAULT_POLICY, Allowance::default())
        .unwrap();
    for_random_states(1_000, |queue, _, settings| {
        let all = Footprint::of_every_clause();
        let whole = queue.store().snapshot(&all, None).unwrap();
        let seen = queue.decide(Timestamp::UNIX_EPOCH, None).unwrap();
        prop_assert_eq!(
            policy
                .decide(settings, Timestamp::UNIX_EPOCH, &whole)
                .unwrap(),
            seen
        );
        Ok(())
    });
}

#[test]
fn a_job_is_decided_alone_as_it_is_among_the_others() {
    for_random_states(300, |queue, _, _| {
        for decision in queue.decide(Timestamp::UNIX_EPOCH, None).unwrap() {
            let alone = queue
                .decide(Timestamp::UNIX_EPOCH, Some(decision.job))
                .unwrap();
            let alone: Vec<_> = alone
                .into_iter()
                .filter(|other| other.job == decision.job)
                .collect();
            prop_assert_eq!(alone, vec![decision]);
        }
        Ok(())
    });
}
