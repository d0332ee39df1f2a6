//! A task's whole life, for people without an orchestrator: a pipeline, a worker with a script for each
//! agent, a forge that merges, a review that sends back, a job that is tried again and then stuck, a
//! hotfix, and a freeze.

use serde_json::{Value, json};

use crate::support::Gate;
use crate::support::endpoint::Endpoint;
use crate::support::hmac::hmac;
use crate::support::look::{lines, until};
use crate::support::service::Service;
use crate::support::worker::{Project, Worker};

const SECRET: &str = "a long random text";

/// The developer commits to the task's branch, in a clone of its own.
const DEVELOP: &str = r#"#!/bin/sh
set -e
echo "$SERIAL_GATE_WORK_ITEM" >> developed
case "$SERIAL_GATE_WORK_ITEM" in B-*) echo 'the build is red' >&2; exit 1;; esac
rm -rf developer && git clone --quiet "$SERIAL_GATE_REMOTE" developer && cd developer
git checkout --quiet "$SERIAL_GATE_BRANCH"
git -c user.name=d -c user.email=d@example.com commit --quiet --allow-empty -m "$SERIAL_GATE_WORK_ITEM"
git push --quiet origin "$SERIAL_GATE_BRANCH"
"#;

/// The reviewer sends the first task back once.
const REVIEW: &str = r#"#!/bin/sh
echo "$SERIAL_GATE_WORK_ITEM" >> reviewed
if [ "$SERIAL_GATE_WORK_ITEM" = A-1 ] && [ "$(grep -c A-1 reviewed)" = 1 ]; then exit 10; fi
"#;

/// The forge: it merges a branch of its repository, and tells of it.
fn merge(project: &Project, service: &Service, branch: &str) -> Value {
    project.in_clone(&["fetch", "--quiet", "origin"]);
    project.in_clone(&["branch", "--force", branch, &format!("origin/{branch}")]);
    project.merge(branch);
    let repository = json!({"id": 4, "full_name": "acme/alpha"});
    let body = json!({
        "action": "closed",
        "pull_request": {
            "html_url": "https://gitea.example.com/acme/alpha/pulls/7",
            "merged": true,
            "merged_by": {"login": "kim"},
            "head": {"ref": branch, "label": branch, "repo_id": 4, "repo": repository},
            "base": {"ref": "main", "label": "main", "repo_id": 4, "repo": repository},
        },
        "repository": repository,
        "sender": {"login": "kim"},
    });
    let body = body.to_string().into_bytes();
    service
        .request("POST", "/hooks/gitea")
        .header("x-gitea-event", "pull_request")
        .header("x-gitea-signature", &hmac(SECRET, &body))
        .body("application/json", body)
        .send()
        .is(200)
        .json()
}

fn stage(gate: &Gate, task: &str) -> String {
    let shown = gate.run(&["task", "show", task, "--json"]).succeeds();
    shown.json()["stage"].as_str().unwrap().to_owned()
}

#[test]
fn a_task_goes_from_its_analyst_to_its_merge_and_the_next_one_starts_from_its_code() {
    let endpoint = Endpoint::new(&[]);
    let forge = "forge = \"gitea\"\nforge_repo = \"acme/alpha\"\nhook_secret = \"alpha.secret\"\n";
    let project = Project::with(&format!(
        "[alerts.webhook]\nurl = \"{}/hook\"\nsecret_file = \"secret\"",
        endpoint.url
    ));
    let gate = &project.gate;
    let config = std::fs::read_to_string(gate.path("serial-gate.toml")).unwrap();
    gate.write("serial-gate.toml", format!("{config}{forge}"));
    gate.write("secret", "a shared secret");
    gate.write("alpha.secret", SECRET);
    gate.write("develop.sh", DEVELOP);
    gate.write("review.sh", REVIEW);

    gate.run(&[
        "pipeline",
        "set",
        "analysis=analyst",
        "development=developer",
        "review=reviewer",
        "--attempts",
        "2",
    ])
    .succeeds();
    let service = Service::on(gate.clone());
    for (repo, item) in [("alpha", "A-1"), ("alpha", "A-2"), ("beta", "B-1")] {
        gate.run(&["task", "add", repo, "--work-item", item])
            .succeeds();
    }
    let worker = |agent: &str, command: &[&str]| {
        let options = [
            "work",
            "--agent",
            agent,
            "--worker",
            agent,
            "--retry-after",
            "1s",
            "--",
        ];
        Worker {
            process: gate.spawn(&[&options[..], command].concat()),
        }
    };
    let workers = [
        worker("analyst", &["true"]),
        worker("developer", &["sh", "develop.sh"]),
        worker("reviewer", &["sh", "review.sh"]),
    ];

    // The review sends the first task back, and then it waits for its merge. The second one waits.
    until("the first task is reviewed twice", || {
        stage(gate, "A-1") == "merge"
    });
    let count = |file: &str, item: &str| {
        let lines = lines(&gate.path(file));
        lines.iter().filter(|line| *line == item).count()
    };
    assert_eq!(
        [count("developed", "A-1"), count("reviewed", "A-1")],
        [2, 2]
    );
    assert_eq!(stage(gate, "A-2"), "analysis");
    assert_eq!(project.tip("task/A-2"), None);

    // The forge merges it, and the second one starts from its code, without anybody's help.
    let developed = project.tip("task/A-1").unwrap();
    let told = merge(&project, &service, "task/A-1");
    assert_eq!(told["outcome"], "ended", "{told}");
    until("the second task waits for its merge", || {
        stage(gate, "A-2") == "merge"
    });
    assert!(project.has("task/A-2", &developed));

    // The developer's job in the other repo is tried again, and then it is stuck, visibly.
    let failed = || {
        let listed = gate.run(&["job", "list", "--status", "failed", "--json"]);
        listed.succeeds().json()["jobs"][0].clone()
    };
    until("the job has failed", || failed()["work_item_id"] == "B-1");
    assert_eq!(count("developed", "B-1"), 2);
    let said = failed()["error"].as_str().unwrap().to_owned();
    assert!(said.contains("attempt 2 of 2"), "{said}");
    assert!(said.contains("the build is red"), "{said}");
    let queue = gate.run(&["queue", "beta"]).succeeds().stdout;
    assert!(
        queue.contains("failed") && queue.contains("requeue"),
        "{queue}"
    );
    let page = service.get("/repo?name=beta").is(200).text;
    assert!(page.contains("the build is red"), "{page}");
    let metrics = service.get("/metrics").is(200).text;
    let line = "serial_gate_failed_jobs{repo=\"beta\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    let alerts = endpoint.wait_for(1);
    assert_eq!(alerts[0].json()["kind"], "job_failed");

    // A hotfix passes the task in front, and a freeze; it waits for the hotfix before it.
    gate.run(&[
        "policy",
        "swap",
        "builtin:hotfix-lane",
        "--reason",
        "hotfixes",
    ])
    .succeeds();
    let hotfix = [
        "task",
        "add",
        "alpha",
        "--work-item",
        "H-1",
        "--label",
        "hotfix",
    ];
    gate.run(&hotfix).succeeds();
    until("the hotfix waits for its merge", || {
        stage(gate, "H-1") == "merge"
    });
    assert_eq!(stage(gate, "A-2"), "merge");
    gate.run(&["freeze", "alpha", "--reason", "checkout is down"])
        .succeeds();
    gate.run(&["task", "add", "alpha", "--work-item", "A-3"])
        .succeeds();
    let held = gate.run(&["explain", "A-3"]).exits(3).stdout;
    assert!(held.contains("checkout is down"), "{held}");
    let next = [
        "task",
        "add",
        "alpha",
        "--work-item",
        "H-2",
        "--label",
        "hotfix",
    ];
    gate.run(&next).succeeds();
    let held = gate.run(&["explain", "H-2"]).exits(3).stdout;
    assert!(held.contains("H-1") && !held.contains("checkout"), "{held}");
    merge(&project, &service, "task/H-1");
    until("the next hotfix waits for its merge", || {
        stage(gate, "H-2") == "merge"
    });
    assert_eq!(stage(gate, "A-3"), "analysis");

    for worker in workers {
        worker.tell(rustix::process::Signal::TERM);
        worker.ended().succeeds();
    }
    assert!(service.stop().success());
}
