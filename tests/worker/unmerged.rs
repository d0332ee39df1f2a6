//! A task whose branch was not merged is not done by accident.

use serde_json::Value;

use crate::support::look::value;
use crate::support::worker::Project;

/// A task whose branch has commits.
fn with_commits(count: usize) -> Project {
    let project = Project::new();
    project
        .gate
        .run(&["task", "add", "alpha", "--work-item", "A-1"])
        .succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    for n in 0..count {
        project.commit_on("task/A-1", &format!("work {n}"));
    }
    project
}

fn stage(project: &Project) -> String {
    value(&project.gate, "SELECT stage FROM tasks WHERE id = 1").unwrap()
}

#[test]
fn a_branch_with_commits_that_its_base_lacks_is_not_done() {
    let project = with_commits(3);
    let said = project.gate.run(&["task", "done", "1"]).exits(1).stderr;
    insta::assert_snapshot!(said, @"error: branch `task/A-1` has 3 commits that are not in `main`, so nothing was changed: merge it first; to end the task all the same, add `--unmerged --reason TEXT`");
    let by_stage = project.gate.run(&["task", "stage", "1", "done"]).exits(1);
    assert_eq!(by_stage.stderr, said);
    project
        .gate
        .run(&["task", "done", "1", "--unmerged"])
        .exits(2);
    assert_eq!(stage(&project), "analysis");
    project
        .gate
        .run(&["task", "done", "1", "--unmerged", "--reason", "squashed"])
        .succeeds();
    assert_eq!(stage(&project), "done");
    // It is done already, whatever its branch has.
    project.gate.run(&["task", "done", "1"]).succeeds();
    // Nothing is to be done for the branch of a task that is over.
    let said = project.gate.run(&["explain", "1"]).succeeds().stdout;
    assert!(!said.contains("branch"), "{said}");
}

#[test]
fn a_branch_that_was_merged_or_has_no_commit_is_done() {
    for (count, moves_on) in [(0, false), (0, true), (1, false), (2, true)] {
        let project = with_commits(count);
        if count > 0 {
            project.merge("task/A-1");
        }
        if moves_on {
            project.in_clone(&["checkout", "--quiet", "main"]);
            project.commit("another");
        }
        project.gate.run(&["task", "done", "1"]).succeeds();
        assert_eq!(stage(&project), "done", "{count} {moves_on}");
    }
}

#[test]
fn what_cannot_be_found_out_is_refused_and_says_what_helps() {
    let project = with_commits(1);
    project.in_clone(&["push", "--quiet", "origin", ":task/A-1"]);
    let said = project.gate.run(&["task", "done", "1"]).exits(1).stderr;
    insta::assert_snapshot!(said, @"error: the remote has no branch `task/A-1` any more, and whether it was merged into `main` is not known, so nothing was changed: to end the task all the same, add `--unmerged --reason TEXT`");
    std::fs::rename(project.gate.path("remote.git"), project.gate.path("away")).unwrap();
    let said = project.gate.run(&["task", "done", "1"]).exits(1).stderr;
    let said = said.replace(
        &project.gate.path("remote.git").display().to_string(),
        "REMOTE",
    );
    insta::assert_snapshot!(said, @r"
    error: cannot tell whether branch `task/A-1` was merged into `main`, so nothing was changed: to end the task all the same, add `--unmerged --reason TEXT`
      because git cannot read the branches of the remote of `alpha` (`REMOTE`): there is no repository, or this worker's user may not read it: correct `remote` in the configuration file; git says: fatal: 'the remote' does not appear to be a git repository; fatal: Could not read from remote repository.; Please make sure you have the correct access rights; and the repository exists.
    ");
    assert_eq!(stage(&project), "analysis");
    // A task that is given up needs no merge.
    project.gate.run(&["task", "cancel", "1"]).succeeds();
}

#[test]
fn a_squash_that_the_forge_told_of_counts() {
    let project = with_commits(1);
    project.gate.program().run(
        "INSERT INTO serial_gate_pull (task, branch, state, forge, who, at)
         VALUES (1, 'task/A-1', 'merged', 'github', 'kim', '2026-11-28 10:00:00')",
    );
    let explained = project.gate.run(&["explain", "1", "--json"]).succeeds();
    let explained: Value = explained.json();
    assert_eq!(explained["branch"]["pull_request"]["state"], "merged");
    project.gate.run(&["task", "done", "1"]).succeeds();
    assert_eq!(stage(&project), "done");
}

#[test]
fn a_repo_without_a_project_is_as_before() {
    let project = with_commits(1);
    project.gate.run(&["task", "add", "beta"]).succeeds();
    project.gate.run(&["task", "done", "2"]).succeeds();
    project.gate.write("serial-gate.toml", "");
    project.gate.run(&["task", "done", "1"]).succeeds();
}
