//! Some repos or all of them: `queue REPO…`, and freezes of all repos at once, with a time.

use std::thread;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use serial_gate::store::{Actor, sql_time};

use crate::support::Gate;
use crate::support::look::{until, value};
use crate::support::service::Service;

pub fn gate(repos: &[&str]) -> Gate {
    let gate = Gate::new();
    for repo in repos {
        for _ in 0..2 {
            gate.run(&["task", "add", repo]).succeeds();
        }
    }
    gate
}

#[test]
fn the_queue_of_some_repos_is_what_the_whole_queue_says_of_them() {
    let gate = gate(&["alpha", "beta", "gamma"]);
    gate.run(&["freeze", "beta", "--reason", "x"]).succeeds();
    gate.run(&["claim"]).succeeds();
    let whole = gate.run(&["queue", "--json"]).succeeds().json();
    for repos in [&["alpha"][..], &["beta", "gamma"], &["gamma", "gamma"]] {
        let mut words = vec!["queue", "--json"];
        words.extend(repos);
        let some = gate.run(&words).succeeds().json();
        let found: Vec<&String> = some["per_repo"].as_object().unwrap().keys().collect();
        let mut wanted = repos.to_vec();
        wanted.dedup();
        assert_eq!(found, wanted);
        for repo in repos {
            assert_eq!(some["per_repo"][repo], whole["per_repo"][repo]);
        }
        assert_eq!(some.get("notes"), None);
    }
    let said = gate.run(&["queue", "alhpa"]).succeeds().stdout;
    assert!(
        said.contains("no task of `alhpa` is known: did you mean `alpha`?"),
        "{said}"
    );
    gate.run(&["queue", ""]).exits(2);
}

/// The active freezes, as `repo group`.
fn active(gate: &Gate) -> Vec<String> {
    gate.program().all(
        "SELECT repo_freeze.repo || ' ' || coalesce(CAST(made_with AS TEXT), '-')
         FROM repo_freeze LEFT JOIN serial_gate_freeze_term AS term
            ON term.\"freeze\" = repo_freeze.gate_number
         WHERE cleared_at IS NULL ORDER BY repo_freeze.repo, id",
    )
}

#[test]
fn all_repos_are_frozen_at_once_and_exactly_these_freezes_are_cleared_again() {
    let gate = gate(&["alpha", "beta"]);
    gate.run(&["freeze", "alpha", "--reason", "bad deploy"])
        .succeeds();
    let frozen = gate
        .run(&["freeze", "--all", "--reason", "move", "--json"])
        .succeeds()
        .json();
    assert_eq!(frozen["repos"], 2);
    let group = frozen["group"].to_string();
    let all = [
        "alpha -".to_owned(),
        format!("alpha {group}"),
        format!("beta {group}"),
    ];
    assert_eq!(active(&gate), all);
    gate.run(&["claim"]).exits(3);
    // A repo that appears later is not covered.
    gate.run(&["task", "add", "gamma"]).succeeds();
    gate.run(&["claim"]).succeeds();
    let said = gate.run(&["unfreeze", "--group", &group]).succeeds().stdout;
    assert_eq!(
        said,
        format!(
            "2 freezes of group {group} cleared\n  `alpha` is still frozen by another freeze\n"
        )
    );
    assert_eq!(active(&gate), ["alpha -"]);
    let again = gate.run(&["unfreeze", "--group", &group]).succeeds().stdout;
    assert_eq!(
        again,
        format!("no freeze of group {group} is active: nothing was changed\n")
    );
    let alerts = gate.run(&["alerts", "--json"]).json_lines();
    let texts: Vec<&str> = alerts
        .iter()
        .map(|alert| alert["text"].as_str().unwrap())
        .collect();
    assert_eq!(alerts.len(), 3, "one for each group: {texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.starts_with("2 repos are frozen (group "))
    );
    let audit = "SELECT count(*) FROM serial_gate_audit WHERE repo = 'beta'";
    assert_eq!(value(&gate, audit).unwrap(), "2");
}

#[test]
fn over_http_all_repos_are_frozen_too() {
    let service = Service::on(gate(&["alpha", "beta"]));
    for (body, said) in [
        (json!({ "reason": "x" }), "no repo: give `repo`, or `all`"),
        (
            json!({ "all": true, "repo": "alpha", "reason": "x" }),
            "`all` is for every known repo: leave out `repo`, `new` and `work_item`",
        ),
        (
            json!({ "all": true, "reason": "x", "until": "2026-01-01T00:00:00Z" }),
            "`until` is in the past: give a later time",
        ),
    ] {
        assert_eq!(service.post("/v1/freezes", &body).is(422).detail(), said);
    }
    let body = json!({ "all": true, "reason": "x", "until": "2100-01-01T00:00:00Z" });
    let made = service.post("/v1/freezes", &body).is(200).json();
    let group = &made["group"];
    let listed = service
        .get("/v1/freezes?active=true&repo=beta")
        .is(200)
        .json();
    assert_eq!(
        [
            &listed["freezes"][0]["until"],
            &listed["freezes"][0]["group"]
        ],
        [&json!("2100-01-01T00:00:00Z"), group]
    );
    let queue = service.get("/queue").is(200).json();
    assert_eq!(
        queue["serial_gate"]["per_repo"]["alpha"]["frozen_until"],
        "2100-01-01T00:00:00Z"
    );
    let cleared = service.post(&format!("/v1/freezes/{group}/unfreeze"), &json!({}));
    assert_eq!(
        cleared.is(200).json(),
        json!({ "group": group, "cleared": 2, "still_frozen": [] })
    );
    let listed = service.get("/v1/freezes?active=true").is(200).json();
    assert_eq!(listed, json!({ "freezes": [], "next": null }));
}

#[test]
fn a_queue_without_repos_has_nothing_to_freeze() {
    let gate = Gate::new();
    let said = gate
        .run(&["freeze", "--all", "--reason", "x"])
        .exits(1)
        .stderr;
    assert_eq!(said, "error: no repo is known, so nothing was frozen\n");
    for words in [
        &["freeze", "--reason", "x"][..],
        &["freeze", "alpha", "--all", "--reason", "x"],
        &[
            "freeze",
            "alpha",
            "--reason",
            "x",
            "--until",
            "2020-01-01T00:00:00Z",
        ],
        &["unfreeze"],
        &["unfreeze", "alpha", "--group", "1"],
    ] {
        gate.run(words).exits(2);
    }
}

#[test]
fn a_freeze_of_all_repos_is_whole_while_tasks_are_added() {
    let gate = gate(&["alpha"]);
    let others = gate.clone();
    let adding = thread::spawn(move || {
        for number in 0..20 {
            let repo = format!("repo-{number}");
            others.run(&["task", "add", &repo]).succeeds();
        }
    });
    for _ in 0..4 {
        let frozen = gate
            .run(&["freeze", "--all", "--reason", "x", "--json"])
            .succeeds()
            .json();
        let of_group = format!(
            "SELECT count(DISTINCT repo) FROM serial_gate_freeze_term WHERE made_with = {}",
            frozen["group"]
        );
        assert_eq!(
            value(&gate, &of_group).unwrap(),
            frozen["repos"].to_string()
        );
    }
    adding.join().unwrap();
    assert_eq!(
        gate.run(&["freeze", "--all", "--reason", "x", "--json"])
            .json()["repos"],
        21
    );
}

#[test]
fn a_freeze_whose_time_is_over_is_told_of_once_and_stays() {
    let gate = gate(&["alpha", "beta"]);
    let (mut queue, now) = (gate.queue(), Timestamp::now());
    let hour = SignedDuration::from_hours(1);
    let actor = Actor {
        now,
        who: "kim",
        why: "x",
    };
    let ends = Some(now + hour);
    queue
        .store()
        .freeze(actor, "alpha", None, ends, None)
        .unwrap();
    queue.freeze_all(actor, ends).unwrap();
    let told =
        |queue: &mut serial_gate::queue::Queue, at| queue.store().remind_of_freezes(at).unwrap();
    assert_eq!(told(&mut queue, now), 0);
    // One for the freeze, and one for the group.
    assert_eq!(told(&mut queue, now + hour), 2);
    assert_eq!(told(&mut queue, now + hour + hour), 0);
    assert_eq!(
        told(&mut gate.queue(), now + hour + hour),
        0,
        "after a restart"
    );
    assert_eq!(active(&gate).len(), 3, "nothing was opened");
    let alerts = gate.run(&["alerts", "--json"]).json_lines();
    let texts = alerts
        .iter()
        .map(|alert| alert["text"].as_str().unwrap().to_owned());
    let texts: Vec<String> = texts.collect();
    let time = sql_time(now + hour);
    let why = format!("the freeze was meant to end at {time} UTC. If ");
    for (begin, command) in [
        (
            "`alpha` is still frozen (freeze ",
            "serial-gate unfreeze alpha",
        ),
        (
            "2 repos are still frozen (group ",
            "serial-gate unfreeze --group ",
        ),
    ] {
        let found = texts.iter().filter(|text| {
            text.starts_with(begin) && text.contains(&why) && text.contains(command)
        });
        assert_eq!(found.count(), 1, "{begin} in {texts:?}");
    }
}

#[test]
fn the_service_reminds_of_a_freeze_and_the_queue_says_that_its_time_is_over() {
    let gate = gate(&["alpha"]);
    gate.run(&["freeze", "alpha", "--until", "1h", "--reason", "x"])
        .succeeds();
    let said = gate.run(&["queue"]).succeeds().stdout;
    assert!(
        said.contains("\n  is meant to end at 20") && !said.contains("(over)"),
        "{said}"
    );
    gate.program()
        .run("UPDATE serial_gate_freeze_term SET until = '2026-01-01 00:00:00'");
    for words in [&["queue"][..], &["repo", "alpha"], &["explain", "2"]] {
        let said = gate.run(words).stdout;
        let over = "was meant to end at 2026-01-01 00:00:00 UTC (over)";
        assert!(said.contains(over), "{said}");
    }
    let mut service = Service::on(gate);
    let reminders = "SELECT count(*) FROM serial_gate_alert WHERE kind = 'freeze_over'";
    until("there is a reminder", || {
        value(&service.gate, reminders).unwrap() == "1"
    });
    let page = service
        .request("GET", "/repo?name=alpha")
        .header("accept", "text/html")
        .send()
        .text;
    let over = "was meant to end at <time class=\"clock\" \
         datetime=\"2026-01-01T00:00:00Z\">2026-01-01 00:00:00 UTC</time> (over).</p>";
    assert!(page.contains(&format!("It {over}")), "{page}");
    // A newer freeze does not hide it.
    let newer = json!({ "repo": "alpha", "reason": "y" });
    service.post("/v1/freezes", &newer).is(200);
    let page = service
        .request("GET", "/repo?name=alpha")
        .header("accept", "text/html")
        .send()
        .text;
    assert!(page.contains(over) && !page.contains("It was"), "{page}");
    service.kill_and_start_again();
    // The next look has nothing to tell.
    service.gate.run(&["alerts", "--json"]).succeeds();
    service.post("/v1/claim", &json!({ "worker": "w" })).is(204);
    assert_eq!(value(&service.gate, reminders).unwrap(), "1");
}
