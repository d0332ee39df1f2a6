//! Slips in the `[[project]]` entries, and what is said of them before a branch is missed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::support::worker::Project;

/// The project of `alpha`, and these lines of another.
fn with(lines: &str) -> Project {
    Project::new().followed_by(&format!("\n[[project]]\n{lines}"))
}

fn said(project: &Project) -> String {
    let ran = project.gate.run(&["doctor"]);
    ran.stdout + &ran.stderr
}

#[test]
fn a_repo_that_no_task_has_is_named_by_doctor_and_at_the_start() {
    let project = with("repo = \"alhpa\"\nremote = \"remote.git\"\n");
    let note = "project `alhpa`: no task of this repo is known: did you mean `alpha`?";
    // Before the first task, no name is wrong.
    assert!(!said(&project).contains("no task of this repo"));
    project.gate.run(&["task", "add", "alpha"]).succeeds();
    assert!(said(&project).contains(note), "{}", said(&project));
    let worked = project.work(&["--max", "1"], &["true"]).succeeds().stderr;
    assert!(worked.contains(note), "{worked}");
}

#[test]
fn a_job_in_a_repo_without_a_project_is_named_once() {
    let project = Project::new();
    for repo in ["beta", "gamma"] {
        project.gate.run(&["task", "add", repo]).succeeds();
    }
    let worked = project.work(&["--max", "2"], &["true"]).succeeds().stderr;
    let times = worked
        .matches("is in a repo without a `[[project]]`")
        .count();
    assert_eq!(times, 1, "{worked}");
}

#[test]
fn doctor_names_a_remote_that_cannot_be_reached_and_a_base_that_is_not_there() {
    let project = with("repo = \"beta\"\nremote = \"nowhere.git\"\n");
    let sound = project.gate.run(&["doctor", "--json"]).json();
    let notes = sound["project_notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note = notes[0].as_str().unwrap();
    assert!(note.starts_with("project `beta`: "), "{note}");
    let other = with("repo = \"beta\"\nremote = \"remote.git\"\nbase = \"trunk\"\n");
    let note = "project `beta`: its remote has no branch `trunk`";
    assert!(said(&other).contains(note), "{}", said(&other));
}

#[test]
fn doctor_names_a_secret_that_is_missing_or_empty_or_open_to_all() {
    let project = with(
        "repo = \"beta\"\nremote = \"remote.git\"\nforge = \"github\"\nforge_repo = \"a/b\"\n\
         hook_secret = \"secret\"\n",
    );
    let unusable = "project `beta`: its `hook_secret` cannot be used: ";
    assert!(said(&project).contains(unusable), "{}", said(&project));
    project.gate.write("secret", "");
    assert!(said(&project).contains(unusable), "{}", said(&project));
    project.gate.write("secret", "a long random text");
    let file = project.gate.path("secret");
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let open = "project `beta`: every user of this machine can read";
    assert!(said(&project).contains(open), "{}", said(&project));
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert!(
        !said(&project).contains("project `beta`"),
        "{}",
        said(&project)
    );
}
