//! Changes of a base after a branch was cut from it, and how they are shown.

use serde_json::Value;

use crate::support::Gate;
use crate::support::look::value;
use crate::support::worker::Project;

/// A task whose branch was cut from the second of two commits.
fn cut() -> (Project, String) {
    let project = Project::new();
    let base = project.commit("second");
    project
        .gate
        .run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    project.gate.run(&["task", "add", "alpha"]).succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    (project, base)
}

/// Has a worker look at the bases: any job that ends does.
fn look(project: &Project) {
    let tasks = value(&project.gate, "SELECT count(*) FROM tasks").unwrap();
    let repo = format!("beta-{tasks}");
    project.gate.run(&["task", "add", &repo]).succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
}

fn push(project: &Project) {
    project.in_clone(&[
        "push",
        "--quiet",
        "--force",
        "origin",
        "HEAD:refs/heads/main",
    ]);
}

fn amend(project: &Project) {
    project.in_clone(&[
        "commit",
        "--quiet",
        "--allow-empty",
        "--amend",
        "-m",
        "another",
    ]);
    push(project);
}

/// What is shown about the first task's branch, with `CUT` for the commit at which it was cut.
#[track_caller]
fn said(gate: &Gate, base: &str) -> String {
    let said = |ran: &str, mark: &str| {
        let line = ran.lines().find(|line| line.contains(mark)).unwrap();
        let (_, said) = line.split_once(" at ").unwrap();
        said.replace(&base[..10], "CUT")
    };
    let explained = said(
        &gate.run(&["explain", "1"]).succeeds().stdout,
        "its task's branch",
    );
    let listed = said(
        &gate.run(&["queue"]).succeeds().stdout,
        "branch `task/ORCH-1`",
    );
    assert_eq!(explained, listed);
    explained
}

fn branch(gate: &Gate) -> Value {
    let document = gate.run(&["queue", "--json"]).succeeds().json();
    document["per_repo"]["alpha"]["active_task"]["branch"].clone()
}

const REWRITTEN: &str =
    "CUT; `main` was rewritten and no longer contains CUT: rebase the branch onto it";

#[test]
fn a_base_that_was_rewritten_is_told_from_one_that_has_moved() {
    for rewrite in [
        amend,
        |project: &Project| {
            project.in_clone(&["reset", "--quiet", "--hard", "HEAD~1"]);
            push(project);
        },
        |project: &Project| {
            project.in_clone(&["checkout", "--quiet", "--orphan", "other"]);
            amend_or_begin(project);
        },
        |project: &Project| {
            project.in_clone(&["reset", "--quiet", "--hard", "HEAD~1"]);
            project.in_clone(&["commit", "--quiet", "--allow-empty", "-m", "other"]);
            project.in_clone(&["commit", "--quiet", "--allow-empty", "-m", "third"]);
            push(project);
        },
    ] {
        let (project, base) = cut();
        rewrite(&project);
        look(&project);
        assert_eq!(said(&project.gate, &base), REWRITTEN);
        let branch = branch(&project.gate);
        assert_eq!(branch["base_rewritten"], true);
        assert_eq!(branch["base_moved_to"], *project.tip("main").unwrap());
    }
}

fn amend_or_begin(project: &Project) {
    project.in_clone(&["commit", "--quiet", "--allow-empty", "-m", "begun anew"]);
    push(project);
}

#[test]
fn a_base_that_has_moved_by_merges_has_not_been_rewritten() {
    let (project, base) = cut();
    project.in_clone(&["fetch", "--quiet", "origin"]);
    project.commit_on("task/ORCH-1", "the task's work");
    project.merge("task/ORCH-1");
    look(&project);
    let moved = project.tip("main").unwrap();
    assert_eq!(
        said(&project.gate, &base).replace(&moved[..10], "MOVED"),
        "CUT; `main` has moved since, to MOVED: merge it into the branch"
    );
    assert_eq!(branch(&project.gate)["base_rewritten"], false);
}

#[test]
fn a_base_that_moves_after_it_was_rewritten_is_still_rewritten() {
    let (project, base) = cut();
    amend(&project);
    look(&project);
    project.commit("third");
    look(&project);
    assert_eq!(said(&project.gate, &base), REWRITTEN);
}

#[test]
fn what_a_look_at_another_tip_found_is_not_said_of_this_one() {
    for rewritten in [false, true] {
        let (project, base) = cut();
        if rewritten {
            amend(&project);
        } else {
            project.commit("third");
        }
        look(&project);
        // The next look read the tip, and could not fetch it.
        project
            .gate
            .program()
            .run("UPDATE serial_gate_base SET tip = 'abcdefabcdef'");
        assert_eq!(
            said(&project.gate, &base),
            "CUT; `main` is at abcdefabcd, and whether it still contains CUT is not known: look before you merge or rebase"
        );
        let branch = branch(&project.gate);
        assert_eq!(
            (&branch["base_rewritten"], &branch["base_unknown"]),
            (&Value::Bool(false), &Value::Bool(true))
        );
    }
}

#[test]
fn a_base_that_is_put_back_is_not_said_to_be_rewritten() {
    let (project, base) = cut();
    amend(&project);
    look(&project);
    project.in_clone(&["reset", "--quiet", "--hard", &base]);
    push(&project);
    look(&project);
    assert_eq!(said(&project.gate, &base), "CUT");
    assert_eq!(branch(&project.gate)["base_rewritten"], false);

    let moved = project.commit("third");
    look(&project);
    assert_eq!(
        said(&project.gate, &base).replace(&moved[..10], "MOVED"),
        "CUT; `main` has moved since, to MOVED: merge it into the branch"
    );
}

#[test]
fn a_base_that_is_deleted_is_said_to_be_so_until_it_is_back() {
    let (project, base) = cut();
    project.git(&["-C", "remote.git", "update-ref", "-d", "refs/heads/main"]);
    look(&project);
    assert_eq!(
        said(&project.gate, &base),
        "CUT; the remote has no `main` any more: push it again, or rebase the branch onto another base"
    );
    assert_eq!(branch(&project.gate)["base_deleted"], true);
    push(&project);
    look(&project);
    assert_eq!(said(&project.gate, &base), "CUT");
    assert_eq!(branch(&project.gate)["base_deleted"], false);
}

#[test]
fn a_commit_that_the_remote_has_thrown_away_is_no_longer_in_the_base() {
    let (project, base) = cut();
    amend(&project);
    let remote = |arguments: &[&str]| project.git(&[&["-C", "remote.git"], arguments].concat());
    remote(&["update-ref", "-d", "refs/heads/task/ORCH-1"]);
    remote(&["reflog", "expire", "--expire=now", "--all"]);
    remote(&["gc", "--quiet", "--prune=now"]);
    look(&project);
    assert_eq!(said(&project.gate, &base), REWRITTEN);
}

#[test]
fn a_remote_that_gives_nothing_but_tips_will_do() {
    for (rewritten, filters) in [
        (false, "true"),
        (true, "true"),
        (false, "false"),
        (true, "false"),
    ] {
        let (mut project, base) = cut();
        project.git(&[
            "-C",
            "remote.git",
            "config",
            "uploadpack.allowFilter",
            filters,
        ]);
        let old_protocol = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "protocol.version"),
            ("GIT_CONFIG_VALUE_0", "0"),
        ];
        let old_protocol = old_protocol.map(|(name, value)| (name, value.into()));
        project.gate = project.gate.with_environment(old_protocol.into());
        // Only the base still has the commit.
        project.git(&[
            "-C",
            "remote.git",
            "update-ref",
            "-d",
            "refs/heads/task/ORCH-1",
        ]);
        if rewritten {
            amend(&project);
        } else {
            project.commit("third");
        }
        look(&project);
        let branch = branch(&project.gate);
        assert_eq!(branch["base_rewritten"], rewritten, "{base} {branch}");
        assert_eq!(branch["base_moved_to"], *project.tip("main").unwrap());
    }
}

#[test]
fn each_of_several_branches_is_looked_for_by_the_commit_that_it_was_cut_at() {
    let project = Project::with("repos = \"other\"");
    let gate = &project.gate;
    // Each is cut with its task: the gate does not act here.
    gate.run(&["task", "add", "alpha"]).succeeds();
    project.commit("second");
    gate.run(&["task", "add", "alpha"]).succeeds();
    amend(&project);
    project.commit("third");
    project.work(&["--max", "1"], &["true"]).succeeds();
    let said = |job: &str| gate.run(&["explain", job]).succeeds().stdout;
    assert!(said("1").contains("has moved since"), "{}", said("1"));
    assert!(said("2").contains("was rewritten"), "{}", said("2"));
}

#[test]
fn nothing_is_looked_for_where_the_task_is_finished() {
    let (project, _) = cut();
    project.gate.run(&["task", "done", "1"]).succeeds();
    amend(&project);
    look(&project);
    let looked = value(&project.gate, "SELECT count(*) FROM serial_gate_cut_from");
    assert_eq!(looked.unwrap(), "0");
}

#[test]
fn what_is_no_commit_is_not_given_to_git() {
    let (project, _) = cut();
    let gate = &project.gate;
    gate.program()
        .run("UPDATE tasks SET gate_base_commit = '--upload-pack=touch ran;' WHERE id = 1");
    look(&project);
    assert!(!gate.path("ran").exists());
    assert_eq!(branch(gate)["base_rewritten"], false);
}

#[test]
fn a_remote_that_is_away_is_told_of_once_and_what_was_seen_with_its_time() {
    let (project, base) = cut();
    let gate = &project.gate;
    project.commit("third");
    look(&project);
    std::fs::rename(gate.path("remote.git"), gate.path("away.git")).unwrap();
    gate.program()
        .run("UPDATE serial_gate_base SET seen_at = '2026-01-01 12:00:00'");
    gate.run(&["task", "add", "beta"]).succeeds();
    let ran = project.work(&["--max", "1"], &["true"]).succeeds();
    let warned = "cannot look at the base of `alpha`: git cannot read";
    assert_eq!(ran.stderr.matches(warned).count(), 1, "{}", ran.stderr);
    let said = said(gate, &base);
    assert!(
        said.ends_with(": merge it into the branch (seen 2026-01-01 12:00:00 UTC)"),
        "{said}"
    );

    std::fs::rename(gate.path("away.git"), gate.path("remote.git")).unwrap();
    look(&project);
    let document = branch(gate);
    assert_ne!(document["base_seen_at"], "2026-01-01 12:00:00");
}
