//! Every sentence that says that a repo is frozen, in every world.

use serde_json::{Value, json};

use super::{WORLDS, World, is_claimed, set};
use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::service::Service;

/// What was said, and the document where there is one.
struct Said {
    text: String,
    json: Option<Value>,
}

/// A way to freeze `alpha`, which returns what it said; nothing if it refused.
type Way = fn(&Gate) -> Option<Said>;

const WAYS: [(&str, Way); 9] = [
    ("freeze", |gate| {
        text(gate, &["freeze", "alpha", "--reason", "r"])
    }),
    ("freeze --json", |gate| {
        document(gate, &["freeze", "alpha", "--reason", "r", "--json"])
    }),
    ("deploy-verdict", |gate| {
        text(gate, &["deploy-verdict", "alpha", "--verdict", "degraded"])
    }),
    ("deploy-verdict --json", |gate| {
        document(
            gate,
            &["deploy-verdict", "alpha", "--verdict", "degraded", "--json"],
        )
    }),
    ("a healthy verdict on a frozen repo", |gate| {
        gate.run(&["freeze", "alpha", "--reason", "r", "--json"]);
        document(
            gate,
            &["deploy-verdict", "alpha", "--verdict", "healthy", "--json"],
        )
    }),
    ("the alert", |gate| {
        text(gate, &["freeze", "alpha", "--reason", "r"])?;
        text(gate, &["alerts"])
    }),
    ("POST /v1/freezes", |gate| {
        post(gate, "/v1/freezes", json!({"repo": "alpha", "reason": "r"}))
    }),
    ("POST /v1/deploys", |gate| {
        post(
            gate,
            "/v1/deploys",
            json!({"repo": "alpha", "verdict": "degraded"}),
        )
    }),
    ("the page's form", |gate| {
        let service = Service::on(gate.clone());
        let kind = "application/x-www-form-urlencoded";
        let form = service.request("POST", "/dashboard/freeze");
        let answer = form.body(kind, b"repo=alpha&reason=r".to_vec()).send();
        match answer.status {
            // Nothing has to be said besides.
            303 => Some(Said {
                text: "no task of it starts".into(),
                json: None,
            }),
            200 => Some(Said {
                text: answer.text.replace("<code>", "`").replace("</code>", "`"),
                json: None,
            }),
            _ => None,
        }
    }),
];

fn text(gate: &Gate, arguments: &[&str]) -> Option<Said> {
    let ran = gate.run(arguments);
    (ran.code == Some(0)).then_some(Said {
        text: ran.stdout,
        json: None,
    })
}

fn document(gate: &Gate, arguments: &[&str]) -> Option<Said> {
    let ran = gate.run(arguments);
    (ran.code == Some(0)).then(|| of_json(ran.json()))
}

fn post(gate: &Gate, path: &str, body: Value) -> Option<Said> {
    let answer = Service::on(gate.clone()).post(path, &body);
    (answer.status < 300).then(|| of_json(answer.json()))
}

/// A document says the same by its keys.
fn of_json(json: Value) -> Said {
    let text = match json["note"].as_str() {
        None if json["holds"] == true => "no task of it starts".into(),
        note => note.unwrap_or_default().to_owned(),
    };
    Said {
        text,
        json: Some(json),
    }
}

#[test]
fn what_is_said_of_a_freeze_is_what_the_next_claim_does() {
    let cases = WORLDS
        .iter()
        .flat_map(|world| WAYS.map(|way| (*world, way)));
    // There are nine ways, so each of them is tried in some worlds.
    for ((world, holds), (way, freeze)) in Engine::every(4, cases) {
        let gate = world.gate();
        let Some(Said { text, json }) = freeze(&gate) else {
            assert_eq!(world, World::LayerOff, "{way} was refused in {world:?}");
            continue;
        };
        let claimed = is_claimed(&gate);
        assert_eq!(claimed, !holds, "{way} in {world:?}: {text}");
        let promises = text.contains("no task of it starts");
        let warns = text.contains("start all the same");
        if world == World::HotfixLane {
            assert!(
                text.contains("label `hotfix` start all the same"),
                "{way}: {text}"
            );
        } else if world == World::LayerOff {
            // A healthy verdict freezes nothing, so it has nothing to say.
            assert!(!promises, "{way}: {text}");
        } else {
            assert_eq!(
                (promises, warns),
                (holds, !holds),
                "{way} in {world:?}: {text}"
            );
        }
        if let Some(json) = json {
            assert_eq!(json["holds"], holds, "{way} in {world:?}: {json}");
        }
    }
}

#[test]
fn repo_says_whether_its_freeze_holds() {
    for (world, holds) in Engine::every(3, WORLDS) {
        let gate = world.gate();
        gate.program()
            .run("INSERT INTO repo_freeze (repo) VALUES ('alpha')");
        let said = gate.run(&["repo", "alpha", "--json"]).succeeds().json();
        let claimed = is_claimed(&gate);
        assert_eq!(
            (&said["holds"], claimed),
            (&holds.into(), !holds),
            "{world:?}: {said}"
        );
        let is_silent = holds && world != World::HotfixLane;
        assert_eq!(said["note"].is_null(), is_silent, "{world:?}: {said}");
    }
}

#[test]
fn the_command_that_makes_a_freeze_hold_does() {
    for world in [World::GateOff, World::OutOfScope] {
        let gate = world.gate();
        let said = gate
            .run(&["freeze", "alpha", "--reason", "r"])
            .succeeds()
            .stdout;
        let (_, command) = said.split_once("make it hold with: ").expect(&said);
        let command = command.lines().next().unwrap();
        gate.run_in_shell(command).succeeds();
        assert!(!is_claimed(&gate), "{world:?}: {command}");
    }
}

#[test]
fn the_command_that_makes_a_freeze_hold_changes_all_that_is_in_the_way() {
    for settings in [
        &["--enabled", "false", "--repos", "beta"][..],
        &["--rules", r#"{"repos":["beta"]}"#],
        &["--repos", "beta", "--rules", r#"{"repos":["beta"]}"#],
        &[
            "--enabled",
            "false",
            "--repos",
            "beta",
            "--rules",
            r#"{"repos":["beta"],"finished_stages":["done"]}"#,
        ],
    ] {
        let gate = World::On.gate();
        set(&gate, settings);
        let said = gate
            .run(&["freeze", "alpha", "--reason", "r"])
            .succeeds()
            .stdout;
        let (_, command) = said.split_once("make it hold with: ").expect(&said);
        gate.run_in_shell(command.lines().next().unwrap())
            .succeeds();
        assert!(!is_claimed(&gate), "{settings:?}: {command}");
    }
}

#[test]
fn no_command_is_named_that_would_not_make_a_freeze_hold() {
    for (settings, flags) in [
        // The policy gates other agents, and switching it on is not enough.
        (
            &[
                "--enabled",
                "false",
                "--rules",
                r#"{"gated_agents":["planner"]}"#,
            ][..],
            &[][..],
        ),
        // This process's own settings stay.
        (&["--enabled", "false"], &["--repos", "beta"]),
        (&[], &["--enabled", "false"]),
    ] {
        let gate = World::On.gate();
        if !settings.is_empty() {
            set(&gate, settings);
        }
        let freeze = ["freeze", "alpha", "--reason", "r"];
        let said = gate.run(&[flags, &freeze].concat()).succeeds().stdout;
        assert!(
            !said.contains("make it hold"),
            "{settings:?} {flags:?}: {said}"
        );
    }
}

#[test]
fn a_freeze_is_released_by_the_command_that_it_names_and_not_when_there_is_a_newer_one() {
    let gate = World::On.gate();
    let freeze = || {
        gate.run(&["freeze", "alpha", "--reason", "r"])
            .succeeds()
            .stdout
    };
    let command = |said: &str| {
        let (_, command) = said.split_once("release it with: ").expect(said);
        command.lines().next().unwrap().to_owned()
    };
    let first = command(&freeze());
    let second = command(&freeze());
    gate.run_in_shell(&first).exits(1);
    assert!(!is_claimed(&gate));
    gate.run_in_shell(&second).succeeds();
    assert!(is_claimed(&gate));
}

#[test]
fn a_task_that_begins_with_an_agent_that_is_not_gated_is_named() {
    let gate = World::OtherAgents.gate();
    let said = gate
        .run(&["freeze", "alpha", "--reason", "r"])
        .succeeds()
        .stdout;
    assert!(
        said.contains("the gate holds jobs of `planner` only: tasks that begin with `analyst` start all the same"),
        "{said}"
    );
}

#[test]
fn where_nothing_waits_the_last_tasks_tell_which_agent_begins_the_next_one() {
    for (first, holds) in [("planner", false), ("analyst", true)] {
        let gate = Gate::new();
        gate.run(&["task", "add", "alpha", "--agent", first])
            .succeeds();
        gate.do_a_job();
        gate.run(&["job", "add", "1", "developer"]).succeeds();
        let freeze = ["freeze", "alpha", "--reason", "r", "--json"];
        let frozen = gate.run(&freeze).succeeds().json();
        assert_eq!(frozen["holds"], holds, "{first}: {frozen}");
        gate.run(&["task", "done", "1"]).succeeds();
        gate.run(&["task", "add", "alpha", "--agent", first])
            .succeeds();
        let claim = gate.run(&["claim"]);
        assert_eq!(claim.code, Some(if holds { 3 } else { 0 }), "{first}");
    }
}

#[test]
fn the_alert_keeps_what_was_so_when_it_was_written() {
    let gate = World::GateOff.gate();
    gate.run(&["freeze", "alpha", "--reason", "r"]).succeeds();
    gate.run(&["policy", "settings", "--enabled", "true", "--reason", "r"])
        .succeeds();
    let alerts = gate.run(&["alerts"]).succeeds().stdout;
    assert!(
        alerts.contains("`alpha` is frozen, but the gate is off"),
        "{alerts}"
    );
}

#[test]
fn a_queue_of_a_version_whose_alerts_had_no_note_is_brought_up_to_date() {
    let gate = World::On.gate();
    gate.program()
        .run("ALTER TABLE serial_gate_alert DROP COLUMN note");
    gate.run(&["freeze", "alpha", "--reason", "r"]).exits(1);
    let made = gate.run(&["init", "--json"]).succeeds().json();
    assert_eq!(
        made["changes"],
        json!([{"column": "serial_gate_alert.note"}])
    );
    gate.run(&["freeze", "alpha", "--reason", "r"]).succeeds();
}
