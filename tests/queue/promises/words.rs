//! Sentences about agents and scope: what is waited for, what finds nothing, where the gate acts.

use super::{World, is_claimed};
use crate::support::Gate;

#[test]
fn a_claim_for_an_agent_that_no_job_ever_had_says_so() {
    let gate = World::On.gate();
    let said = gate.run(&["claim", "--agent", "analist"]).exits(3).stdout;
    assert_eq!(
        said,
        "nothing to claim: no job has ever been for `analist`; known agents: `analyst`\n"
    );
    gate.run(&["claim", "--agent", "analyst"]).succeeds();
    let said = gate.run(&["claim", "--agent", "analyst"]).exits(3).stdout;
    assert_eq!(
        said,
        "nothing to claim: `serial-gate queue` shows what waits, and why\n"
    );
}

#[test]
fn a_claim_that_waits_says_what_for() {
    let gate = World::On.gate();
    let ran = gate
        .run(&["claim", "--agent", "analist", "--wait", "1"])
        .exits(3);
    assert!(
        ran.stderr.contains(
            "waiting for jobs of `analist`: 0 queued; no job has ever been for `analist`"
        )
    );
}

#[test]
fn a_worker_says_at_once_what_it_waits_for() {
    let gate = World::On.gate();
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    gate.run(&["freeze", "alpha", "--reason", "r"]).succeeds();
    for (agent, said) in [
        (
            "analist",
            "no job has ever been for `analist`; known agents: `analyst`, `developer`",
        ),
        (
            "analyst",
            "waiting for jobs of `analyst`: 1 queued, none of them may be claimed",
        ),
    ] {
        let log = log_of(&gate, agent);
        assert!(log.contains(said), "{log}");
    }
}

/// The log of a worker until it has said what it waits for.
fn log_of(gate: &Gate, agent: &str) -> String {
    use std::io::{BufRead, BufReader};
    let mut worker = gate.spawn(&["work", "--agent", agent, "--", "true"]);
    let mut lines = BufReader::new(worker.stderr.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("waiting for")));
    worker.kill().unwrap();
    worker.wait().unwrap();
    line.unwrap().unwrap()
}

#[test]
fn the_gate_acts_where_it_is_said_to() {
    for (world, acts) in [
        (World::On, true),
        (World::GateOff, false),
        (World::OutOfScope, false),
        (World::OutOfRules, false),
        (World::InTheRules, true),
    ] {
        let gate = world.gate();
        gate.run(&["task", "add", "alpha"]).succeeds();
        let said = gate.run(&["repo", "alpha"]).succeeds().stdout;
        assert_eq!(said.contains("acts here"), acts, "{world:?}: {said}");
        assert!(is_claimed(&gate));
        assert_eq!(is_claimed(&gate), !acts, "{world:?}");
    }
}

#[test]
fn the_gate_acts_where_a_policy_that_fails_leaves_repos_frozen() {
    let gate = World::PolicyFails.gate();
    gate.program().run(
        r#"UPDATE serial_gate_generation
               SET settings = replace(settings, '"rules":null', '"rules":"{\"repos\":[\"beta\"]}"')
               WHERE state = 'active'"#,
    );
    gate.program()
        .run("INSERT INTO repo_freeze (repo) VALUES ('alpha')");
    for verb in [&["queue"][..], &["repo", "alpha"]] {
        let said = gate.run(verb).succeeds().stdout;
        assert!(!said.contains("does not act here"), "{said}");
    }
    let page = crate::support::service::Service::on(gate.clone())
        .get("/repo?name=alpha")
        .is(200)
        .text;
    assert!(!page.contains("does not act here"), "{page}");
    assert!(!is_claimed(&gate));
}

#[test]
fn a_repo_whose_name_only_looks_like_one_in_scope_is_not_acted_in() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", " alpha "]).succeeds();
    }
    gate.run(&[
        "policy", "settings", "--repos", "alpha", "--new", "--reason", "r",
    ])
    .succeeds();
    let said = gate.run(&["repo", " alpha "]).succeeds().stdout;
    assert!(said.contains("does not act here"), "{said}");
    // The reference's helper, as ever.
    let document = gate.run(&["repo", " alpha ", "--json"]).succeeds().json();
    assert_eq!(
        (&document["applies"], &document["acts"]),
        (&true.into(), &false.into())
    );
    let said = gate.run(&["queue"]).succeeds().stdout;
    assert!(said.contains("the gate does not act here"), "{said}");
    let page = crate::support::service::Service::on(gate.clone())
        .get("/repo?name=+alpha+")
        .is(200)
        .text;
    assert!(page.contains("The gate does not act here"), "{page}");
    assert!(is_claimed(&gate) && is_claimed(&gate));
}

#[test]
fn a_repo_with_a_slash_is_gated_by_the_rules_alone() {
    let gate = Gate::new();
    for repo in ["org/app", "org/app", "beta", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    let rules = r#"{"repos":["org/app"]}"#;
    gate.run(&["policy", "settings", "--rules", rules, "--reason", "r"])
        .succeeds();
    let claimed: Vec<String> = std::iter::from_fn(|| {
        let ran = gate.run(&["claim", "--json"]);
        (ran.code == Some(0)).then(|| ran.json()["repo"].as_str().unwrap().to_owned())
    })
    .collect();
    assert_eq!(claimed, ["org/app", "beta", "beta"]);
    let explained = gate.run(&["explain", "2"]).exits(3).stdout;
    assert!(explained.contains("held"), "{explained}");
    let doctor = gate.run(&["doctor"]).succeeds().stdout;
    assert!(!doctor.contains("looks at every"), "{doctor}");
}

#[test]
fn a_scope_of_this_command_only_that_is_nearly_a_repo_is_told() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let note = "WARN the gate acts only in the repos of `repos`, and no task of `alhpa` is known: did \
                you mean `alpha`?";
    for (repos, is_told) in [("alhpa", true), ("alpha", false), ("another", false)] {
        let ran = gate.run(&["claim", "--repos", repos]);
        assert_eq!(
            ran.stderr.contains(note),
            is_told,
            "{repos}: {}",
            ran.stderr
        );
    }
}
