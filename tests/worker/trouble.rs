//! Branches that cannot be cut.

use crate::support::Gate;
use crate::support::look::{status, until, value};
use crate::support::worker::{Project, Worker, program};

/// Without the times of the run.
fn settled(text: &str) -> String {
    let mut lines = text
        .lines()
        .map(|line| match line.split_once("put off until ") {
            Some((before, _)) => format!("{before}put off until TIME"),
            None => line.to_owned(),
        });
    lines.by_ref().collect::<Vec<_>>().join("\n")
}

#[test]
fn a_job_whose_branch_cannot_be_cut_keeps_its_place_and_is_tried_again() {
    let project = Project::new();
    let gate = &project.gate;
    std::fs::rename(gate.path("remote.git"), gate.path("away.git")).unwrap();
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    let ran = project
        .work(&["--max", "1", "--retry-after", "1h"], &["touch", "begun"])
        .succeeds();
    insta::assert_snapshot!(ran.stdout, @"0 jobs done, 0 failed, 1 put off, 0 given up");
    let told = settled(&gate.run(&["explain", "1"]).stdout);
    let told = told.replace(gate.path("").to_str().unwrap(), "FOLDER/");
    insta::assert_snapshot!(told, @"
    job 1 of task 1 (ORCH-1) for `analyst` in `alpha` is put off until TIME
      error: its branch could not be cut: git cannot read the branches of the remote of `alpha` (`FOLDER/remote.git`): there is no repository, or this worker's user may not read it: correct `remote` in the configuration file; git says: fatal: 'the remote' does not appear to be a git repository; fatal: Could not read from remote repository.; Please make sure you have the correct access rights; and the repository exists.
    ");
    // No worker gets it in the meantime.
    gate.run(&["claim"]).exits(3);
    std::fs::rename(gate.path("away.git"), gate.path("remote.git")).unwrap();
    gate.program()
        .run("UPDATE jobs SET gate_lease_until = '2026-01-01 00:00:00'");
    assert!(!gate.path("begun").exists());
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert_eq!(status(gate, 1), "done");
}

#[test]
fn after_some_tries_it_has_failed_and_somebody_is_told() {
    let project = Project::new();
    let gate = &project.gate;
    std::fs::remove_dir_all(gate.path("remote.git")).unwrap();
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    let options = ["--max", "3", "--tries", "3", "--retry-after", "1ms"];
    let ran = project.work(&options, &["touch", "begun"]).succeeds();
    insta::assert_snapshot!(ran.stdout, @"0 jobs done, 1 failed, 2 put off, 0 given up");
    let told = value(gate, "SELECT kind || ': ' || why FROM serial_gate_alert").unwrap();
    assert!(
        told.starts_with("job_failed: its branch could not be cut: git cannot read"),
        "{told}"
    );
    assert!(!gate.path("begun").exists());
}

#[test]
fn a_branch_of_somebody_else_is_not_taken() {
    let project = Project::new();
    let gate = &project.gate;
    project.git(&[
        "-C",
        "clone",
        "push",
        "--quiet",
        "origin",
        "HEAD:refs/heads/task/ORCH-1",
    ]);
    let commit = project.commit("later");
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    project
        .work(&["--max", "1", "--tries", "1"], &["touch", "begun"])
        .succeeds();
    let told = value(gate, "SELECT gate_error FROM jobs").unwrap();
    let old = project.tip("task/ORCH-1").unwrap();
    assert_ne!(old, commit);
    insta::assert_snapshot!(told.replace(&old, "COMMIT"), @"its branch could not be cut: the remote of `alpha` has a branch `task/ORCH-1` already, at COMMIT: rename or delete it there, then try the job again");
    assert!(!gate.path("begun").exists());
}

#[test]
fn two_tasks_of_a_repo_do_not_share_a_branch() {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    // The second task comes from a program that does not check names.
    gate.program().run(
            "INSERT INTO tasks (repo, work_item_id, stage) VALUES ('alpha', 'ORCH-1', 'analysis');
             INSERT INTO jobs (task_id, repo, agent, status) VALUES (2, 'alpha', 'analyst', 'queued');",
        );
    project.work(&["--max", "1"], &["true"]).succeeds();
    gate.run(&["task", "done", "1"]).succeeds();
    project.git(&[
        "-C",
        "clone",
        "push",
        "--quiet",
        "origin",
        ":refs/heads/task/ORCH-1",
    ]);
    project
        .work(&["--max", "1"], &["touch", "begun"])
        .succeeds();
    let told = value(gate, "SELECT gate_error FROM jobs WHERE id = 2").unwrap();
    insta::assert_snapshot!(told, @"its branch could not be cut: the branch `task/ORCH-1` is task 1's: give each task of a repo its own work item");
    assert!(!gate.path("begun").exists());
}

#[test]
fn a_remote_that_does_not_answer_is_given_up_when_the_worker_is_told_to_stop() {
    let project = Project::new();
    let gate = &project.gate;
    program(gate, "bin/git", "touch asked; exec sleep 600");
    gate.run(&["task", "add", "alpha"]).succeeds();
    let path = format!(
        "{}:{}",
        gate.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = gate.command(&["work", "--agent", "analyst", "--", "true"]);
    let process = command
        .env("PATH", path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let worker = Worker { process };
    until("git was asked for the job", || {
        status(gate, 1) == "running" && gate.path("asked").exists()
    });
    worker.tell(rustix::process::Signal::TERM);
    worker.tell(rustix::process::Signal::INT);
    worker.ended().succeeds();
    assert_eq!(status(gate, 1), "queued");
}

#[test]
fn a_configuration_that_cannot_cut_is_refused_before_anything_is_claimed() {
    for (project, expected) in [
        (
            "remote = \"r\"",
            "a `[[project]]` lacks its `repo`: give it in `serial-gate.toml`",
        ),
        (
            "repo = \"alpha\"",
            "a `[[project]]` lacks its `remote`: give it in `serial-gate.toml`",
        ),
        (
            "repo = \"alpha\"\nremote = \"--upload-pack=x\"",
            "the remote of `alpha` begins with `-`: correct `remote` in `serial-gate.toml`",
        ),
        (
            "repo = \"alpha\"\nremote = \"r\"\nbranch = \"task\"",
            "the branch pattern `task` of `alpha` gives every task the same branch: put `{work_item}` or `{task}` into it",
        ),
        (
            "repo = \"alpha\"\nremote = \"r\"\nbranch = \"a task/{task}\"",
            "the branch pattern `a task/{task}` of `alpha` gives no valid branch names: correct `branch` in `serial-gate.toml`",
        ),
        (
            "repo = \"alpha\"\nremote = \"r\"\nbase = \"the base\"",
            "`the base` is not a valid branch name: correct `base` of `alpha` in `serial-gate.toml`",
        ),
        (
            "repo = \"alpha\"\nremote = \"r\\u0000\"",
            "the remote of `alpha` has a control character: correct `remote` in `serial-gate.toml`",
        ),
        (
            "repo = \"alpha\"\nremote = \"r\"\n[[project]]\nrepo = \"alpha\"\nremote = \"s\"",
            "`alpha` has two `[[project]]` entries: leave one in `serial-gate.toml`",
        ),
    ] {
        let gate = Gate::new();
        gate.run(&["task", "add", "alpha"]).succeeds();
        gate.write("serial-gate.toml", format!("[[project]]\n{project}\n"));
        let ran = gate
            .run(&["work", "--agent", "analyst", "--", "true"])
            .exits(1);
        assert_eq!(ran.stderr, format!("error: {expected}\n"));
        assert_eq!(status(&gate, 1), "queued");
    }
}
