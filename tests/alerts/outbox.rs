//! What becomes an alert, and what does not.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serial_gate::alerts::text;
use serial_gate::store::{
    Actor, AlertKind, DeployVerdict, GenerationState, NewDeploy, NewGeneration, Seen, Store,
    from_sql_time,
};

use super::{HOUR, deliveries, freeze, frozen};
use crate::support::engine::Does;
use crate::support::look::count;
use crate::support::{Gate, token};

/// From now on another program's trigger does this with each new row of a table.
fn refuse(gate: &Gate, table: &str, does: &Does<'_>) {
    let event = format!("BEFORE INSERT ON {table}");
    gate.program().trigger("refuse", &event, None, does);
}

fn kinds(store: &mut Store) -> Vec<AlertKind> {
    let alerts = store.alerts(Timestamp::now(), 100).unwrap();
    alerts.into_iter().rev().map(|row| row.alert.kind).collect()
}

#[test]
fn a_freeze_and_an_unfreeze_are_told() {
    let gate = frozen();
    gate.run(&["unfreeze", "alpha"]).succeeds();
    assert_eq!(
        kinds(&mut gate.store()),
        [AlertKind::Freeze, AlertKind::Unfreeze]
    );
}

#[test]
fn an_unfreeze_that_changes_nothing_is_neither_told_nor_in_the_audit() {
    let gate = Gate::new();
    gate.run(&["unfreeze", "alpha"]).succeeds();
    assert_eq!(kinds(&mut gate.store()), []);
    assert_eq!(count(&gate, "serial_gate_audit"), 0);
}

#[test]
fn a_freeze_that_is_not_written_leaves_no_trace_and_is_an_error() {
    for does in [Does::Refuse("no"), Does::Ignore] {
        let gate = Gate::new();
        refuse(&gate, "repo_freeze", &does);
        gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
            .exits(1);
        gate.run(&["deploy-verdict", "alpha", "--verdict", "degraded"])
            .exits(1);
        for table in [
            "serial_gate_alert",
            "serial_gate_audit",
            "serial_gate_deploy",
            "repo_freeze",
        ] {
            assert_eq!(count(&gate, table), 0, "{table}");
        }
    }
}

#[test]
fn a_freeze_whose_alert_cannot_be_written_is_not_made() {
    let gate = Gate::new();
    refuse(&gate, "serial_gate_alert", &Does::Refuse("no"));
    gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
        .exits(1);
    assert_eq!(count(&gate, "repo_freeze"), 0);
}

#[test]
fn a_job_that_failed_is_told_and_one_that_is_done_is_not() {
    let gate = Gate::new();
    for repo in ["alpha", "beta"] {
        gate.run(&["task", "add", repo, "--work-item", "A-1"])
            .succeeds();
        if repo == "alpha" {
            gate.do_a_job();
        }
    }
    let claimed = gate
        .run(&["claim", "--worker", "w-1", "--json"])
        .succeeds()
        .json();
    gate.run(&[
        "job",
        "fail",
        "2",
        "--token",
        &token(&claimed),
        "--error",
        "tests are red",
    ])
    .succeeds();
    let shown = gate.run(&["alerts", "--json"]).succeeds().json();
    assert_eq!(
        shown["text"],
        "job 2 in `beta` failed (A-1, by w-1): tests are red"
    );
}

#[test]
fn a_policy_that_is_rolled_back_for_its_failures_is_told() {
    let gate = Gate::new();
    let mut store = gate.store();
    let first = store.generation(1).unwrap();
    let component = store.component(&first.digest).unwrap().unwrap();
    let actor = Actor {
        now: Timestamp::now(),
        who: "serial-gate",
        why: "it trapped",
    };
    let new = NewGeneration {
        component: &component,
        signature: None,
        digest: &first.digest,
        name: "other",
        version: "1",
        settings: &first.settings,
        limits: &first.limits,
    };
    let other = store.add_candidate(new, actor).unwrap();
    let seen = Seen {
        generation: &other,
        active: Some(&first),
    };
    store.put(GenerationState::Active, seen, actor).unwrap();
    let since = Timestamp::UNIX_EPOCH;
    assert_eq!(store.failed_in_use(&other, 2, since, actor).unwrap(), None);
    assert_eq!(kinds(&mut store), [], "one failure is no reason yet");
    assert_eq!(
        store.failed_in_use(&other, 2, since, actor).unwrap(),
        Some(1)
    );
    let alert = store.alerts(Timestamp::now(), 1).unwrap().remove(0).alert;
    assert_eq!(
        text(&alert),
        "the policy was rolled back: generation 1 is active again (by serial-gate): \
         generation 2 failed 2 times in use: it trapped"
    );
}

#[test]
fn the_queue_of_an_older_version_is_brought_up_to_date_by_init() {
    let gate = Gate::new();
    for table in ["alert", "audit", "channel", "delivery", "deploy"] {
        gate.program()
            .run(format!("DROP TABLE serial_gate_{table}"));
    }
    let refused = gate
        .run(&["freeze", "alpha", "--new", "--reason", "r"])
        .exits(1)
        .stderr;
    assert!(refused.contains("is not prepared"), "{refused}");
    gate.run(&["init"]).succeeds();
    gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
        .succeeds();
    gate.run(&["doctor"]).succeeds();
    assert_eq!(kinds(&mut gate.store()), [AlertKind::Freeze]);
}

/// An orchestrator may use an id again after a delete.
#[test]
fn a_waiting_job_that_has_the_id_of_another_is_told_too() {
    let gate = Gate::new();
    let add = |created_at: &str| {
        gate.program().run(format!(
            "DELETE FROM jobs;
             INSERT INTO jobs (id, repo, agent, created_at)
             VALUES (1, 'alpha', 'analyst', '{created_at}')"
        ));
    };
    let mut queue = gate.queue();
    let mut told_at = |at: &str| {
        let now = from_sql_time(at).unwrap();
        queue.look_at_heads(now, Some(HOUR)).unwrap()
    };
    add("2001-01-01 00:00:00");
    assert_eq!(told_at("2001-01-01 02:00:00"), 1);
    add("2001-01-01 03:00:00");
    assert_eq!(told_at("2001-01-01 03:30:00"), 0, "it is young");
    assert_eq!(told_at("2001-01-01 04:00:00"), 1);
    assert_eq!(told_at("2001-01-01 05:00:00"), 0);
}

#[test]
fn the_first_of_a_waiting_line_that_is_old_is_told_once() {
    let gate = Gate::new();
    for repo in ["alpha", "alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate.program()
        .run("UPDATE jobs SET created_at = '2001-01-01 00:00:00' WHERE repo = 'alpha'");
    let mut queue = gate.queue();
    let mut told = || queue.look_at_heads(Timestamp::now(), Some(HOUR)).unwrap();
    assert_eq!((told(), told()), (1, 0));
    let alert = gate
        .store()
        .alerts(Timestamp::now(), 1)
        .unwrap()
        .remove(0)
        .alert;
    assert_eq!((alert.kind, alert.subject), (AlertKind::Waiting, Some(1)));
    gate.run(&["claim"]).succeeds();
    assert_eq!(told(), 1, "the next one is first now");
}

#[test]
fn only_the_newest_alerts_are_kept() {
    let gate = frozen();
    gate.program().run(
        "INSERT INTO serial_gate_delivery (alert, channel, state, attempts, due_at)
                VALUES (1, 'webhook', 'sent', 1, '');
             INSERT INTO serial_gate_alert (id, key, at, kind, who, why)
                VALUES (10000, 'k', '', 'freeze', '', '');",
    );
    freeze(&gate);
    assert_eq!(count(&gate, "serial_gate_alert"), 2);
    assert!(deliveries(&gate, "webhook").is_empty());
}

/// What an operator or a monitor does, and whether the database takes freezes then.
#[derive(Debug, Clone)]
enum Step {
    Freeze,
    Unfreeze,
    Verdict { degraded: bool, deploy: Option<u8> },
    Refuse(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Freeze),
        Just(Step::Unfreeze),
        (any::<bool>(), proptest::option::of(0..3_u8))
            .prop_map(|(degraded, deploy)| Step::Verdict { degraded, deploy }),
        any::<bool>().prop_map(Step::Refuse),
    ]
}

fn told_as_committed(steps: &[Step]) -> TestCaseResult {
    let gate = Gate::new();
    let mut store = gate.store();
    let actor = Actor {
        now: Timestamp::now(),
        who: "w",
        why: "r",
    };
    let mut is_refused = false;
    for step in steps {
        // A refused freeze does not matter here, as long as no alert reports it.
        match step {
            Step::Freeze => drop(store.freeze(actor, "alpha", None, None, None)),
            Step::Unfreeze => drop(store.unfreeze(actor, "alpha", None)),
            Step::Verdict { degraded, deploy } => {
                let name = deploy.map(|deploy| deploy.to_string());
                let verdict = if *degraded {
                    DeployVerdict::Degraded
                } else {
                    DeployVerdict::Healthy
                };
                let new = NewDeploy {
                    repo: "alpha",
                    verdict,
                    deploy: name.as_deref(),
                    work_item: None,
                };
                drop(store.record_deploy(actor, new, None));
            }
            Step::Refuse(refuses) => {
                if *refuses && !is_refused {
                    refuse(&gate, "repo_freeze", &Does::Refuse("no"));
                }
                if !*refuses && is_refused {
                    gate.program().drop_trigger("refuse");
                }
                is_refused = *refuses;
            }
        }
    }
    let ids = |sql: &str| -> Vec<i64> { gate.program().all(sql) };
    let freezes = ids("SELECT gate_number FROM repo_freeze ORDER BY id");
    let told = ids("SELECT subject FROM serial_gate_alert WHERE kind = 'freeze' ORDER BY id");
    prop_assert_eq!(freezes, told);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_alerts_are_the_freezes_that_were_committed(steps in proptest::collection::vec(step(), 1..20)) {
        told_as_committed(&steps)?;
    }
}
