//! Tasks whose branch could never be cut: they are refused when they are added, or fail at the
//! first try.

use serde_json::{Value, json};

use crate::support::Ran;
use crate::support::engine::Engine;
use crate::support::look::{status, value};
use crate::support::service::Service;
use crate::support::worker::Project;

fn add(project: &Project, work_item: &str) -> Ran {
    project
        .gate
        .run(&["task", "add", "alpha", "--work-item", work_item])
}

/// Checks that a task is refused with this text, and that nothing was added.
#[track_caller]
fn is_refused(project: &Project, work_item: &str, word: &str) {
    let count = "SELECT (SELECT count(*) FROM tasks) || ' ' || (SELECT count(*) FROM jobs)";
    let before = value(&project.gate, count);
    let ran = add(project, work_item).exits(1);
    assert!(ran.stderr.contains(word), "{work_item}: {}", ran.stderr);
    assert_eq!(value(&project.gate, count), before, "{work_item}");
}

#[test]
fn a_work_item_that_gives_no_name_for_a_branch_is_refused() {
    for config in ["", "enabled = false"] {
        let project = Project::with(config);
        for work_item in [
            "two words",
            "../../heads/main",
            "a..b",
            "x.lock",
            "x.lock/y",
            "/x",
            "x/",
            "a//b",
            ".x",
            "x.",
            "a~1",
            "a^b",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "a@{b",
            "a\nb",
            "a\u{7f}",
        ] {
            is_refused(&project, work_item, "is not a valid branch name");
        }
        is_refused(&project, &"x".repeat(300), "a shorter work item");
        is_refused(&project, &"x/".repeat(3_000), "a shorter work item");
    }
    let project = Project::new();
    insta::assert_snapshot!(add(&project, "two words").stderr, @"error: `task/two words` is not a valid branch name: add the task again with a work item of letters, digits, `-`, `_` and `.`");
    insta::assert_snapshot!(add(&project, &"x".repeat(300)).stderr, @"error: the branch `task/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` would have 305 bytes, and at most 244 are allowed: add the task again with a shorter work item");
}

#[test]
fn a_work_item_whose_branch_another_task_has_is_refused() {
    let project = Project::new();
    add(&project, "ORCH/1").succeeds();
    insta::assert_snapshot!(add(&project, "ORCH/1").exits(1).stderr, @"error: the branch `task/ORCH/1` is task 1's: give each task of a repo its own work item");
    for work_item in ["orch/1", "ORCH/1/tests", "ORCH"] {
        is_refused(&project, work_item, "which is task 1's");
    }
    insta::assert_snapshot!(add(&project, "ORCH").stderr, @"error: git cannot keep both the branch `task/ORCH` and `task/ORCH/1`, which is task 1's: give the task another work item");
    add(&project, "ORCH/10").succeeds();
    project
        .gate
        .run(&["task", "add", "beta", "--work-item", "ORCH/1"])
        .succeeds();
    // The next task but one would have its number for a name.
    let last: i64 = project.gate.program().one("SELECT max(id) FROM tasks");
    let (named, numbered) = (last + 1, last + 2);
    add(&project, &numbered.to_string()).succeeds();
    let ran = project.gate.run(&["task", "add", "alpha"]).exits(1);
    let refused = format!("the branch `task/{numbered}` is task {named}'s");
    assert!(ran.stderr.contains(&refused), "{}", ran.stderr);
}

#[test]
fn a_task_that_is_over_leaves_room_for_its_work_item_until_its_branch_was_cut() {
    let project = Project::new();
    add(&project, "ORCH-1").succeeds();
    project.gate.run(&["task", "cancel", "1"]).succeeds();
    add(&project, "ORCH-1").succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    project.gate.run(&["task", "done", "2"]).succeeds();
    is_refused(&project, "ORCH-1", "`task/ORCH-1` is task 2's");
    add(&project, "ORCH-1/again").succeeds();
}

#[test]
fn a_work_item_that_gives_the_base_s_name_is_refused() {
    let project = Project::new();
    let config =
        "[[project]]\nrepo = \"alpha\"\nremote = \"remote.git\"\nbranch = \"{work_item}\"\n";
    project.gate.write("serial-gate.toml", config);
    for work_item in ["main", "MAIN", "main/1"] {
        is_refused(&project, work_item, "and the base `main` of `alpha`");
    }
    for work_item in ["HEAD", "@", "-x"] {
        let option = format!("--work-item={work_item}");
        let ran = project
            .gate
            .run(&["task", "add", "alpha", &option])
            .exits(1);
        assert!(
            ran.stderr.contains("is not a valid branch name"),
            "{}",
            ran.stderr
        );
    }
    add(&project, "mainly").succeeds();
}

#[test]
fn any_work_item_will_do_where_no_branch_is_cut() {
    let project = Project::new();
    for _ in 0..2 {
        project
            .gate
            .run(&["task", "add", "beta", "--work-item", "two words"])
            .succeeds();
    }
}

#[test]
fn a_task_that_another_program_added_fails_at_its_first_try() {
    let project = Project::new();
    let gate = &project.gate;
    let odd = match Engine::under_test() {
        Engine::Sqlite => "'a' || char(0) || 'b'",
        // No text has a NUL there.
        Engine::Postgres => "'a' || chr(1) || 'b'",
    };
    let long = format!("'{}'", "x".repeat(5_000));
    for (job, work_item) in (1..).zip(["'two words'", odd, &long, "'main'"]) {
        gate.program().run(format!(
            "INSERT INTO tasks (repo, work_item_id, stage) VALUES ('alpha', {work_item}, 'analysis');
             INSERT INTO jobs (task_id, repo, agent, status)
             VALUES ({job}, 'alpha', 'analyst', 'queued');"
        ));
        if work_item == "'main'" {
            let config = "[[project]]\nrepo = \"alpha\"\nremote = \"remote.git\"\nbranch = \"{work_item}\"\n";
            gate.write("serial-gate.toml", config);
        }
        let ran = project
            .work(&["--max", "1"], &["touch", "begun"])
            .succeeds();
        assert_eq!(ran.stdout, "0 jobs done, 1 failed, 0 given up\n");
        assert_eq!(status(gate, job), "failed", "{work_item:?}");
        gate.run(&["task", "done", &job.to_string()]).succeeds();
    }
    assert!(!gate.path("begun").exists());
}

#[test]
fn a_branch_of_the_remote_that_is_in_the_way_fails_the_job_at_its_first_try() {
    for (there, work_item, word) in [
        ("task/ORCH-1", "ORCH-1", "a branch `task/ORCH-1` already"),
        ("task", "ORCH-1", "cannot keep `task/ORCH-1` next to it"),
        (
            "task/ORCH",
            "ORCH/1",
            "cannot keep `task/ORCH/1` next to it",
        ),
        (
            "task/ORCH-1/a/b",
            "ORCH-1",
            "cannot keep `task/ORCH-1` next to it",
        ),
        (
            "Task/orch-1",
            "ORCH-1",
            "the same as `task/ORCH-1` on some disks",
        ),
    ] {
        let project = Project::new();
        let gate = &project.gate;
        let reference = format!("HEAD:refs/heads/{there}");
        project.in_clone(&["push", "--quiet", "origin", &reference]);
        add(&project, work_item).succeeds();
        let ran = project
            .work(&["--max", "1"], &["touch", "begun"])
            .succeeds();
        assert_eq!(ran.stdout, "0 jobs done, 1 failed, 0 given up\n");
        let told = value(gate, "SELECT gate_error FROM jobs").unwrap();
        assert!(
            told.contains(word) && told.contains("rename or delete it there"),
            "{told}"
        );
        // After the repair, the job can be tried again.
        project.in_clone(&["push", "--quiet", "origin", &format!(":refs/heads/{there}")]);
        gate.run(&["job", "requeue", "1"]).succeeds();
        project.work(&["--max", "1"], &["true"]).succeeds();
        assert_eq!(status(gate, 1), "done");
    }
}

#[test]
fn names_that_only_begin_alike_are_not_in_the_way() {
    let project = Project::new();
    for there in ["task/ORCH-10", "other/task/ORCH-1", "task-2"] {
        let reference = format!("HEAD:refs/heads/{there}");
        project.in_clone(&["push", "--quiet", "origin", &reference]);
    }
    add(&project, "ORCH-1").succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    assert_eq!(status(&project.gate, 1), "done");
}

#[test]
fn the_service_refuses_the_same_tasks() {
    let project = Project::new();
    let service = Service::on(project.gate.clone());
    let post = |work_item: &str, status: u16| -> Value {
        let task = json!({"repo": "alpha", "work_item": work_item});
        service.post("/v1/tasks", &task).is(status).json()
    };
    post("ORCH-1", 201);
    for (work_item, status, word) in [
        ("ORCH-1", 409, "is task 1's"),
        ("orch-1", 409, "which is task 1's"),
        ("ORCH-1/x", 409, "which is task 1's"),
        ("two words", 422, "is not a valid branch name"),
        ("a\0b", 422, "a NUL character"),
    ] {
        let told = post(work_item, status);
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{work_item:?}: {told}");
    }
    assert_eq!(
        value(&project.gate, "SELECT count(*) FROM tasks").unwrap(),
        "1"
    );
    // Where no branch is cut, any text is fine that can be passed to a command.
    for (text, status) in [("two words", 201), ("a\0b", 422)] {
        let task = json!({"repo": "beta", "work_item": text});
        service.post("/v1/tasks", &task).is(status);
        let job = json!({"task_id": 1, "agent": text});
        service.post("/v1/jobs", &job).is(status);
    }
}

#[test]
fn the_service_adds_a_task_once_for_a_key() {
    let project = Project::new();
    let service = Service::on(project.gate.clone());
    let task = json!({"repo": "alpha", "work_item": "ORCH-1"});
    for _ in 0..2 {
        let request = service
            .request("POST", "/v1/tasks")
            .header("Idempotency-Key", "k");
        request.json(&task).send().is(201);
    }
    assert_eq!(
        value(&project.gate, "SELECT count(*) FROM tasks").unwrap(),
        "1"
    );
}
