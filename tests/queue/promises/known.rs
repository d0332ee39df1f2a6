//! Names that nothing in the queue has: refused, or told.

use serde_json::json;

use super::{World, set};
use crate::support::service::Service;
use crate::support::{Gate, Ran};

fn freezes(gate: &Gate) -> i64 {
    let count = "SELECT count(*) FROM repo_freeze";
    gate.program().one(count)
}

fn freeze(gate: &Gate, repo: &str) -> Ran {
    gate.run(&["freeze", repo, "--reason", "r"])
}

#[test]
fn a_mistyped_repo_is_not_frozen_and_the_one_that_was_meant_is_named() {
    let gate = World::On.gate();
    for (repo, shown) in [
        ("alhpa", "`alhpa`"),
        ("Alpha", "`Alpha`"),
        ("alpha ", "`alpha `"),
        ("alpha\r", r"`alpha\r`"),
        ("al\u{200b}pha", r"`al\u{200b}pha`"),
        ("org/alpha", "`org/alpha`"),
    ] {
        let refused = freeze(&gate, repo).exits(1).stderr;
        let said =
            format!("no task of {shown} is known, so nothing was frozen: did you mean `alpha`?");
        assert!(refused.contains(&said), "{refused}");
        assert!(refused.contains("`--new`"), "{refused}");

        let service = Service::on(gate.clone());
        let asked = json!({"repo": repo, "reason": "r"});
        let problem = service.post("/v1/freezes", &asked).is(404).detail();
        assert!(
            problem.contains(&said) && problem.contains(r#"`"new": true`"#),
            "{problem}"
        );
    }
    assert_eq!(freezes(&gate), 0);
}

#[test]
fn a_repo_that_is_new_is_frozen_when_that_is_said() {
    let gate = World::On.gate();
    freeze(&gate, "omega").exits(1);
    gate.run(&["freeze", "omega", "--new", "--reason", "r"])
        .succeeds();
    gate.run(&["task", "add", "omega"]).succeeds();
    gate.run(&["claim", "--agent", "analyst"]).succeeds();
    gate.run(&["claim", "--agent", "analyst"]).exits(3);
    let service = Service::on(gate);
    let new = json!({"repo": "psi", "reason": "r", "new": true});
    service.post("/v1/freezes", &new).is(200);
}

#[test]
fn every_table_and_the_configuration_make_a_repo_known() {
    for known in [
        "INSERT INTO tasks (repo, stage) VALUES ('gamma', 'done')",
        "INSERT INTO jobs (repo, agent, status) VALUES ('gamma', 'developer', 'done')",
        "INSERT INTO repo_freeze (repo, cleared_at) VALUES ('gamma', '2026-01-01 00:00:00')",
        "INSERT INTO serial_gate_deploy (at, repo, verdict, who) VALUES ('', 'gamma', 'healthy', 'ci')",
    ] {
        let gate = World::On.gate();
        freeze(&gate, "gamma").exits(1);
        gate.program().run(known);
        freeze(&gate, "gamma").succeeds();
    }
    let gate = World::On.gate();
    gate.write(
        "serial-gate.toml",
        "[[project]]\nrepo = \"gamma\"\nremote = \"r.git\"\n",
    );
    freeze(&gate, "gamma").succeeds();
    let service = Service::on(gate);
    let asked = json!({"repo": "gamma", "reason": "r"});
    service.post("/v1/freezes", &asked).is(200);
}

#[test]
fn a_bad_deploy_of_an_unknown_repo_freezes_it_and_says_that_it_is_unknown() {
    let gate = World::On.gate();
    let verdict = |repo: &str| {
        let ran = gate.run(&["deploy-verdict", repo, "--verdict", "degraded"]);
        ran.succeeds().stdout
    };
    let said = verdict("alhpa");
    assert!(
        said.contains("no task of `alhpa` is known: did you mean `alpha`?"),
        "{said}"
    );
    assert_eq!(freezes(&gate), 1);
    let service = Service::on(gate.clone());
    let asked = json!({"repo": "btea", "verdict": "degraded"});
    let answer = service.post("/v1/deploys", &asked).is(201).json();
    let note = answer["note"].as_str().unwrap_or_default();
    assert!(note.contains("did you mean `beta`?"), "{answer}");
    assert!(answer["freeze_id"].is_i64(), "{answer}");
    let alerts = gate.run(&["alerts"]).succeeds().stdout;
    assert!(alerts.contains("no task of `btea` is known"), "{alerts}");
}

#[test]
fn a_mistyped_name_stays_one_although_a_deploy_has_frozen_it() {
    let gate = World::On.gate();
    let verdict = || {
        let ran = gate.run(&["deploy-verdict", "alhpa", "--verdict", "degraded"]);
        ran.succeeds().stdout
    };
    let unknown = "no task of `alhpa` is known: did you mean `alpha`?";
    for _ in 0..2 {
        let said = verdict();
        assert!(said.contains(unknown), "{said}");
    }
    let said = freeze(&gate, "alhpa").succeeds().stdout;
    assert!(said.contains(unknown), "{said}");
    let said = gate.run(&["repo", "alhpa"]).succeeds().stdout;
    assert!(said.contains(unknown), "{said}");
    // Nor is it a name that another one may have meant.
    let said = freeze(&gate, "alpha").succeeds().stdout;
    assert!(!said.contains("is known"), "{said}");
    let said = gate.run(&["repo", "alhpaa"]).succeeds().stdout;
    assert!(!said.contains("`alhpa`"), "{said}");
}

#[test]
fn an_unfreeze_of_a_repo_that_is_not_frozen_names_the_one_that_is() {
    let gate = World::On.gate();
    let said = |repo: &str| gate.run(&["unfreeze", repo]).succeeds().stdout;
    assert!(said("alhpa").contains("no task of `alhpa` is known: did you mean `alpha`?"));
    freeze(&gate, "alpha").succeeds();
    assert!(said("alhpa").contains("`alpha` is frozen"));
    assert_eq!(said("beta"), "`beta` was not frozen: nothing was changed\n");
    let service = Service::on(gate);
    let asked = json!({"repo": "alhpa", "reason": "r"});
    let answer = service.post("/serial-gate/unfreeze", &asked).is(200).json();
    assert_eq!(
        (&answer["cleared"], &answer["note"]),
        (&json!(0), &json!("`alpha` is frozen"))
    );
}

/// Every way to store a scope.
const STORES: [&[&str]; 3] = [
    &["policy", "settings", "--reason", "r"],
    &["policy", "swap", "built-in", "--reason", "r"],
    &["policy", "shadow", "built-in", "--reason", "r"],
];

fn generations(gate: &Gate) -> i64 {
    let count = "SELECT count(*) FROM serial_gate_generation";
    gate.program().one(count)
}

#[test]
fn a_stored_scope_takes_no_name_that_it_would_drop_and_none_that_is_unknown() {
    for store in STORES {
        let gate = World::On.gate();
        let try_to = |more: &[&str]| gate.run(&[store, more].concat());
        for (repos, said) in [
            ("org/app", r#"`--rules '{"repos":["org/app"]}'`"#),
            ("alpha,org/app", r#"`--rules '{"repos":["org/app"]}'`"#),
            ("alpha beta", "`alpha beta` cannot be in `repos`"),
            ("alhpa", "did you mean `alpha`?"),
            ("alpha,btea", "did you mean `beta`?"),
            ("Alpha", "did you mean `alpha`?"),
        ] {
            let refused = try_to(&["--repos", repos]).exits(1).stderr;
            assert!(refused.contains(said), "{refused}");
        }
        let rules = r#"{"repos":["alpha","alhpa"]}"#;
        let refused = try_to(&["--rules", rules]).exits(1).stderr;
        assert!(refused.contains("did you mean `alpha`?"), "{refused}");
        assert_eq!(generations(&gate), 1, "{store:?}");
        try_to(&["--repos", "org/app", "--new"]).exits(1);
        try_to(&["--repos", "alhpa", "--new"]).succeeds();
    }
}

#[test]
fn a_stored_scope_is_neither_a_text_without_a_name_nor_one_of_no_repo() {
    for store in STORES {
        let gate = World::On.gate();
        let try_to = |more: &[&str]| gate.run(&[store, more].concat());
        for repos in [",,", " ", " , "] {
            let refused = try_to(&["--repos", repos, "--new"]).exits(1).stderr;
            assert!(
                refused.contains(&format!("`{repos}` names no repo")),
                "{refused}"
            );
        }
        let rules = r#"{"repos":["beta"]}"#;
        let refused = try_to(&["--repos", "alpha", "--rules", rules, "--new"])
            .exits(1)
            .stderr;
        assert!(
            refused.contains(
                "`repos` (`alpha`) and `repos` in the rules (`beta`) have no repo in common"
            ),
            "{refused}"
        );
        assert_eq!(generations(&gate), 1, "{store:?}");
        try_to(&["--repos", "alpha,beta", "--rules", rules]).succeeds();
    }
    let gate = World::On.gate();
    set(&gate, &["--repos", "alpha"]);
    let service = Service::on(gate);
    let rules = "%7B%22repos%22%3A%5B%22beta%22%5D%7D";
    let path = format!("/v1/policy/swap?reason=r&rules={rules}");
    let asked = service
        .request("POST", &path)
        .body("application/wasm", Vec::new());
    let problem = asked.send().is(422).detail();
    assert!(problem.contains("have no repo in common"), "{problem}");
}

#[test]
fn an_init_that_keeps_the_stored_settings_says_so() {
    let gate = World::On.gate();
    let said = gate.run(&["init", "--repos", "alpha"]).succeeds().stdout;
    assert!(
        said.contains(
            "the stored settings stay as they are: `serial-gate policy settings` changes them"
        ),
        "{said}"
    );
    set(&gate, &["--repos", "alpha"]);
    let said = gate.run(&["init", "--repos", "alpha"]).succeeds().stdout;
    assert!(!said.contains("stay as they are"), "{said}");
    let said = gate.run(&["init"]).succeeds().stdout;
    assert!(!said.contains("stay as they are"), "{said}");
}

#[test]
fn a_scope_that_is_stored_already_is_no_obstacle_to_other_changes() {
    let gate = World::On.gate();
    let settings =
        |more: &[&str]| gate.run(&[&["policy", "settings", "--reason", "r"], more].concat());
    settings(&["--repos", "omega", "--new"]).succeeds();
    settings(&["--freeze-enabled", "false"]).succeeds();
    settings(&["--repos", "omega,alpha"]).succeeds();
    settings(&["--repos", "omega,alhpa"]).exits(1);
}

#[test]
fn the_service_refuses_rules_with_a_mistyped_repo() {
    let service = Service::on(World::On.gate());
    let swap = |rules: &str, more: &str| {
        let path = format!("/v1/policy/swap?reason=r&rules={rules}{more}");
        service
            .request("POST", &path)
            .body("application/wasm", Vec::new())
            .send()
    };
    let mistyped = "%7B%22repos%22%3A%5B%22alhpa%22%5D%7D";
    let problem = swap(mistyped, "").is(404).detail();
    assert!(problem.contains("did you mean `alpha`?"), "{problem}");
    swap(mistyped, "&new=true").is(200);
}

#[test]
fn init_checks_the_scope_that_it_stores() {
    let gate = Gate::empty();
    let refused = gate.run(&["init", "--repos", "org/app"]).exits(1).stderr;
    assert!(refused.contains(r#"{"repos":["org/app"]}"#), "{refused}");
    assert!(!gate.is_there());
    gate.run(&["init", "--repos", "alpha"]).succeeds();
    // It has settings, which stay.
    gate.run(&["init", "--repos", "org/app"]).succeeds();

    let gate = Gate::empty();
    gate.program().run(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT);
             INSERT INTO tasks (repo, stage) VALUES ('alpha', 'done')",
    );
    let refused = gate.run(&["init", "--repos", "alhpa"]).exits(1).stderr;
    assert!(refused.contains("did you mean `alpha`?"), "{refused}");
    gate.run(&["init", "--repos", "alhpa", "--new"]).succeeds();
}

#[test]
fn what_the_environment_and_the_file_say_is_read_as_ever_also_where_it_is_stored() {
    let gate = World::On.gate();
    gate.write("serial-gate.toml", "repos = \"alpha,no/repo\"\n");
    gate.run(&["policy", "settings", "--reason", "r"])
        .succeeds();
    let gate = World::On
        .gate()
        .with_environment(vec![("SERIAL_GATE_REPOS", "beta,no/repo".into())]);
    gate.run(&["policy", "swap", "built-in", "--reason", "r"])
        .succeeds();
    gate.run(&["policy", "settings", "--repos", "no/repo", "--reason", "r"])
        .exits(1);
}

#[test]
fn what_one_command_is_told_is_read_as_ever() {
    let gate = World::On.gate();
    let ran = gate.run(&["clause", "--repos", "org/app"]).succeeds();
    assert!(!ran.stdout.contains("IN ("), "{}", ran.stdout);
    gate.run(&["--repos", "nobody,org/app", "claim"]).succeeds();
}
