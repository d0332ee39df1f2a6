//! What each request is answered, and that one which is refused changes nothing.

use serde_json::{Value, json};

use super::*;
use crate::support::look::count;
use crate::support::service::access_token;

/// Every case on a task of its own, whose only job is done.
#[test]
fn each_webhook_has_its_answer() {
    let service = Service::on(gate());
    let mut table = Vec::new();
    let mut number = 0;
    let mut case =
        |name: &str, event: &str, body: &str, changes: &[(&str, Value)], secret: &str| {
            number += 1;
            let branch = format!("task/A-{number}");
            let task = finished(&service.gate, "alpha", &branch);
            let mut body = changed(body, changes);
            if let Some(head) = body.pointer_mut("/pull_request/head/ref")
                && head == "task/A-1"
            {
                *head = branch.into();
            }
            let sent = Sent {
                secret,
                ..Sent::github(&service, event, &body)
            };
            let said = sent.said();
            table.push(format!("{name}: {said} [{}]", stage(&service.gate, task)));
            let task = task.to_string();
            service.gate.run(&["task", "cancel", &task]).succeeds();
        };
    let pull = "pull_request";
    case("merged", pull, PULL, &[], SECRET);
    case("ping", "ping", PING, &[], SECRET);
    case("wrong signature", pull, PULL, &[], "wrong");
    case("another project's secret", pull, PULL, &[], OTHER_SECRET);
    let other = ("/repository/full_name", json!("acme/beta"));
    case("another project's repository", pull, PULL, &[other], SECRET);
    let unknown = ("/repository/full_name", json!("acme/unknown"));
    case("unknown repository", pull, PULL, &[unknown], SECRET);
    let in_capitals = ("/repository/full_name", json!("Acme/ALPHA"));
    case("its name in capitals", pull, PULL, &[in_capitals], SECRET);
    let fork = ("/pull_request/head/repo/id", json!(1));
    case("a fork's branch", pull, PULL, &[fork], SECRET);
    let gone = ("/pull_request/head/repo", json!(null));
    case("a fork that is gone", pull, PULL, &[gone], SECRET);
    let renamed = ("/pull_request/head/ref", json!("task/renamed"));
    case("renamed branch", pull, PULL, &[renamed], SECRET);
    let base = ("/pull_request/base/ref", json!("release"));
    case("another base", pull, PULL, &[base], SECRET);
    let not_merged = ("/pull_request/merged", json!(false));
    case("closed", pull, PULL, &[not_merged], SECRET);
    case(
        "reopened",
        pull,
        PULL,
        &[("/action", json!("reopened"))],
        SECRET,
    );
    case(
        "labelled",
        pull,
        PULL,
        &[("/action", json!("labeled"))],
        SECRET,
    );
    case("an event of no use", "issues", PULL, &[], "wrong");
    case("a push", "push", PUSH, &[], SECRET);
    let tag = ("/ref", json!("refs/tags/v1"));
    case("a tag", "push", PUSH, &[tag], SECRET);
    case("a body of another event", pull, PUSH, &[], SECRET);
    insta::assert_snapshot!(table.join("\n"), @"
    merged: 200 ended: task 1 (A-1) is done: its branch was merged [done]
    ping: 200 nothing: the webhook works [analysis]
    wrong signature: 401 : no project here has this repository, or the signature is wrong: compare `forge_repo` and `hook_secret` with the forge's settings [analysis]
    another project's secret: 401 : no project here has this repository, or the signature is wrong: compare `forge_repo` and `hook_secret` with the forge's settings [analysis]
    another project's repository: 401 : no project here has this repository, or the signature is wrong: compare `forge_repo` and `hook_secret` with the forge's settings [analysis]
    unknown repository: 401 : no project here has this repository, or the signature is wrong: compare `forge_repo` and `hook_secret` with the forge's settings [analysis]
    its name in capitals: 200 ended: task 7 (A-7) is done: its branch was merged [done]
    a fork's branch: 200 nothing: the branch is of another repository [analysis]
    a fork that is gone: 200 nothing: the branch is of another repository [analysis]
    renamed branch: 200 nothing: `task/renamed` is not the branch of a task here [analysis]
    another base: 200 nothing: task 11 (A-11): its branch was cut from `main`, and this is for `release` [analysis]
    closed: 200 recorded: task 12 (A-12): its pull request was closed without a merge [analysis]
    reopened: 200 recorded: task 13 (A-13): its pull request is open [analysis]
    labelled: 200 nothing: only opening, closing and merging are used [analysis]
    an event of no use: 200 nothing: this event is not used: choose pull requests and pushes at the forge [analysis]
    a push: 200 recorded: `main`: it has moved [analysis]
    a tag: 200 nothing: this was not pushed to a branch [analysis]
    a body of another event: 422 : this is not the body of such an event: missing field `action` at line 1 column 1139 [analysis]
    ");
}

#[test]
fn what_is_not_signed_as_it_should_be_changes_nothing_and_does_not_tell_why() {
    let service = Service::on(gate());
    let task = finished(&service.gate, "alpha", "task/A-1");
    let body = changed(PULL, &[]);
    let sent = Sent::github(&service, "pull_request", &body);
    let right = format!("sha256={}", hmac(SECRET, &sent.body));
    let without = sent.unsigned().send();
    let refused = text(&without.is(401));
    for header in [
        ("X-Hub-Signature-256", "sha256=".to_owned()),
        ("X-Hub-Signature-256", hmac(SECRET, &sent.body)),
        ("X-Hub-Signature-256", right.replace("sha256", "sha1")),
        ("X-Hub-Signature-256", format!("{right}00")),
        ("X-Hub-Signature", right.clone()),
        ("X-Gitlab-Token", SECRET.to_owned()),
    ] {
        let answer = sent.unsigned().header(header.0, &header.1).send();
        assert_eq!(text(&answer), refused, "{header:?}");
    }
    let twice = sent.unsigned().header("X-Hub-Signature-256", &right);
    let twice = twice.header("X-Hub-Signature-256", &right).send();
    assert_eq!(text(&twice), refused);
    let no_event = service.request("POST", "/hooks/github");
    let no_event = no_event.body(sent.kind, sent.body.clone());
    let no_event = no_event.header("X-Hub-Signature-256", &right).send();
    let missing = "422 : the header `X-GitHub-Event` is missing: it says which event this is";
    assert_eq!(text(&no_event), missing);
    let unsigned = service.request("POST", "/hooks/github");
    let unsigned = unsigned.body(sent.kind, sent.body.clone()).send();
    assert_eq!(text(&unsigned), refused);
    let other_body = Sent::github(
        &service,
        "pull_request",
        &changed(PULL, &[("/number", json!(8))]),
    );
    let answer = other_body.unsigned().header("X-Hub-Signature-256", &right);
    assert_eq!(text(&answer.send()), refused);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"repository\": {\"full_name\": 1}}",
    ] {
        let sent = Sent {
            body: body.into(),
            ..Sent::github(&service, "pull_request", &Value::Null)
        };
        assert_eq!(sent.said(), refused, "{body}");
    }
    assert_eq!(stage(&service.gate, task), "analysis");
    assert_eq!(count(&service.gate, "serial_gate_hook"), 0);
    let metrics = service.get("/metrics").text;
    let line = "serial_gate_hooks_total{forge=\"github\",outcome=\"refused\"} 15";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    assert_eq!(
        sent.said(),
        "200 ended: task 1 (A-1) is done: its branch was merged"
    );
}

#[test]
fn a_long_body_a_form_and_a_deep_one_are_refused_by_name_or_taken() {
    let service = Service::on(gate());
    finished(&service.gate, "alpha", "task/A-1");
    let send = |body: Vec<u8>, kind| {
        let sent = Sent {
            body,
            kind,
            ..Sent::github(&service, "pull_request", &Value::Null)
        };
        sent.said()
    };
    let mut long = changed(PULL, &[]);
    long["pull_request"]["body"] = "x".repeat(10 << 20).into();
    let long = long.to_string().into_bytes();
    insta::assert_snapshot!(send(long, "application/json"), @"413 : a webhook has at most 5 MiB");
    let form = b"payload=%7B%7D".to_vec();
    insta::assert_snapshot!(send(form, "application/x-www-form-urlencoded"), @"415 : the body of a webhook has to be JSON: choose the content type `application/json` at the forge");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let pull = changed(PULL, &[]).to_string();
    let deep = pull.replacen('{', &format!("{{\"deep\": {deep},"), 1);
    insta::assert_snapshot!(send(deep.into_bytes(), "application/json"), @"200 ended: task 1 (A-1) is done: its branch was merged");
    // One that is longer than a usual request is taken.
    let mut large = changed(PULL, &[]);
    large["pull_request"]["body"] = "x".repeat(4 << 20).into();
    let large = large.to_string().into_bytes();
    let kind = "application/json; charset=utf-8";
    insta::assert_snapshot!(send(large, kind), @"200 nothing: task 1 (A-1) is finished already");
}

#[test]
fn a_forge_needs_no_token_and_no_loopback_name_also_behind_a_proxy() {
    let gate = gate();
    finished(&gate, "alpha", "task/A-1");
    let service = Service::on(gate);
    let closed = changed(PULL, &[("/pull_request/merged", json!(false))]);
    let open = changed(PULL, &[("/action", json!("reopened"))]);
    for body in [closed, open] {
        let sent = Sent::github(&service, "pull_request", &body);
        let signature = format!("sha256={}", hmac(SECRET, &sent.body));
        let asking = sent.unsigned().header("X-Hub-Signature-256", &signature);
        let asking = asking.header("Host", "gate.example.com");
        asking.header("X-Forwarded-For", "192.0.2.1").send().is(200);
        access_token(
            &service.gate,
            &format!("ops-{}", body["action"]),
            "operator",
        );
    }
}

#[test]
fn gitlab_and_gitea_end_a_task_too() {
    let service = Service::on(gate());
    for (forge, repo, event, body) in [
        ("gitlab", "gamma", "Merge Request Hook", MERGE_REQUEST),
        ("gitea", "delta", "pull_request", GITEA_PULL),
    ] {
        let task = finished(&service.gate, repo, "task/A-1");
        let body = changed(body, &[]);
        let wrong = Sent {
            secret: "wrong",
            ..Sent::of(forge, &service, event, &body)
        };
        wrong.send().is(401);
        assert_eq!(stage(&service.gate, task), "analysis", "{forge}");
        let said = Sent::of(forge, &service, event, &body).said();
        assert_eq!(
            said,
            format!("200 ended: task {task} (A-1) is done: its branch was merged")
        );
        let who = format!("SELECT who FROM serial_gate_audit WHERE subject = 'task {task}'");
        assert_eq!(value(&service.gate, &who).unwrap(), format!("{forge}:kim"));
    }
}

#[test]
fn the_other_forges_closed_and_forked_requests_end_nothing() {
    let service = Service::on(gate());
    let gamma = finished(&service.gate, "gamma", "task/A-1");
    let delta = finished(&service.gate, "delta", "task/A-1");
    let mut table = Vec::new();
    for (forge, event, body, changes) in [
        (
            "gitlab",
            "Merge Request Hook",
            MERGE_REQUEST,
            vec![("/object_attributes/source_project_id", json!(16))],
        ),
        (
            "gitlab",
            "Merge Request Hook",
            MERGE_REQUEST,
            vec![
                ("/object_attributes/action", json!("close")),
                ("/object_attributes/state", json!("closed")),
            ],
        ),
        (
            "gitlab",
            "Merge Request Hook",
            MERGE_REQUEST,
            vec![("/object_attributes/action", json!("update"))],
        ),
        (
            "gitea",
            "pull_request",
            GITEA_PULL,
            vec![("/pull_request/head/repo/id", json!(5))],
        ),
        (
            "gitea",
            "pull_request",
            GITEA_PULL,
            vec![("/pull_request/merged", json!(false))],
        ),
    ] {
        let body = changed(body, &changes);
        table.push(Sent::of(forge, &service, event, &body).said());
    }
    insta::assert_snapshot!(table.join("\n"), @"
    200 nothing: the branch is of another repository
    200 recorded: task 1 (A-1): its pull request was closed without a merge
    200 nothing: only opening, closing and merging are used
    200 nothing: the branch is of another repository
    200 recorded: task 2 (A-1): its pull request was closed without a merge
    ");
    assert_eq!(
        [stage(&service.gate, gamma), stage(&service.gate, delta)],
        ["analysis"; 2]
    );
}

#[test]
fn a_project_with_half_a_forge_or_without_its_secret_does_not_start() {
    let gate = Gate::new();
    let mut said = Vec::new();
    for keys in [
        "forge = \"github\"",
        "forge = \"github\"\nforge_repo = \"acme/alpha\"",
        "forge_repo = \"acme/alpha\"\nhook_secret = \"secret\"",
        "forge = \"github\"\nforge_repo = \"alpha\"\nhook_secret = \"secret\"",
        "forge = \"github\"\nforge_repo = \"acme/alpha\"\nhook_secret = \"nowhere\"",
        "forge = \"github\"\nforge_repo = \"acme/alpha\"\nhook_secret = \"empty\"",
    ] {
        gate.write("empty", "\n");
        gate.write(
            "serial-gate.toml",
            format!("[[project]]\nrepo = \"alpha\"\nremote = \"remote.git\"\n{keys}\n"),
        );
        let ran = gate.run(&["serve", "--listen", "127.0.0.1:0"]).exits(1);
        let folder = gate.path(".").display().to_string();
        let line = ran.stderr.lines().filter(|line| !line.contains("INFO"));
        let line: Vec<&str> = line.collect();
        said.push(line.join(" ").replace(folder.trim_end_matches('.'), "/"));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    error: the project of `alpha` has no `forge_repo`: webhooks need `forge`, `forge_repo` and `hook_secret` in `serial-gate.toml`
    error: the project of `alpha` has no `hook_secret`: webhooks need `forge`, `forge_repo` and `hook_secret` in `serial-gate.toml`
    error: the project of `alpha` has no `forge`: webhooks need `forge`, `forge_repo` and `hook_secret` in `serial-gate.toml`
    error: `alpha` is not a repository's full name: correct `forge_repo` of `alpha` in `serial-gate.toml`, as in `org/name`
    error: the `hook_secret` of the project `alpha` cannot be used   because cannot read `/nowhere`: check the path   because no such file or directory
    error: the `hook_secret` of the project `alpha` cannot be used   because `/empty` is empty: write the text into it, or name another file
    ");
}

#[test]
fn each_webhook_has_a_line_in_the_log() {
    let service = Service::with_log_file(gate());
    finished(&service.gate, "alpha", "task/A-1");
    let sent = Sent::github(&service, "pull_request", &changed(PULL, &[]));
    sent.unsigned().send().is(401);
    let hostile = changed(PULL, &[("/repository/full_name", json!("a\u{1b}\nb"))]);
    Sent::github(&service, "pull_request", &hostile)
        .send()
        .is(401);
    sent.send().is(200);
    // Its log is complete when it has ended.
    let gate = service.gate.clone();
    assert!(service.stop().success());
    let log = std::fs::read_to_string(gate.path("service.log")).unwrap();
    let of_hooks: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("webhook of"))
        .collect();
    assert_eq!(of_hooks.len(), 3, "{log}");
    for (line, parts) in of_hooks.iter().zip([
        ["WARN", "repository `acme/alpha`: refused: no project here"],
        [
            "WARN",
            r"repository `a\\u{1b}\\nb`: refused: no project here",
        ],
        [
            "INFO",
            "repository `acme/alpha`: ended: task 1 (A-1) is done",
        ],
    ]) {
        let told = "webhook of github: event `pull_request`";
        assert!(line.contains(told), "{line}");
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        assert!(!line.contains(SECRET), "{line}");
    }
}
