//! What becomes of a task whose branch was merged, or whose pull request was closed.

use serde_json::json;

use super::*;
use crate::support::look::count;

fn send(service: &Service, changes: &[(&str, Value)]) -> String {
    let body = changed(PULL, changes);
    Sent::github(service, "pull_request", &body).said()
}

fn merge(service: &Service) -> String {
    send(service, &[])
}

fn branch_line(gate: &Gate) -> String {
    let said = gate.run(&["queue"]).succeeds().stdout;
    let line = said.lines().find(|line| line.starts_with("branch"));
    let line = line.expect(&said);
    // The time of the delivery.
    let time = regex_lite::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d").unwrap();
    time.replace_all(line, "TIME").into_owned()
}

#[test]
fn a_merge_ends_its_task_with_who_and_where_and_the_next_one_may_start() {
    let service = Service::on(gate());
    let task = finished(&service.gate, "alpha", "task/A-1");
    service.gate.run(&["task", "add", "alpha"]).succeeds();
    service
        .gate
        .run(&["job", "add", "1", "reviewer"])
        .succeeds();
    assert_eq!(
        merge(&service),
        "200 ended: task 1 (A-1) is done: its branch was merged"
    );
    assert_eq!(stage(&service.gate, task), "done");
    let claimed = service.post("/v1/claim", &json!({"worker": "w-2"})).is(200);
    assert_eq!(claimed.json()["task_id"], 2);
    let audit = service.get("/v1/audit?repo=alpha&limit=1").is(200).json();
    insta::assert_snapshot!(
        format!("{} {} {} {}", audit[0]["who"], audit[0]["action"], audit[0]["subject"], audit[0]["why"]),
        @r#""github:kim" "task done" "task 1" "its branch was merged: https://github.com/acme/alpha/pull/7""#
    );
    let left = "SELECT status FROM jobs WHERE agent = 'reviewer'";
    assert_eq!(value(&service.gate, left).unwrap(), "cancelled");
    assert_eq!(count(&service.gate, "serial_gate_pull"), 0);
}

#[test]
fn a_merge_while_the_job_runs_is_shown_and_ends_the_task_with_the_job() {
    for end in ["finish", "fail"] {
        let service = Service::on(gate());
        let claimed = running(&service.gate, "alpha", "task/A-1");
        insta::allow_duplicates! {
            insta::assert_snapshot!(merge(&service), @"200 recorded: task 1 (A-1): its branch was merged, and it ends when no job of it runs");
        }
        assert_eq!(stage(&service.gate, 1), "analysis");
        insta::allow_duplicates! {
            insta::assert_snapshot!(branch_line(&service.gate), @"branch `task/A-1`, cut from `main` at 6113728f27; it was merged by `kim` at TIME UTC (https://github.com/acme/alpha/pull/7): the task ends when no job of it runs");
        }
        let explained = service.gate.run(&["explain", "1"]).succeeds().stdout;
        assert!(explained.contains("it was merged by `kim`"), "{explained}");
        let page = service.get("/repo?name=alpha").text;
        assert!(
            page.contains("href=\"https://github.com/acme/alpha/pull/7\""),
            "{page}"
        );
        let path = format!("/v1/jobs/{}/{end}", claimed.id);
        let token = json!({"token": claimed.token});
        service.post(&path, &token).is(200);
        assert_eq!(stage(&service.gate, 1), "done");
        // Its worker did not hear the answer.
        service.post(&path, &token).is(200);
        assert_eq!(stage(&service.gate, 1), "done");
    }
}

#[test]
fn the_task_ends_however_its_last_job_ends() {
    for end in ["requeue", "lapse", "another program", "cancel", "both"] {
        let gate = gate();
        let claimed = running(&gate, "alpha", "task/A-1");
        let service = Service::on(gate);
        let gate = &service.gate;
        if end == "both" {
            gate.run(&["job", "add", "1", "reviewer"]).succeeds();
            gate.run(&["claim", "--agent", "reviewer", "--worker", "w-2"])
                .succeeds();
        }
        merge(&service);
        let finish = |job: &str, token: &str| {
            gate.run(&["job", "finish", job, "--token", token])
                .succeeds();
        };
        let lapse = "UPDATE jobs SET gate_lease_until = '2020-01-01 00:00:00' WHERE id = 1";
        match end {
            "requeue" => drop(
                gate.run(&["job", "requeue", "1", "--reason", "x"])
                    .succeeds(),
            ),
            "lapse" => drop(gate.program().run(lapse)),
            "another program" => {
                gate.program()
                    .run("UPDATE jobs SET status = 'done' WHERE id = 1");
            }
            "cancel" => {
                gate.run(&["task", "cancel", "1", "--force", "--reason", "x"])
                    .succeeds();
            }
            _ => {
                finish("1", &claimed.token);
                assert_eq!(stage(gate, 1), "analysis");
                let token = "SELECT CAST(gate_token AS TEXT) FROM jobs WHERE id = 2";
                finish("2", &value(gate, token).unwrap());
            }
        }
        // A claim finds what no change of the gate has ended.
        gate.run(&["claim", "--worker", "w-3"]).exits(3);
        assert_eq!(stage(gate, 1), "done", "{end}");
        let left = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')";
        assert_eq!(gate.program().one::<i64>(left), 0, "{end}");
        assert_eq!(count(gate, "serial_gate_pull"), 0, "{end}");
        let ends = "SELECT count(*) FROM serial_gate_audit WHERE action LIKE 'task %'";
        assert_eq!(gate.program().one::<i64>(ends), 1, "{end}");
    }
}

#[test]
fn a_delivery_that_comes_again_changes_nothing() {
    let service = Service::on(gate());
    finished(&service.gate, "alpha", "task/A-1");
    let body = changed(PULL, &[]);
    let sent = Sent {
        id: Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ..Sent::github(&service, "pull_request", &body)
    };
    let closed = changed(PULL, &[("/pull_request/merged", json!(false))]);
    let first = Sent {
        id: Some("first"),
        ..Sent::github(&service, "pull_request", &closed)
    };
    first.send().is(200);
    assert_eq!(
        sent.said(),
        "200 ended: task 1 (A-1) is done: its branch was merged"
    );
    service
        .gate
        .run(&["task", "stage", "1", "rework"])
        .succeeds();
    let again = "200 seen: this was seen already, and changes nothing";
    // The id is not signed.
    let other_id = Sent {
        id: Some("another"),
        ..Sent::github(&service, "pull_request", &body)
    };
    let without_id = Sent {
        id: None,
        ..Sent::github(&service, "pull_request", &body)
    };
    let other_body = Sent {
        id: Some("first"),
        ..Sent::github(&service, "pull_request", &body)
    };
    for sent in [&sent, &other_id, &without_id, &other_body, &first] {
        assert_eq!(sent.said(), again);
    }
    assert_eq!(stage(&service.gate, 1), "rework");

    // An id that was used before takes nothing from another merge.
    let done = "UPDATE tasks SET stage = 'done' WHERE id = 1";
    service.gate.program().run(done);
    finished(&service.gate, "alpha", "task/A-2");
    let other = changed(PULL, &[("/pull_request/head/ref", json!("task/A-2"))]);
    let used = Sent {
        id: Some("first"),
        ..Sent::github(&service, "pull_request", &other)
    };
    assert_eq!(
        used.said(),
        "200 ended: task 2 (A-2) is done: its branch was merged"
    );
}

#[test]
fn a_merged_task_s_job_is_not_said_to_be_queued_again() {
    let service = Service::on(gate());
    running(&service.gate, "alpha", "task/A-1");
    merge(&service);
    let program = service.gate.program();
    program.run("UPDATE jobs SET gate_lease_until = '2026-01-01 00:00:00'");
    let explained = service.gate.run(&["explain", "1"]).succeeds().stdout;
    assert!(!explained.contains("requeue"), "{explained}");
    assert!(
        explained.contains("the next claim cancels job 1: the branch of its task was merged"),
        "{explained}"
    );
    let requeue = ["job", "requeue", "1", "--reason", "again"];
    let said = service.gate.run(&requeue).succeeds().stdout;
    insta::assert_snapshot!(said, @"job 1 is cancelled: the branch of its task was merged, and the task is done");
    assert_eq!(stage(&service.gate, 1), "done");
}

#[test]
fn a_merge_of_a_task_that_is_over_changes_nothing() {
    let service = Service::on(gate());
    for (n, end) in [&["done", "--unmerged"][..], &["cancel"]]
        .into_iter()
        .enumerate()
    {
        let branch = format!("task/A-{n}");
        let task = finished(&service.gate, "alpha", &branch).to_string();
        service
            .gate
            .run(&[&["task"], end, &[&task, "--reason", "by hand"]].concat())
            .succeeds();
        let rows = count(&service.gate, "serial_gate_audit");
        let said = send(&service, &[("/pull_request/head/ref", json!(branch))]);
        assert_eq!(
            said,
            format!("200 nothing: task {task} (A-{n}) is finished already")
        );
        assert_eq!(count(&service.gate, "serial_gate_audit"), rows);
    }
    assert_eq!(count(&service.gate, "serial_gate_pull"), 0);
}

#[test]
fn a_request_that_was_closed_is_shown_until_it_is_opened_again() {
    let service = Service::on(gate());
    finished(&service.gate, "alpha", "task/A-1");
    service.gate.run(&["task", "add", "alpha"]).succeeds();
    let opened = ("/action", json!("opened"));
    send(&service, &[opened]);
    let mut lines = vec![branch_line(&service.gate)];
    let closed = ("/pull_request/merged", json!(false));
    send(&service, &[closed]);
    lines.push(branch_line(&service.gate));
    send(&service, &[("/action", json!("reopened"))]);
    lines.push(branch_line(&service.gate));
    // Another one of the same branch, closed after this one was opened.
    let other = [
        ("/pull_request/merged", json!(false)),
        (
            "/pull_request/html_url",
            json!("https://github.com/acme/alpha/pull/6"),
        ),
    ];
    lines.push(send(&service, &other));
    insta::assert_snapshot!(lines.join("\n"), @r"
    branch `task/A-1`, cut from `main` at 6113728f27; its pull request is open (https://github.com/acme/alpha/pull/7)
    branch `task/A-1`, cut from `main` at 6113728f27; its pull request was closed without a merge by `kim` at TIME UTC (https://github.com/acme/alpha/pull/7): reopen it, or cancel the task
    branch `task/A-1`, cut from `main` at 6113728f27; its pull request is open (https://github.com/acme/alpha/pull/7)
    200 nothing: task 1 (A-1): something newer is known of its branch
    ");
}

#[test]
fn only_what_may_be_a_link_becomes_one_and_no_text_moves_a_cursor() {
    let service = Service::on(gate());
    running(&service.gate, "alpha", "task/A-1");
    let hostile = "kim\n\u{1b}[2J\"><script>alert(1)</script>";
    for url in [
        "javascript:alert(1)",
        "https://x/\n\"onclick=",
        "data:text/html,x",
        "",
    ] {
        let said = send(
            &service,
            &[
                ("/action", json!("reopened")),
                ("/pull_request/html_url", json!(url)),
                ("/sender/login", json!(hostile)),
            ],
        );
        assert_eq!(said, "200 recorded: task 1 (A-1): its pull request is open");
        let page = service.get("/repo?name=alpha").text;
        assert!(
            !page.contains("Open it") && !page.contains("<script>alert"),
            "{page}"
        );
    }
    send(
        &service,
        &[
            (
                "/pull_request/html_url",
                json!("https://x/\"onclick=\"alert(1)"),
            ),
            ("/pull_request/merged_by/login", json!(hostile)),
        ],
    );
    let page = service.get("/repo?name=alpha").text;
    assert!(
        page.contains("Open it") && !page.contains("\"onclick"),
        "{page}"
    );
    assert!(!page.contains("<script>alert"), "{page}");
    // Another program may have written anything.
    service
        .gate
        .program()
        .run("UPDATE serial_gate_pull SET url = 'javascript:alert(1)'");
    assert!(!service.get("/repo?name=alpha").text.contains("Open it"));
    let said = service.gate.run(&["queue"]).succeeds().stdout;
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn squash_and_rebase_merges_count_by_the_forge_s_word() {
    let service = Service::on(gate());
    for (n, commits) in [1, 2].into_iter().enumerate() {
        let branch = format!("task/A-{n}");
        let task = finished(&service.gate, "alpha", &branch);
        let said = send(
            &service,
            &[
                ("/pull_request/head/ref", json!(branch)),
                ("/pull_request/commits", json!(commits)),
                // No commit of the branch is in the base.
                ("/pull_request/merge_commit_sha", json!("a".repeat(40))),
            ],
        );
        assert_eq!(
            said,
            format!("200 ended: task {task} (A-{n}) is done: its branch was merged")
        );
    }
}

#[test]
fn a_task_ends_in_the_finished_stage_of_the_rules() {
    let gate = gate();
    let rules = r#"{"finished_stages": ["cancelled", "released"]}"#;
    gate.run(&["--rules", rules, "policy", "settings", "--reason", "x"])
        .succeeds();
    finished(&gate, "alpha", "task/A-1");
    let service = Service::on(gate);
    merge(&service);
    assert_eq!(stage(&service.gate, 1), "released");
}
