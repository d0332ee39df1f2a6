//! Pipelines and ends that are refused, and what is noted.

use super::{claim, do_job, finish, gate, jobs, stage};
use crate::support::Gate;
use crate::support::engine::Does;
use crate::support::look::count;

#[test]
fn a_pipeline_through_which_no_task_could_go_is_refused_by_name() {
    let gate = Gate::new();
    let mut said = String::new();
    for stages in [
        &["work=a", "work=b"][..],
        &["work=a", "done=b"],
        &["work=a", "merge=b"],
        &["analysis=analyst,", "work=developer"],
        &["analysis=analyst,work=developer"],
        &["analysis=analyst > work=developer"],
        &["first step=analyst"],
    ] {
        let arguments = [&["pipeline", "set"], stages].concat();
        said += &gate.run(&arguments).exits(1).stderr;
    }
    insta::assert_snapshot!(said, @"
    error: `work` cannot be a stage of this pipeline: it is named twice, so nothing was changed
    error: `done` cannot be a stage of this pipeline: it is a finished stage by the rules, so nothing was changed
    error: `merge` cannot be a stage of this pipeline: it comes after the last one, and tasks wait there for their merge, so nothing was changed
    error: `analyst,` cannot be an agent of a pipeline, so nothing was changed: write its name without spaces, commas and `=`, and separate stages by spaces
    error: `analyst,work=developer` cannot be an agent of a pipeline, so nothing was changed: write its name without spaces, commas and `=`, and separate stages by spaces
    error: `analyst > work=developer` cannot be an agent of a pipeline, so nothing was changed: write its name without spaces, commas and `=`, and separate stages by spaces
    error: `first step` cannot be a stage of this pipeline: it has a space or a comma: separate stages by spaces, so nothing was changed
    ");
    for wrong in [
        &["work"][..],
        &["=a"],
        &["work="],
        &[],
        &["work=a", "--attempts", "0"],
        &["work=a", "--attempts", "101"],
    ] {
        gate.run(&[&["pipeline", "set"], wrong].concat()).exits(2);
    }
    assert_eq!(count(&gate, "serial_gate_pipeline"), 0);
    assert_eq!(count(&gate, "serial_gate_audit"), 0);
    let last = [
        "pipeline",
        "set",
        "work=analyst",
        "merge=b",
        "--then",
        "done",
    ];
    gate.run(&last).succeeds();
}

#[test]
fn a_first_agent_that_the_gate_does_not_hold_is_noted() {
    let gate = Gate::new();
    let set = ["pipeline", "set", "work=developer", "review=developer"];
    insta::assert_snapshot!(gate.run(&set).succeeds().stdout, @r"
    pipeline: work=developer review=developer, then merge
    note: the gate does not hold jobs of `developer`, the first agent of the pipeline: no task waits for an earlier one
    ");
    let said = gate.run(&["doctor"]).succeeds().stdout;
    assert!(said.contains("pipeline: work=developer"), "{said}");
    assert!(said.contains("does not hold jobs of `developer`"), "{said}");
}

#[test]
fn what_a_pipeline_leaves_behind_is_noted() {
    let gate = gate(&[]);
    gate.run(&[
        "task",
        "add",
        "beta",
        "--stage",
        "review",
        "--work-item",
        "B-1",
    ])
    .succeeds();
    let set = ["pipeline", "set", "analysis=analyst", "Done=reviewer"];
    insta::assert_snapshot!(gate.run(&set).succeeds().stdout);
}

#[test]
fn a_stage_that_the_pipeline_does_not_have_is_noted_wherever_a_task_goes_there() {
    let gate = gate(&[]);
    let mut said = do_job(&gate, "analyst", &["--stage", "developmnt"]);
    for arguments in [
        &["task", "stage", "A-1", "revew"][..],
        &["task", "stage", "A-1", "review"],
        &["task", "done", "A-1"],
        &["job", "add", "A-1", "reviewer"],
        &["task", "stage", "A-1", "analysis"],
        &["task", "add", "alpha", "--stage", "analysys"],
        &["task", "stage", "A-1", "merge"],
    ] {
        said += &gate.run(arguments).succeeds().stdout;
    }
    insta::assert_snapshot!(said);
    let agent = gate.run(&["job", "add", "A-1", "developper"]);
    let agent = agent.succeeds().stdout;
    assert!(agent.contains("did you mean `developer`?"), "{agent}");
    let long = "x".repeat(201);
    let refused = gate.run(&["task", "stage", "A-1", &long]).exits(1);
    insta::assert_snapshot!(refused.stderr, @"error: the stage has more than 200 characters: give it a shorter one");
}

#[test]
fn init_says_which_pipeline_there_is() {
    let gate = Gate::empty();
    let said = gate.run(&["init"]).succeeds().stdout;
    insta::assert_snapshot!(said, @r"
    created `serial-gate.db`: a new, empty queue
    no pipeline: a finished job moves no task on, until `serial-gate pipeline set` says how
    ");
    gate.run(&["pipeline", "set", "work=analyst"]).succeeds();
    let said = gate.run(&["init"]).succeeds().stdout;
    assert!(
        said.contains("pipeline: work=analyst, then merge"),
        "{said}"
    );
    let shown = gate.run(&["pipeline", "show"]).succeeds().stdout;
    assert_eq!(shown, "pipeline: work=analyst, then merge\n");
}

#[test]
fn a_job_without_a_task_goes_to_no_stage() {
    let gate = gate(&[]);
    let job = claim(&gate, "analyst");
    gate.program().run("UPDATE jobs SET task_id = NULL");
    let ran = finish(&gate, &job, &["--stage", "review"]).exits(1);
    assert_eq!(
        ran.stderr,
        "error: job 1 has no task that could go to a stage\n"
    );
    finish(&gate, &job, &[]).succeeds();
}

#[test]
fn an_end_whose_move_does_not_stay_is_not_made() {
    for (event, when) in [
        ("BEFORE UPDATE OF stage ON tasks", None),
        ("BEFORE INSERT ON jobs", None),
        (
            "BEFORE INSERT ON serial_gate_audit",
            Some("NEW.action = 'task stage'"),
        ),
    ] {
        let gate = gate(&[]);
        let job = claim(&gate, "analyst");
        let program = gate.program();
        program.trigger("other", event, when, &Does::Ignore);
        let ran = finish(&gate, &job, &[]).exits(1);
        assert!(
            ran.stderr.contains("did not stay"),
            "{event}: {}",
            ran.stderr
        );
        assert_eq!(
            (stage(&gate).as_str(), jobs(&gate).as_str()),
            ("analysis", "analyst running")
        );
        program.drop_trigger("other");
        finish(&gate, &job, &[]).succeeds();
        assert_eq!(jobs(&gate), "analyst done, developer queued");
    }
}
