//! What is advised for jobs that other programs moved, and where a job stands in the line.

use serde_json::{Value, json};

use super::{claimed, execute, fail, put_off, two_tasks};
use crate::support::Gate;

fn explained(gate: &Gate, job: &str) -> Value {
    gate.run(&["explain", job, "--json"]).json()
}

fn advice(gate: &Gate, job: &str) -> Value {
    explained(gate, job)["advice"][0].clone()
}

#[test]
fn a_job_of_a_finished_task_is_never_said_to_be_requeued() {
    let over = "UPDATE tasks SET stage = 'done' WHERE id = 1";
    for (change, remedy) in [
        (
            "gate_lease_until = '2001-01-01 00:00:00'",
            "next_claim_cancels",
        ),
        ("gate_lease_until = NULL", "look_at_program"),
        (
            "gate_worker = NULL, gate_lease_until = NULL, gate_token = NULL",
            "look_at_program",
        ),
        ("gate_worker = gate_worker", "wait"),
    ] {
        let gate = two_tasks();
        claimed(&gate);
        execute(
            &gate,
            &format!("UPDATE jobs SET {change} WHERE id = 1; {over}"),
        );
        let advice = advice(&gate, "1");
        assert_eq!(advice["remedy"], remedy, "{change}");
        assert_eq!(advice["command"], Value::Null, "{change}");
        assert!(
            advice["text"]
                .as_str()
                .unwrap()
                .contains("its task is finished"),
            "{change}: {advice}"
        );
        gate.run(&["job", "requeue", "1"]).exits(1);
    }
}

#[test]
fn the_next_claim_cancels_a_job_of_a_finished_task_as_it_is_said_to() {
    let gate = two_tasks();
    claimed(&gate);
    execute(
        &gate,
        "UPDATE jobs SET gate_lease_until = '2001-01-01 00:00:00' WHERE id = 1;
         UPDATE tasks SET stage = 'done' WHERE id = 1",
    );
    let shown = gate.run(&["explain", "1"]).succeeds().stdout;
    assert!(
        shown.contains("the next claim cancels job 1: its task is finished"),
        "{shown}"
    );
    assert!(!shown.contains("put"), "{shown}");
    gate.run(&["claim"]).succeeds();
    assert_eq!(explained(&gate, "1")["job"]["status"], "cancelled");
}

#[test]
fn what_releases_a_job_ends_tasks_in_the_stage_of_the_generation_s_rules() {
    let gate = two_tasks();
    let rules = r#"{"finished_stages":["merged"]}"#;
    gate.run(&["policy", "settings", "--rules", rules])
        .succeeds();
    let explained = gate
        .run(&["--repos", "alpha", "explain", "2"])
        .exits(3)
        .stdout;
    assert!(!explained.contains("no command"), "{explained}");
    assert!(explained.contains("release it with: "), "{explained}");
}

#[test]
fn a_job_whose_lease_is_over_is_counted_before_a_later_one() {
    let gate = Gate::new();
    for repo in ["alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    claimed(&gate);
    assert_eq!(explained(&gate, "2")["ahead"], 0);
    execute(
        &gate,
        "UPDATE jobs SET gate_lease_until = '2001-01-01 00:00:00' WHERE id = 1",
    );
    assert_eq!(explained(&gate, "2")["ahead"], 1);
    let next = gate.run(&["claim", "--json"]).succeeds().json();
    assert_eq!(next["id"], 1);
}

#[test]
fn a_job_that_waits_again_is_begun_work_which_no_command_for_machines_skips() {
    let gate = two_tasks();
    assert_eq!(
        explained(&gate, "2")["release"].as_array().unwrap().len(),
        1
    );
    fail(&gate, "boom");
    gate.run(&["job", "requeue", "1"]).succeeds();
    assert_eq!(explained(&gate, "2")["release"], json!([]));
}

#[test]
fn a_misspelt_stage_is_told_besides_what_its_job_needs_unless_it_is_worked_on() {
    let gate = two_tasks();
    fail(&gate, "boom");
    execute(&gate, "UPDATE tasks SET stage = 'Done' WHERE id = 1");
    let advice = explained(&gate, "2")["advice"].clone();
    assert_eq!(
        [&advice[0]["remedy"], &advice[1]["remedy"]],
        ["try_again", "fix_stage"]
    );
    execute(&gate, "UPDATE jobs SET status = 'queued' WHERE id = 1");
    claimed(&gate);
    let running = explained(&gate, "2")["advice"].to_string();
    assert!(!running.contains("fix_stage"), "{running}");
}

#[test]
fn a_stage_that_means_an_end_without_the_work_is_answered_with_cancel() {
    for (stage, verb) in [
        ("cancelled", "cancel"),
        ("Aborted", "cancel"),
        ("failed", "cancel"),
        ("wont-fix", "cancel"),
        ("Done", "done"),
        ("merged", "done"),
    ] {
        let gate = two_tasks();
        let note = gate
            .run(&["task", "stage", "1", stage, "--json"])
            .succeeds();
        let note = note.json()["note"].to_string();
        assert!(note.contains(&format!("`task {verb}`")), "{stage}: {note}");
        let text = explained(&gate, "2")["advice"].to_string();
        assert!(text.contains(&format!("task {verb} 1")), "{stage}: {text}");
    }
}

#[test]
fn a_branch_whose_delay_is_over_is_tried_again_by_the_next_claim() {
    let gate = two_tasks();
    put_off(&gate);
    execute(
        &gate,
        "UPDATE jobs SET gate_lease_until = '2001-01-01 00:00:00' WHERE id = 1",
    );
    for job in ["1", "2"] {
        let shown = gate.run(&["explain", job]).stdout;
        assert!(shown.contains("was put off until"), "{shown}");
        assert!(shown.contains("the next claim tries it again"), "{shown}");
    }
}

#[test]
fn a_lease_that_another_program_wrote_is_not_shown_as_a_time() {
    for lease in ["2999-01-01T00:00:00Z", "", "soon"] {
        let gate = two_tasks();
        claimed(&gate);
        execute(
            &gate,
            &format!("UPDATE jobs SET gate_lease_until = '{lease}' WHERE id = 1"),
        );
        let shown = gate.run(&["explain", "2"]).exits(3).stdout;
        assert!(
            !shown.contains("Z UTC") && !shown.contains("soon UTC"),
            "{shown}"
        );
        assert!(
            shown.contains(&format!(
                "`{lease}`, which is not a time that the gate wrote"
            )),
            "{shown}"
        );
    }
}

#[test]
fn a_claim_whose_lease_was_taken_away_is_still_a_claim_of_the_gate_s() {
    let gate = two_tasks();
    claimed(&gate);
    execute(
        &gate,
        "UPDATE jobs SET gate_lease_until = NULL WHERE id = 1",
    );
    let shown = gate.run(&["queue"]).succeeds().stdout;
    assert!(
        shown.contains("was claimed on `w-1` and no longer has a lease"),
        "{shown}"
    );
    assert!(!shown.contains("not claimed through"), "{shown}");
}
