//! Where a task's branch is cut, and when.

use serde_json::Value;

use crate::support::look::{lines, status, until, value};
use crate::support::worker::Project;

#[test]
fn a_branch_is_cut_when_its_turn_comes_and_has_its_predecessor_s_code() {
    let project = Project::new();
    let gate = &project.gate;
    for work_item in ["ORCH-1", "ORCH-2"] {
        gate.run(&["task", "add", "alpha", "--work-item", work_item])
            .succeeds();
    }
    assert_eq!(project.tip("task/ORCH-1"), None);
    let base = project.tip("main").unwrap();
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert_eq!(project.tip("task/ORCH-1").unwrap(), base);
    assert_eq!(project.tip("task/ORCH-2"), None);

    let merged = project.commit("what the first task did");
    gate.run(&["task", "done", "1"]).succeeds();
    project
        .work(&["--max", "1"], &["sh", "-c", "cat > input"])
        .succeeds();
    assert_eq!(project.tip("task/ORCH-2").unwrap(), merged);
    let input: Value = serde_json::from_str(&lines(&gate.path("input")).concat()).unwrap();
    assert_eq!(input["branch"]["name"], "task/ORCH-2");
    assert_eq!(input["branch"]["base_commit"], *merged);
}

#[test]
fn where_the_gate_does_not_act_a_branch_is_cut_with_the_task() {
    let project = Project::with("repos = \"other\"");
    let gate = &project.gate;
    let ran = gate
        .run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    let base = project.tip("main").unwrap();
    let told = ran.stdout.replace(&base[..10], "COMMIT");
    insta::assert_snapshot!(told, @"
    task 1 (ORCH-1) added to `alpha` with job 1 for `analyst`
      its branch is `task/ORCH-1`, cut from `main` at COMMIT
    ");
    assert_eq!(project.tip("task/ORCH-1").unwrap(), base);
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert_eq!(
        value(gate, "SELECT status || gate_attempt FROM jobs").unwrap(),
        "done1"
    );
}

#[test]
fn a_branch_that_cannot_be_cut_with_its_task_is_cut_when_its_job_is_claimed() {
    let project = Project::with("enabled = false");
    let gate = &project.gate;
    std::fs::rename(gate.path("remote.git"), gate.path("away.git")).unwrap();
    let ran = gate
        .run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    assert!(
        ran.stdout.contains("tried again when the job is claimed"),
        "{}",
        ran.stdout
    );
    std::fs::rename(gate.path("away.git"), gate.path("remote.git")).unwrap();
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert!(project.tip("task/ORCH-1").is_some());
}

#[test]
fn a_base_that_moves_after_the_cut_is_shown() {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    // A repo is shown while something waits in it.
    gate.run(&["task", "add", "alpha"]).succeeds();
    let base = project.tip("main").unwrap();
    project.work(&["--max", "1"], &["true"]).succeeds();
    let short = |text: String, moved: &str| {
        text.replace(&base[..10], "BASE")
            .replace(&moved[..10], "MOVED")
    };
    let shown = gate.run(&["queue"]).succeeds().stdout;
    insta::assert_snapshot!(short(shown, &base), @"
    alpha  active: task 1 (ORCH-1) in analysis
    branch `task/ORCH-1`, cut from `main` at BASE
    all its jobs have ended
      when the work of task 1 (ORCH-1) is merged: serial-gate task done 1
      if task 1 (ORCH-1) is not over, add its next job: serial-gate job add 1 AGENT
    JOB  TASK  WORK ITEM  STAGE     VERDICT
    2    2     -          analysis  held: task 1 (ORCH-1) comes first
    ");
    let moved = project.commit("a predecessor that was merged late");
    // Any job that ends makes the worker look.
    gate.run(&["task", "add", "beta"]).succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    until("it was seen", || {
        gate.run(&["queue"]).stdout.contains("moved")
    });
    insta::assert_snapshot!(short(gate.run(&["queue"]).stdout, &moved), @"
    alpha  active: task 1 (ORCH-1) in analysis
    branch `task/ORCH-1`, cut from `main` at BASE; `main` has moved since, to MOVED: merge it into the branch
    all its jobs have ended
      when the work of task 1 (ORCH-1) is merged: serial-gate task done 1
      if task 1 (ORCH-1) is not over, add its next job: serial-gate job add 1 AGENT
    JOB  TASK  WORK ITEM  STAGE     VERDICT
    2    2     -          analysis  held: task 1 (ORCH-1) comes first

    beta  active: task 3 in analysis
    all its jobs have ended
      when the work of task 3 is merged: serial-gate task done 3
      if task 3 is not over, add its next job: serial-gate job add 3 AGENT
    ");
    let explained = gate.run(&["explain", "1"]).stdout;
    let explained = explained.lines().last().unwrap().to_owned();
    insta::assert_snapshot!(short(explained, &moved), @"  its task's branch: `task/ORCH-1`, cut from `main` at BASE; `main` has moved since, to MOVED: merge it into the branch");
    let document = gate.run(&["queue", "--json"]).json();
    let branch = &document["per_repo"]["alpha"]["active_task"]["branch"];
    assert_eq!(branch["base_moved_to"], *moved);
}

#[test]
fn a_task_has_one_branch_for_all_its_jobs() {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    let cut = project.tip("task/ORCH-1");
    project.commit("meanwhile");
    gate.run(&["job", "add", "1", "analyst"]).succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert_eq!(project.tip("task/ORCH-1"), cut);
}

#[test]
fn a_job_in_another_repo_than_its_task_s_has_no_branch_cut_there() {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&[
        "task",
        "add",
        "beta",
        "--work-item",
        "ORCH-1",
        "--agent",
        "planner",
    ])
    .succeeds();
    gate.run(&["job", "add", "1", "analyst", "--repo", "alpha"])
        .succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert_eq!(status(gate, 2), "done");
    assert_eq!(project.tip("task/ORCH-1"), None);
}

#[test]
fn a_remote_that_sends_no_parts_will_do() {
    let project = Project::new();
    project.git(&[
        "-C",
        "remote.git",
        "config",
        "uploadpack.allowFilter",
        "true",
    ]);
    project.gate.run(&["task", "add", "alpha"]).succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert_eq!(project.tip("task/1"), project.tip("main"));
}
