//! A policy that fails on one repo takes no other repo's verdicts, and what a hold names is not
//! taken for a fact.

use serde_json::{Value, json};

use crate::support::Gate;
use crate::support::hostile::queue_of;
use crate::support::hostile::{CLAIM, DECIDE_ALL};
use crate::support::hostile::{HARMLESS, Hostile};
use crate::support::service::Service;

/// Lets every job through, and traps on any state with a job in a repo of the name `prod`.
fn trapping(clause: &str) -> Vec<u8> {
    let next = "(local.set $row (i32.add (local.get $row) (i32.const 1)))";
    let trap = format!(
        "(local.set $symbol (i32.load (i32.add (i32.load offset=120 (local.get 0))
            (i32.shl (local.get $row) (i32.const 2)))))
         (if (local.get $symbol) (then
            (local.set $end (i32.add (i32.load offset=48 (local.get 0)) (i32.shl (local.get $symbol) (i32.const 2))))
            (local.set $start (i32.load (i32.sub (local.get $end) (i32.const 4))))
            (if (i32.and (i32.eq (i32.sub (i32.load (local.get $end)) (local.get $start)) (i32.const 4))
                    (i32.eq (i32.load (i32.add (i32.load offset=40 (local.get 0)) (local.get $start)))
                        (i32.const 0x646f7270)))
                (then unreachable))))
         {next}"
    );
    Hostile {
        decide: DECIDE_ALL.replace(next, &trap).leak(),
        claim_clause: format!(
            "(i32.store (i32.const 3080) (i32.const 4096)) (i32.store (i32.const 3084) (i32.const {})) i32.const 3072",
            clause.len()
        )
        .leak(),
        module: format!("{CLAIM} (data (i32.const 4096) \"{clause}\")").leak(),
        ..HARMLESS
    }
    .component()
}

/// Holds every job, and names these rows.
fn naming(task: Option<i64>, freeze: Option<i64>) -> Vec<u8> {
    let option = |id: Option<i64>, offset: usize| {
        id.map_or(String::new(), |id| {
            format!(
                "(i32.store8 offset={offset} (local.get $out) (i32.const 1))
                 (i64.store offset={} (local.get $out) (i64.const {id}))",
                offset + 8
            )
        })
    };
    let verdict = "(i32.store8 offset=8 (local.get $out) (global.get $verdict))";
    let held = format!("{verdict} {} {}", option(task, 16), option(freeze, 32));
    Hostile {
        decide: DECIDE_ALL.replace(verdict, &held).leak(),
        claim_clause: "(i32.store (i32.const 3080) (i32.const 4096)) (i32.store (i32.const 3084) (i32.const 9)) i32.const 3072",
        module: r#"(global $verdict i32 (i32.const 1)) (data (i32.const 4096) "AND FALSE")"#,
        ..HARMLESS
    }
    .component()
}

fn with_tasks(component: &[u8], repos: &[&str]) -> Gate {
    let gate = queue_of(component);
    // Jobs of an agent that a clause without a sub-select gates have a waiting line of the default
    // rule's agents only.
    for repo in repos {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate
}

#[test]
fn the_others_have_their_verdicts_and_the_repo_its_error() {
    // It gates analysts, whose jobs are in the waiting lines, and holds none that has a repo.
    let clause = "AND (jobs.agent <> 'analyst' OR jobs.repo IS NOT NULL)";
    let repos = ["a", "b", "prod", "c", "d", "e", "f"];
    let gate = with_tasks(&trapping(clause), &repos);
    let are_told = |state: &Value| {
        for repo in repos {
            let found = &state["per_repo"][repo];
            let (verdict, error) = (&found["waiting"][0]["verdict"], &found["error"]);
            assert_eq!(*verdict == "claim", repo != "prod", "{found}");
            assert_eq!(error.is_string(), repo == "prod", "{found}");
        }
    };
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    are_told(&state);
    let error = state["per_repo"]["prod"]["error"].as_str().unwrap();
    assert!(
        error.starts_with("the policy gives no verdicts here: the policy failed: `decide` trapped"),
        "{error}"
    );
    assert!(!error.contains('\n'), "{error}");
    let people = gate.run(&["queue"]).succeeds().stdout;
    assert_eq!(people.matches("may be claimed").count(), 6, "{people}");
    assert!(
        people.contains("the policy gives no verdicts here"),
        "{people}"
    );
    gate.run(&["explain", "1"]).succeeds();
    let failed = gate.run(&["explain", "3"]).exits(1);
    assert!(
        failed.stderr.contains("`decide` trapped"),
        "{}",
        failed.stderr
    );
    let service = Service::on(gate);
    let state = service.get("/queue").is(200).json()["serial_gate"].clone();
    are_told(&state);
    assert!(
        service
            .get("/repo?name=prod")
            .is(200)
            .text
            .contains("the policy gives no verdicts here")
    );
    let metrics = service.get("/metrics").is(200).text;
    let line = r#"serial_gate_undecided_jobs{repo="prod"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
    assert_eq!(metrics.matches("serial_gate_undecided_jobs{").count(), 1);
}

#[test]
fn a_task_is_shown_with_the_failure_where_the_policy_does_not_say_what_it_waits_for() {
    let clause = "AND (jobs.agent <> 'analyst' OR jobs.repo IS NOT NULL)";
    let gate = with_tasks(&trapping(clause), &["a", "prod"]);
    let people = gate.run(&["task", "show", "2"]).succeeds().stdout;
    let line = "  what it waits for is not known: the policy failed: `decide` trapped";
    assert!(people.contains(line), "{people}");
    let other = gate.run(&["task", "show", "1"]).succeeds().stdout;
    assert!(!other.contains("is not known"), "{other}");
    let service = Service::on(gate);
    let shown = |task: i64| service.get(&format!("/v1/tasks/{task}")).is(200).json();
    let (good, failed) = (shown(1), shown(2));
    assert_eq!(good["waiting"]["standing"], "claimable", "{good}");
    assert_eq!(good["waiting_error"], Value::Null);
    assert_eq!(failed["waiting"], Value::Null);
    let error = failed["waiting_error"].as_str().unwrap();
    assert!(
        error.starts_with("the policy failed: `decide` trapped"),
        "{error}"
    );
    assert_eq!(failed["jobs"][0]["status"], "queued");
    service.get("/tasks/2").is(200);
    // A database that fails is no failure of the policy.
    let rename = "ALTER TABLE serial_gate_output RENAME TO elsewhere";
    service.gate.program().run(rename);
    service.get("/v1/tasks/1").is(503);
}

#[test]
fn where_other_repos_have_a_say_no_part_of_the_queue_is_decided_without_the_rest() {
    let clause =
        "AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = jobs.task_id AND t.gate_label = 'x')";
    let gate = with_tasks(&trapping(clause), &["a", "prod"]);
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    let notes = state["notes"].to_string();
    assert!(
        notes.contains("there are no verdicts: the policy failed"),
        "{notes}"
    );
    assert!(
        state["per_repo"]["a"]["waiting"][0]["verdict"].is_null(),
        "{state}"
    );
}

#[test]
fn a_policy_that_fails_on_every_repo_is_asked_a_bounded_number_of_times() {
    let gate = queue_of(
        &Hostile {
            decide: "unreachable",
            ..HARMLESS
        }
        .component(),
    );
    gate.program()
        .run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO jobs (task_id, repo, agent, status) SELECT i, 'r' || i, 'analyst', 'queued' FROM n;");
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    let repos = state["per_repo"].as_object().unwrap();
    assert_eq!(repos.len(), 500);
    let not_asked = |repo: &&Value| repo["error"].as_str().unwrap().contains("was not asked");
    assert!(repos.values().filter(not_asked).count() > 300);
}

/// The verdict of job 2 in `alpha` for people, and what is noted with it.
fn of_second(component: &[u8]) -> (String, Value, String) {
    let gate = with_tasks(component, &["alpha", "alpha", "beta", "alpha"]);
    gate.run(&["freeze", "beta", "--reason", "r"]).succeeds();
    let people = gate.run(&["queue"]).succeeds().stdout;
    let line = people
        .lines()
        .find(|line| line.starts_with("2 "))
        .expect(&people);
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    let doubts = state["per_repo"]["alpha"]["waiting"][1]["doubts"].clone();
    let explained = gate.run(&["explain", "2"]).exits(3).stdout;
    let said = explained
        .lines()
        .nth(1)
        .unwrap_or_default()
        .trim()
        .to_owned();
    let (_, verdict) = line.split_once("held: ").expect(line);
    (verdict.to_owned(), doubts, said)
}

#[test]
fn a_row_that_is_not_there_or_not_what_the_policy_says_is_shown_as_its_word() {
    for (component, named) in [
        (naming(Some(999), None), "task 999, which does not exist"),
        (naming(Some(4), None), "task 4, which is not an earlier one"),
        (naming(Some(2), None), "task 2, which is not an earlier one"),
        (naming(Some(3), None), "task 3, which is not of this repo"),
        (
            naming(None, Some(77)),
            "a freeze, row 77, which does not exist",
        ),
        (
            naming(None, Some(1)),
            "a freeze, row 1, which is not of this repo",
        ),
    ] {
        let (verdict, doubts, said) = of_second(&component);
        let words = format!("the policy names {named}");
        assert_eq!(
            (verdict.as_str(), said.as_str()),
            (words.as_str(), words.as_str())
        );
        assert_eq!(doubts, json!([named]));
    }
    let (verdict, doubts, said) = of_second(&naming(Some(1), None));
    assert_eq!(
        (verdict.as_str(), doubts),
        ("task 1 comes first", Value::Null)
    );
    assert_eq!(said, "1 unfinished task ahead of it in the repo:");
}

#[test]
fn the_page_does_not_link_to_a_task_that_is_not_there() {
    let service = Service::on(with_tasks(&naming(Some(999), None), &["alpha"]));
    let page = service.get("/repo?name=alpha").is(200).text;
    assert!(
        page.contains("the policy names task 999, which does not exist"),
        "{page}"
    );
    assert!(!page.contains("waits for"), "{page}");
}
