//! A check ends within its time, in the stage that it has come to.

use std::time::Duration;

use jiff::Timestamp;
use serial_gate::conform::{Candidate, Runner, check_policy_within, parse_cases};
use serial_gate::gate::default_settings;
use serial_gate::model::Settings;
use serial_gate::policy::{Allowance, Runtime};

use crate::support::components::hole;

/// The last stage of a check of so long.
fn last_stage(rules: &str, time: Duration) -> (&'static str, Result<String, String>) {
    let settings = Settings {
        rules: Some(rules.into()),
        ..default_settings()
    };
    let candidate = Candidate {
        component: hole(),
        signature: None,
        trust: None,
        settings: &settings,
        allowance: Allowance {
            decide_ms: 60_000,
            ..Allowance::default()
        },
        fixtures: &[],
    };
    let stages = check_policy_within(
        candidate,
        &Runtime::new().unwrap(),
        Timestamp::UNIX_EPOCH,
        time,
    )
    .unwrap();
    let last = stages.last().unwrap();
    (last.name, last.found.clone())
}

#[test]
fn the_stage_in_which_the_time_is_over_refuses_and_says_how_far_it_came() {
    let (stage, found) = last_stage("{}", Duration::ZERO);
    let reason = found.unwrap_err();
    assert_eq!(stage, "decisions");
    assert!(reason.contains("over after 0 of 200 states"), "{reason}");
}

#[test]
fn a_policy_that_takes_long_for_each_state_is_refused() {
    let (_, found) = last_stage(r#"{"spin":500000000}"#, Duration::from_millis(500));
    let reason = found.unwrap_err();
    assert!(
        reason.contains("make the policy's answers faster"),
        "{reason}"
    );
}

#[test]
fn a_case_has_a_time_too() {
    let line = r#"{"case":{},"expected":{"claim_order":[]}}"#;
    let cases = parse_cases("case.jsonl".as_ref(), line).unwrap();
    let mut runner = Runner::new(hole(), Allowance::default(), Runtime::new().unwrap()).unwrap();
    assert!(runner.failures(&cases[0]).is_empty());
    runner.set_case_time(Duration::ZERO);
    let failures = runner.failures(&cases[0]);
    assert!(failures[0].contains("longer than its time"), "{failures:?}");
}
