//! A task is named by its id or its work item, wherever a task is meant.

use serde_json::{Value, json};

use crate::support::look::{count, value};
use crate::support::service::Service;
use crate::support::{Gate, token};

/// A queue with these tasks, each a repo and a work item.
fn gate(tasks: &[(&str, &str)]) -> Gate {
    let gate = Gate::new();
    for (repo, name) in tasks {
        gate.run(&["task", "add", repo, "--work-item", name])
            .succeeds();
    }
    gate
}

fn stage(gate: &Gate, task: i64) -> String {
    value(gate, &format!("SELECT stage FROM tasks WHERE id = {task}")).unwrap()
}

/// A part of a path.
fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Every way to change a task that takes its name: by command, and over HTTP.
fn changes(name: &str) -> Vec<Change> {
    let path = format!("/v1/tasks/{}", encoded(name));
    let command = |words: &[&str]| Change::Command(words.iter().map(|w| (*w).into()).collect());
    vec![
        command(&["task", "stage", name, "review"]),
        command(&["task", "label", name, "hotfix"]),
        command(&["job", "add", name, "developer"]),
        command(&["task", "done", name]),
        command(&["task", "cancel", name]),
        Change::Request("PATCH", path.clone(), json!({ "stage": "review" })),
        Change::Request("POST", format!("{path}/cancel"), json!({})),
        Change::Request(
            "POST",
            "/v1/jobs".into(),
            json!({ "task": name, "agent": "developer" }),
        ),
    ]
}

enum Change {
    Command(Vec<String>),
    Request(&'static str, String, Value),
}

impl Change {
    /// Makes it. The words of a refusal.
    fn make(&self, service: &Service) -> Result<(), String> {
        match self {
            Change::Command(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let ran = service.gate.run(&words);
                match ran.code {
                    Some(0) => Ok(()),
                    Some(1) => Err(ran.stderr),
                    _ => panic!("{words:?}: {}", ran.stderr),
                }
            }
            Change::Request(method, path, body) => {
                let answer = service.request(method, path).json(body).send();
                match answer.status {
                    200 | 201 => Ok(()),
                    404 | 409 => Err(answer.detail()),
                    other => panic!("{method} {path}: {other} {}", answer.text),
                }
            }
        }
    }
}

/// What a change leaves behind of a task.
fn traces(gate: &Gate, task: i64) -> String {
    let sql = format!(
        "SELECT stage || ' ' || coalesce(gate_label, '-') || ' ' ||
         (SELECT count(*) FROM jobs WHERE task_id = {task}) || ' ' ||
         (SELECT count(*) FROM jobs WHERE task_id = {task} AND status = 'cancelled')
         FROM tasks WHERE id = {task}"
    );
    value(gate, &sql).unwrap()
}

#[test]
fn a_name_does_what_the_id_does() {
    let tasks = [("alpha", "A-1"), ("beta", "A-2")];
    for change in 0..changes("2").len() {
        let traces = ["2", "A-2", "item:A-2"].map(|name| {
            let service = Service::on(gate(&tasks));
            changes(name)[change].make(&service).unwrap();
            [traces(&service.gate, 1), traces(&service.gate, 2)]
        });
        assert_eq!(traces[0][0], "analysis - 1 0");
        assert_ne!(traces[0][1], "analysis - 1 0", "nothing was done");
        assert_eq!(traces[1], traces[0]);
        assert_eq!(traces[2], traces[0]);
    }
}

#[test]
fn a_name_of_several_tasks_lists_them_and_changes_nothing() {
    let service = Service::on(gate(&[("alpha", "A-1"), ("beta", "A-1"), ("alpha", "A-2")]));
    service.gate.run(&["task", "done", "2"]).succeeds();
    let before = [1, 2, 3].map(|task| traces(&service.gate, task));
    for change in changes("A-1") {
        let said = change.make(&service).unwrap_err();
        let choices = "`A-1` is the work item of 2 tasks: 1 in `alpha` (analysis), 2 in `beta` (done): name one by its id";
        assert_eq!(said.trim().trim_start_matches("error: "), choices);
    }
    service.gate.run(&["task", "done", "A-2", "A-1"]).exits(1);
    assert_eq!(before, [1, 2, 3].map(|task| traces(&service.gate, task)));
}

#[test]
fn many_tasks_of_one_name_are_cut() {
    let gate = gate(&[("alpha", "A-1"); 12]);
    let said = gate.run(&["explain", "A-1"]).exits(1).stderr;
    assert!(
        said.contains("of more than 10 tasks: 1 in `alpha` (analysis), 2 in"),
        "{said}"
    );
    assert!(
        said.contains(" 10 in `alpha` (analysis), …: name one by its id"),
        "{said}"
    );
}

#[test]
fn a_name_that_no_task_has_is_refused_with_the_nearest() {
    let service = Service::on(gate(&[("alpha", "A-18"), ("alpha", "B-700")]));
    for (name, meant) in [("A-19", "A-18"), ("a-18", "A-18"), ("B-70", "B-700")] {
        for change in changes(name) {
            let said = change.make(&service).unwrap_err();
            let begins = format!("no task has the work item `{name}`: did you mean `{meant}`");
            assert!(said.contains(&begins), "{said}");
        }
    }
    let said = service.gate.run(&["task", "done", "zzz"]).exits(1).stderr;
    insta::assert_snapshot!(said, @"error: no task has the work item `zzz`: `serial-gate task list` lists them");
}

#[test]
fn digits_are_an_id_even_if_a_task_has_them_as_its_name() {
    for (name, ends) in [("2", 2), ("item:2", 1)] {
        let gate = gate(&[("alpha", "2"), ("beta", "x")]);
        gate.run(&["task", "done", name]).succeeds();
        let ended = [1, 2].map(|task| stage(&gate, task) == "done");
        assert_eq!(ended, [ends == 1, ends == 2], "{name}");
    }
    let gate = gate(&[]);
    for (name, code, said) in [
        ("7", 1, "there is no task 7"),
        ("-7", 1, "no task has the work item `-7`"),
        ("9223372036854775808", 2, "no id is that high"),
        ("", 2, "give a task: its id or its work item"),
    ] {
        let ran = gate.run(&["task", "done", name]).exits(code).stderr;
        assert!(ran.contains(said), "{name}: {ran}");
    }
}

#[test]
fn any_text_may_be_a_name() {
    let names = [
        "with spaces in it",
        "Ä-1 ✓ 任务",
        "100%",
        "%2F",
        "a/b/c",
        "?x=1&y#z",
        ".",
        "..",
        "--force",
        "item:x",
        "it's \"quoted\"",
        "0x1F",
        "1.5",
        "A-1 ",
    ];
    let service = Service::start();
    for name in names {
        let body = json!({ "repo": "alpha", "work_item": name });
        let task = service.post("/v1/tasks", &body).is(201).json()["task_id"].clone();
        let id = task.as_i64().unwrap();
        let asked = format!("item:{name}");
        let path = format!("/v1/tasks/{}", encoded(&asked));
        let label = json!({ "label": "seen" });
        let seen = service.request("PATCH", &path).json(&label).send().is(200);
        assert_eq!(
            (&seen.json()["id"], &seen.json()["work_item_id"]),
            (&task, &json!(name))
        );
        let body = json!({ "task": asked, "agent": "developer" });
        service.post("/v1/jobs", &body).is(201);
        service.gate.run(&["task", "done", "--", &asked]).succeeds();
        assert_eq!(traces(&service.gate, id), "done seen 2 2", "{name}");
    }
}

#[test]
fn a_name_that_cannot_be_one_changes_nothing() {
    let service = Service::on(gate(&[("alpha", "A-1")]));
    for (path, status) in [
        ("/v1/tasks/%00", 422),
        ("/v1/tasks/A-1%00", 422),
        ("/v1/tasks/%FF", 422),
        ("/v1/tasks/A-1%20", 404),
    ] {
        let asked = service.request("PATCH", path);
        asked.json(&json!({ "stage": "done" })).send().is(status);
    }
    assert_eq!(stage(&service.gate, 1), "analysis");
}

#[test]
fn explain_with_a_name_is_about_the_job_that_waits() {
    let gate = gate(&[("alpha", "A-1"), ("alpha", "A-2")]);
    let job = |name: &str| gate.run(&["explain", name, "--json"]).json()["job"]["id"].clone();
    assert_eq!(job("A-2"), 2);
    gate.run(&["job", "add", "A-1", "developer"]).succeeds();
    assert_eq!(job("A-1"), 1);
    let claimed = gate.run(&["claim", "--agent", "analyst", "--json"]).json();
    assert_eq!(job("A-1"), 3, "the queued one");
    gate.run(&["claim", "--agent", "developer"]).succeeds();
    assert_eq!(job("A-1"), 3, "of two that run, the newer one");
    gate.run(&["job", "finish", "1", "--token", &token(&claimed)])
        .succeeds();
    assert_eq!(job("A-1"), 3);
    assert_eq!(job("1"), 1, "digits are a job");
    gate.program()
        .run("INSERT INTO tasks (work_item_id, repo, stage) VALUES ('A-3', 'beta', 'x')");
    let said = gate.run(&["explain", "A-3"]).exits(1).stderr;
    assert_eq!(said, "error: task 3 (A-3) has no job\n");
}

#[test]
fn a_job_has_one_task() {
    let service = Service::on(gate(&[("alpha", "A-1")]));
    for (body, said) in [
        (json!({ "agent": "x" }), "no task: give `task_id` or `task`"),
        (
            json!({ "agent": "x", "task": "A-1", "task_id": 1 }),
            "`task_id` and `task` both name a task: give one of them",
        ),
        (
            json!({ "agent": "x", "task": "" }),
            "give a task: its id or its work item",
        ),
    ] {
        assert_eq!(service.post("/v1/jobs", &body).is(422).detail(), said);
    }
    assert_eq!(count(&service.gate, "jobs"), 1);
}

#[test]
fn a_repeated_request_by_name_has_its_answer_when_the_name_has_become_another_s_too() {
    let service = Service::on(gate(&[("alpha", "A-1")]));
    let add = || {
        let asked = service
            .request("POST", "/v1/jobs")
            .header("idempotency-key", "k");
        asked
            .json(&json!({ "task": "A-1", "agent": "developer" }))
            .send()
    };
    let first = add().is(201).text;
    service
        .gate
        .run(&["task", "add", "beta", "--work-item", "A-1"])
        .succeeds();
    assert_eq!(add().is(201).text, first);
    assert_eq!(count(&service.gate, "jobs"), 3);
}

#[test]
fn a_task_is_shown_with_its_name() {
    let gate = gate(&[("alpha", "A-1"), ("alpha", "A-2")]);
    for (words, said) in [
        (
            &["task", "stage", "1", "development"][..],
            "task 1 (A-1) is in `development`\n",
        ),
        (
            &["task", "label", "1", "hotfix"],
            "task 1 (A-1) is labelled `hotfix`\n",
        ),
        (
            &["job", "add", "1", "analyst"],
            "job 3 for `analyst` added to task 1 (A-1)\n",
        ),
        (&["task", "done", "1"], "task 1 (A-1) is done\n"),
        (
            &["task", "cancel", "1"],
            "task 1 (A-1) was done, and is cancelled now\n",
        ),
        (
            &["task", "add", "beta", "--work-item", "B-1"],
            "task 3 (B-1) added to `beta` with job 4 for `analyst`\n",
        ),
    ] {
        assert_eq!(gate.run(words).succeeds().stdout, said);
    }
    gate.run(&["claim", "--worker", "w-1"]).succeeds();
    let said = gate.run(&["task", "done", "A-2"]).exits(1).stderr;
    assert!(
        said.starts_with("error: task 2 (A-2) cannot end while its job 2 is running"),
        "{said}"
    );
    let audit = gate.run(&["audit"]).succeeds().stdout;
    assert!(audit.contains(" task 1 (A-1) "), "{audit}");
    for entry in gate.run(&["audit", "--json"]).json_lines() {
        if entry["subject"] == "task 1" {
            assert_eq!(entry["work_item_id"], "A-1");
        }
    }
}

#[test]
fn the_advice_of_a_held_job_names_the_task_in_front() {
    let gate = gate(&[("alpha", "A-1"), ("alpha", "A-2")]);
    gate.do_a_job();
    let told = gate.run(&["explain", "A-2"]).exits(3).stdout;
    assert!(told.starts_with("job 2 of task 2 (A-2) for `analyst` in `alpha` is held"));
    for said in [
        "when the work of task 1 (A-1) is merged: serial-gate task done 1",
        "if task 1 (A-1) is not over, add its next job: serial-gate job add 1 AGENT",
    ] {
        assert!(told.contains(said), "{told}");
    }
    let told = gate.run(&["explain", "2", "--json"]).exits(3).json();
    assert_eq!(told["job"]["work_item_id"], "A-2");
    for advice in told["advice"].as_array().unwrap() {
        assert_eq!(
            (&advice["task_id"], &advice["work_item_id"]),
            (&json!(1), &json!("A-1"))
        );
    }
}
