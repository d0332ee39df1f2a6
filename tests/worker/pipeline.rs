//! `work` in a pipeline: a command that is done moves its task on, sends it back, or is tried again.

use crate::support::Gate;
use crate::support::look::value;

fn gate(options: &[&str]) -> Gate {
    let gate = Gate::new();
    let set = [
        &["pipeline", "set", "analysis=analyst", "review=reviewer"],
        options,
    ];
    gate.run(&set.concat()).succeeds();
    gate.run(&["task", "add", "alpha", "--work-item", "A-1"])
        .succeeds();
    gate
}

/// Runs one job of an agent: what the worker logs.
#[track_caller]
fn work(gate: &Gate, agent: &str, options: &[&str], shell: &str) -> String {
    let work = ["work", "--agent", agent, "--max", "1"];
    let command = ["--", "sh", "-c", shell];
    let ran = gate.run(&[&work[..], options, &command].concat());
    ran.succeeds().stderr
}

fn stage(gate: &Gate) -> String {
    value(gate, "SELECT stage FROM tasks WHERE id = 1").unwrap()
}

fn job(gate: &Gate, id: i64) -> String {
    let sql =
        format!("SELECT status || ' ' || coalesce(gate_error, '-') FROM jobs WHERE id = {id}");
    value(gate, &sql).unwrap()
}

#[test]
fn a_command_that_is_done_moves_its_task_on() {
    let gate = gate(&[]);
    let said = work(&gate, "analyst", &[], "true");
    assert!(
        said.contains("job 1: done; task 1 (A-1) is in review: job 2 for `reviewer` is queued"),
        "{said}"
    );
    let said = work(&gate, "reviewer", &[], "true");
    assert!(
        said.contains("job 2: done; task 1 (A-1) waits to be merged"),
        "{said}"
    );
    assert_eq!(stage(&gate), "merge");
}

#[test]
fn a_command_sends_its_task_back_with_exit_code_10() {
    let gate = gate(&[]);
    work(&gate, "analyst", &[], "true");
    let said = work(&gate, "reviewer", &[], "exit 10");
    assert!(
        said.contains("job 2: done; task 1 (A-1) is in analysis: job 3 for `analyst` is queued"),
        "{said}"
    );
    assert_eq!(job(&gate, 2), "done -");
}

#[test]
fn an_attempt_is_named_once_and_the_end_of_a_job_in_one_word() {
    let gate = gate(&["--attempts", "2"]);
    for _ in 0..2 {
        work(&gate, "analyst", &["--retry-after", "1ms"], "exit 1");
    }
    let said = gate.run(&["job", "show", "1"]).succeeds().stdout;
    let first = said.lines().next().unwrap();
    assert!(
        first.starts_with("job 1 for `analyst`: failed on "),
        "{said}"
    );
    assert!(
        first.ends_with(": attempt 2 of 2: the command exited with 1"),
        "{said}"
    );
    gate.run(&["task", "add", "beta"]).succeeds();
    gate.run(&["task", "cancel", "2"]).succeeds();
    let said = gate.run(&["job", "show", "2"]).succeeds().stdout;
    assert!(
        said.starts_with("job 2 for `analyst`: cancelled\n"),
        "{said}"
    );
    let listed = gate
        .run(&["job", "list", "--repo", "beta"])
        .succeeds()
        .stdout;
    assert!(listed.contains("  cancelled  "), "{listed}");
    let listed = ["job", "list", "--status", "finished", "--json"];
    let listed = gate.run(&listed).succeeds().json();
    assert_eq!(listed["jobs"][0]["state"], "finished");
}

#[test]
fn a_command_is_told_which_job_has_sent_its_task_back() {
    for sends_back in ["exit 10", "STAGE analysis"] {
        let gate = gate(&["--attempts", "2"]);
        let binary = gate.in_shell();
        let stage = format!("{binary} job finish $SERIAL_GATE_JOB --stage");
        let tells = "echo \"by=${SERIAL_GATE_SENT_BACK_BY-nobody}\"; tail -c 40";
        let work = |agent: &str, shell: &str| {
            let shell = shell.replace("STAGE", &stage);
            let command = [
                "work",
                "--agent",
                agent,
                "--max",
                "1",
                "--retry-after",
                "1ms",
            ];
            let command = [&command[..], &["--", "sh", "-c", &shell]].concat();
            gate.run(&command).succeeds().stdout
        };
        let said = work("analyst", tells);
        assert!(said.contains("by=nobody"), "{said}");
        assert!(said.contains("\"sent_back_by\":null}"), "{said}");
        let said = work("reviewer", &format!("{tells}; {sends_back}"));
        assert!(said.contains("by=nobody"), "{said}");
        // A further attempt is told it too.
        for ends in ["exit 1", "true"] {
            let said = work("analyst", &format!("{tells}; {ends}"));
            assert!(said.contains("by=2"), "{said}");
            assert!(said.contains("\"sent_back_by\":2}"), "{said}");
        }
        let said = work("reviewer", tells);
        assert!(said.contains("by=nobody"), "{said}");
    }
}

#[test]
fn exit_code_10_is_a_failure_where_there_is_no_stage_before() {
    let failed =
        "failed exit code 10 sends a task back, but no pipeline has a stage before this one";
    let first = gate(&["--attempts", "3"]);
    work(&first, "analyst", &[], "exit 10");
    assert_eq!(job(&first, 1), failed);
    let without = Gate::new();
    without.run(&["task", "add", "alpha"]).succeeds();
    work(&without, "analyst", &[], "exit 10");
    assert_eq!(job(&without, 1), failed);
}

#[test]
fn a_command_that_has_ended_its_own_job_is_taken_at_its_word() {
    for code in ["0", "10"] {
        let gate = gate(&[]);
        work(&gate, "analyst", &[], "true");
        let binary = gate.in_shell();
        let shell = format!(
            "{binary} job finish $SERIAL_GATE_JOB --stage analysis >/dev/null; exit {code}"
        );
        let said = work(&gate, "reviewer", &[], &shell);
        assert!(!said.contains("WARN"), "{said}");
        assert!(
            said.contains("job 2: done; task 1 (A-1) is in analysis"),
            "{said}"
        );
        assert_eq!(stage(&gate), "analysis");
        assert_eq!(job(&gate, 3), "queued -");
    }
}

#[test]
fn a_command_that_has_ended_its_own_job_and_fails_then_changes_nothing() {
    let gate = gate(&[]);
    let binary = gate.in_shell();
    let shell = format!("{binary} job finish $SERIAL_GATE_JOB >/dev/null; exit 1");
    let said = work(&gate, "analyst", &[], &shell);
    assert!(
        said.contains(
            "job 1 has ended already, as `done`, and the end of its command changes nothing"
        ),
        "{said}"
    );
    assert_eq!(job(&gate, 1), "done -");
    assert_eq!(stage(&gate), "review");
}

#[test]
fn a_late_reviewer_sends_nothing_back() {
    let gate = gate(&["--then", "done"]);
    work(&gate, "analyst", &[], "true");
    let binary = gate.in_shell();
    let shell = format!("{binary} task stage 1 analysis >/dev/null; exit 10");
    let said = work(&gate, "reviewer", &[], &shell);
    assert!(
        said.contains("job 2: done; its task is in the stage of another agent by now"),
        "{said}"
    );
    assert_eq!(stage(&gate), "analysis");
    let shell = format!("{binary} task done 1 --token $SERIAL_GATE_TOKEN >/dev/null; exit 10");
    gate.run(&["job", "add", "1", "analyst"]).succeeds();
    let said = work(&gate, "analyst", &[], &shell);
    assert!(said.contains("job 3: done; its task is over"), "{said}");
}

#[test]
fn a_command_that_fails_is_tried_again() {
    let gate = gate(&[]);
    let again = ["--attempts", "2", "--retry-after", "10ms"];
    let said = work(&gate, "analyst", &again, "exit 1");
    assert!(said.contains("WARN job 1 is tried again after"), "{said}");
    assert!(
        said.contains("attempt 1 of 2 failed: the command exited with 1"),
        "{said}"
    );
    work(&gate, "analyst", &again, "exit 1");
    assert_eq!(
        job(&gate, 1),
        "failed attempt 2 of 2: the command exited with 1"
    );
}
