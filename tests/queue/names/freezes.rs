//! Freezes as people see them: each one that is active, and a sentence that is true.

use serde_json::json;

use super::repos::gate;

#[test]
fn a_sentence_about_frozen_repos_is_true_of_one_repo_and_of_hotfixes() {
    let gate = gate(&["alpha"]);
    let all = ["freeze", "--all", "--reason", "x"];
    let said = gate.run(&all).succeeds().stdout;
    assert!(
        said.starts_with("1 repo is frozen: no task of it starts\n"),
        "{said}"
    );
    let swap = ["policy", "swap", "builtin:hotfix-lane", "--reason", "x"];
    gate.run(&swap).succeeds();
    for words in [&["queue"][..], &["explain", "1"]] {
        let ran = gate.run(words);
        let said = ran.stdout + &ran.stderr;
        assert!(!said.contains("slow") && !said.contains("author"), "{said}");
    }
    let said = gate.run(&all).succeeds().stdout;
    assert!(
        said.starts_with("1 repo is frozen\n  `alpha` is frozen, but tasks with the label"),
        "{said}"
    );
    for alert in gate.run(&["alerts", "--json"]).json_lines() {
        let text = alert["text"].as_str().unwrap();
        assert!(text.starts_with("1 repo is frozen (group "), "{text}");
    }
}

#[test]
fn a_freeze_whose_time_is_over_is_not_hidden_by_a_newer_one() {
    let gate = gate(&["alpha"]);
    let freeze = |reason: &str, more: &[&str]| {
        let words = [&["freeze", "alpha", "--reason", reason, "--json"], more].concat();
        gate.run(&words).succeeds().json()["freeze_id"].to_string()
    };
    let first = freeze("test", &["--until", "2h"]);
    gate.program()
        .run("UPDATE serial_gate_freeze_term SET until = '2026-01-01 00:00:00'");
    let queue = gate.run(&["queue"]).succeeds().stdout;
    assert!(
        queue.contains(
            "was meant to end at 2026-01-01 00:00:00 UTC (over): if the repo may go on: "
        ),
        "{queue}"
    );
    assert!(!queue.contains("older freeze"), "{queue}");
    freeze("deploy", &[]);
    let over = format!("freeze {first} was meant to end at 2026-01-01 00:00:00 UTC (over)");
    for (words, code) in [
        (&["queue"][..], 0),
        (&["repo", "alpha"], 0),
        (&["explain", "1"], 3),
    ] {
        let said = gate.run(words).exits(code).stdout;
        for line in [&over[..], "1 older freeze of the repo is active too: "] {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(
        state["per_repo"]["alpha"]["further_freezes"],
        json!({ "count": 1, "over": [{
            "freeze_id": first.parse::<i64>().unwrap(), "until": "2026-01-01T00:00:00Z",
        }] })
    );
}

#[test]
fn freezes_are_listed_with_filters_and_in_pages() {
    let gate = gate(&["alpha", "beta"]);
    let freeze = |repo: &str| {
        let words = ["freeze", repo, "--reason", "x", "--json"];
        gate.run(&words).succeeds().json()["freeze_id"].clone()
    };
    let (first, second) = (freeze("alpha"), freeze("beta"));
    gate.run(&["unfreeze", "alpha"]).succeeds();
    let listed = |words: &[&str]| {
        let words = [&["freezes", "--json"], words].concat();
        let page = gate.run(&words).succeeds().json();
        let rows = page["freezes"].as_array().unwrap().iter();
        rows.map(|row| row["freeze_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]), [second.clone(), first.clone()]);
    assert_eq!(listed(&["--active"]), std::slice::from_ref(&second));
    assert_eq!(listed(&["--repo", "alpha"]), [first]);
    assert_eq!(listed(&["--limit", "1"]), [second]);
    let table = gate.run(&["freezes", "--repo", "beta"]).succeeds().stdout;
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    let wanted = [
        "NUMBER", "REPO", "SINCE", "UNTIL", "CLEARED", "GROUP", "REASON",
    ];
    assert_eq!(head, wanted);
    let none = gate.run(&["freezes", "--repo", "gamma"]).succeeds().stdout;
    assert_eq!(none, "no such freeze\n");
}

#[test]
fn a_question_is_followed_by_no_other_mark() {
    let gate = gate(&["alpha"]);
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    gate.run(&["freeze", "alpha", "--reason", "x"]).succeeds();
    let ran = gate.run(&["job", "add", "1", "develoepr"]).succeeds();
    let said = ran.stdout + &ran.stderr;
    assert!(!said.contains("?;"), "{said}");
    assert!(said.contains("did you mean `developer`?"), "{said}");
}
