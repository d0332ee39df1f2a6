//! What is shown of a policy that contradicts itself, and what a look counts.

use jiff::Timestamp;
use serde_json::json;
use serial_gate::policy::Allowance;

use super::{OPEN, contradictions, counted, gate, gate_with, one, put};
use crate::support::engine::Does;
use crate::support::service::Service;

#[test]
fn the_queue_says_of_each_job_what_both_say() {
    let gate = gate_with(OPEN);
    let shown = gate.run(&["queue"]).succeeds().stdout;
    assert!(
        shown.contains(
            "note: the policy contradicts itself about 5 jobs, such as job 1: `decide` holds it, \
             and the clause, which claims use, lets it through; it failed too often, and \
             generation 1 is active again\n"
        ),
        "{shown}"
    );
    assert_eq!(
        shown.matches("but the clause lets it through").count(),
        5,
        "{shown}"
    );
}

#[test]
fn the_queue_as_json_has_a_key_for_it_and_none_where_there_is_nothing() {
    let gate = gate();
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(state.get("contradictions"), None);
    put(&gate, r#"{"hole":"jobs.id = 2"}"#, Allowance::default());
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(contradictions(&state), &json!([one(2)]));
}

#[test]
fn explain_does_not_say_held_of_a_job_that_the_next_claim_gets() {
    let gate = gate_with(r#"{"hole":"jobs.id = 2"}"#);
    let explained = gate.run(&["explain", "2"]).exits(1).stdout;
    assert!(
        explained.starts_with(
            "job 2 for `analyst` in `prod`: `decide` holds it, and the clause, which claims use, lets it through\n  \
             the policy contradicts itself: serial-gate policy rollback --reason TEXT\n"
        ),
        "{explained}"
    );
    let explained = gate.run(&["explain", "2", "--json"]).exits(1).json();
    assert_eq!(explained["contradiction"], one(2));
    gate.run(&["explain", "3"]).exits(3);
    gate.run(&["claim", "--worker", "w-1"]).succeeds();
}

#[test]
fn explain_says_of_a_job_that_the_clause_holds_that_no_claim_gets_it() {
    let gate = gate_with(r#"{"claim_all":true}"#);
    let explained = gate.run(&["explain", "2"]).exits(1).stdout;
    assert!(
        explained.contains("`decide` lets it through, and the clause, which claims use, holds it"),
        "{explained}"
    );
    gate.run(&["claim", "--worker", "w-1"]).exits(3);
}

#[test]
fn each_look_is_a_failure_and_the_third_rolls_back() {
    let gate = gate_with(r#"{"hole":"jobs.id = 2"}"#);
    gate.run(&["queue"]).succeeds();
    gate.run(&["explain", "2"]).exits(1);
    assert_eq!(counted(&gate), (2, 2, 1), "one alert is enough for an hour");
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(counted(&gate), (1, 3, 1));
    assert_eq!(contradictions(&state), &json!([one(2)]));
    gate.run(&["explain", "2"]).exits(3);
}

#[test]
fn a_generation_that_may_fail_for_ever_is_counted_and_stays() {
    let gate = gate();
    let allowance = Allowance {
        failures: 0,
        ..Allowance::default()
    };
    put(&gate, OPEN, allowance);
    for _ in 0..4 {
        gate.run(&["queue"]).succeeds();
    }
    assert_eq!(counted(&gate), (2, 20, 1));
    assert_eq!(gate.store().failures(2).unwrap(), 0);
}

#[test]
fn under_settings_of_its_own_a_process_shows_it_and_counts_nothing() {
    let gate = gate_with(OPEN);
    let state = gate
        .run(&["queue", "--json", "--repos", "prod"])
        .succeeds()
        .json();
    assert_eq!(contradictions(&state)[0], one(1));
    gate.run(&["explain", "2", "--repos", "prod"]).exits(1);
    assert_eq!(counted(&gate), (2, 0, 0));
}

#[test]
fn a_look_fails_neither_where_nothing_can_be_written_nor_where_it_would_have_to_wait() {
    let gate = gate_with(OPEN).with_environment(vec![("SERIAL_GATE_LOG", "warn".into())]);
    let other = gate.program();
    other.begin_alone();
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(contradictions(&state)[0], one(1));
    other.run("ROLLBACK");
    other.trigger(
        "no_room",
        "BEFORE INSERT ON serial_gate_contradiction",
        None,
        &Does::Refuse("full"),
    );
    let ran = gate.run(&["queue", "--json"]).succeeds();
    assert_eq!(contradictions(&ran.json())[0], one(1));
    assert!(ran.stderr.contains("is not counted"), "{}", ran.stderr);
    assert_eq!(counted(&gate), (2, 0, 0));
}

#[test]
fn while_the_gate_is_off_nothing_is_compared() {
    let gate = gate_with(OPEN);
    gate.run(&["policy", "settings", "--enabled", "false", "--reason", "r"]);
    let state = gate
        .run(&["queue", "--json", "--enabled", "false"])
        .succeeds()
        .json();
    assert_eq!(state.get("contradictions"), None);
}

#[test]
fn a_list_of_decisions_that_is_not_one_for_each_queued_job_is_a_contradiction() {
    let first = |decisions: &str| {
        let gate = gate_with(&json!({ "decisions": decisions }).to_string());
        gate.program()
            .run("UPDATE jobs SET status = 'running' WHERE id = 1");
        let agreement = gate.queue().agreement(Timestamp::now()).unwrap();
        agreement.found.jobs.first().map(ToString::to_string)
    };
    let found = [
        "none",
        "missing",
        "not-there",
        "not-queued",
        "twice",
        "reversed",
    ]
    .map(first);
    let found: Vec<_> = found.iter().map(|found| found.as_deref()).collect();
    assert_eq!(
        found,
        [
            Some("job 2: `decide` says nothing of it, and the clause, which claims use, holds it"),
            Some("job 5: `decide` says nothing of it, and the clause, which claims use, holds it"),
            Some("job 9223372036854775807: `decide` says something of it, and it is not queued"),
            Some("job 1: `decide` says something of it, and it is not queued"),
            Some(
                "job 2: `decide` has several answers for it, and the clause, which claims use, holds it"
            ),
            None,
        ]
    );
}

#[test]
fn doctor_finds_it_and_remembers_what_was_found_in_use() {
    let gate = gate_with(r#"{"hole":"jobs.id = 2"}"#);
    let told = gate.run(&["doctor"]).exits(1).stdout;
    assert!(
        told.contains("contradiction: job 2: `decide` holds it, and the clause, which claims use, lets it through"),
        "{told}"
    );
    gate.program()
        .run("UPDATE jobs SET status = 'done' WHERE id = 2");
    let told = gate.run(&["doctor", "--json"]).exits(1).json();
    assert_eq!(told["agreement"]["contradictions"], json!([]));
    assert_eq!(told["agreement"]["ever"]["times"], 1);
}

#[test]
fn the_service_shows_it_in_its_answers_on_its_page_and_among_its_figures() {
    let service = Service::on(gate_with(r#"{"hole":"jobs.id = 2"}"#));
    let state = service.get("/queue").is(200).json();
    assert_eq!(contradictions(&state["serial_gate"]), &json!([one(2)]));
    let explained = service.get("/v1/jobs/2/explain").is(200).json();
    assert_eq!(explained["contradiction"], one(2));
    let page = service.get("/tasks/2").is(200).text;
    assert!(page.contains("But the clause lets it through"), "{page}");
    for page in ["/", "/policy"] {
        let page = service.get(page).is(200).text;
        assert!(page.contains("The policy contradicts itself"), "{page}");
    }
    let figures = service.get("/metrics").is(200).text;
    assert!(
        figures.contains("serial_gate_policy_contradictions_total 1"),
        "{figures}"
    );
}
