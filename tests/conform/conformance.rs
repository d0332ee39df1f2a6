//! The reference's 416 cases, through the rule in each of its forms. Every field counts.

use jiff::Timestamp;
use serial_gate::clause::Footprint;
use serial_gate::conform::{Runner, Through};
use serial_gate::policy::{Allowance, DEFAULT_POLICY, Runtime};
use serial_gate::queue::Queue;
use serial_gate_default_policy::rule::Rule;
use serial_gate_default_policy::serial::Serial;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{cases, decide_natively};
use crate::support::engine;
use crate::support::native::native_settings;
use crate::support::programs::required;
use crate::support::{Gate, fixtures};

#[track_caller]
fn all_pass(through: Through<'_>) {
    let mut runner = Runner::new(
        DEFAULT_POLICY,
        Allowance::default(),
        Runtime::new().unwrap(),
    )
    .unwrap();
    let cases = cases();
    assert_eq!(cases.len(), 416);
    for case in cases {
        for field in [
            "clause",
            "claimable",
            "claim_order",
            "frozen",
            "applies",
            "active",
            "snapshot",
        ] {
            assert!(
                case.expected.contains_key(field),
                "{} expects no {field}",
                case.name
            );
        }
        let differences = runner.run(&case, through).unwrap();
        assert!(differences.is_empty(), "{}: {differences:#?}", case.name);
    }
}

#[test]
fn the_spliced_sql_passes_all_cases() {
    all_pass(Through::Clause);
}

#[test]
fn the_component_s_decide_passes_all_cases() {
    all_pass(Through::Decisions(&|queue, now| queue.decide(now, None)));
}

#[test]
fn the_native_rule_passes_all_cases() {
    all_pass(Through::Decisions(&|queue: &mut Queue, _| {
        let state = queue
            .store()
            .snapshot(&Footprint::of_every_clause(), None)?;
        Ok(decide_natively(queue.settings(), &state).unwrap())
    }));
}

#[test]
fn every_case_whose_values_a_server_stores_passes_there() {
    if required("SERIAL_GATE_TEST_PG", "the cases in a server").is_none() {
        return;
    }
    let base = format!("conform_{}", std::process::id());
    let mut client = engine::client();
    client
        .batch_execute(&format!("CREATE DATABASE {base}"))
        .unwrap();
    let parameters = engine::server();
    let parameters = parameters.split_whitespace();
    let parameters = parameters.filter(|parameter| !parameter.starts_with("dbname="));
    let server = format!("{} dbname={base}", parameters.collect::<Vec<_>>().join(" "));
    let url = engine::url(&server);
    let gate = Gate::folder();
    let files = ["edge.jsonl", "random.jsonl"].map(|file| fixtures(file).display().to_string());
    let ran = gate.run(&["--db", &url, "conform", &files[0], &files[1]]);
    let ran = ran.succeeds();
    insta::assert_snapshot!(ran.stdout, @r"
    not storable nul-in-repo: `repo` of `tasks` has a NUL
    not storable r5-mixed: `repo` of `tasks` has a NUL
    not storable r79-mixed: `repo` of `repo_freeze` has a NUL
    not storable r178-freeze_heavy: `repo` of `repo_freeze` has a NUL
    not storable r194-batch_fresh: `repo` of `tasks` has a NUL
    not storable r206-neg: `repo` of `repo_freeze` has a NUL
    not storable r221-mixed: `repo` of `tasks` has a NUL
    not storable r230-batch_fresh: `repo` of `tasks` has a NUL
    not storable r280-null_heavy: `repo` of an operation has a NUL
    not storable r297-mixed: `repo` of `tasks` has a NUL
    not storable r298-mixed: `repo` of `tasks` has a NUL
    405 passed, 0 failed, 11 not storable in PostgreSQL
    ");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'serial_gate%'";
    let mut in_base = postgres::Client::connect(&server, postgres::NoTls).unwrap();
    let left: i64 = in_base.query_one(schemas, &[]).unwrap().get(0);
    assert_eq!(left, 0, "the schema is dropped in the end");
    drop(in_base);
    client
        .batch_execute(&format!("DROP DATABASE {base}"))
        .unwrap();
}

#[test]
fn the_native_clause_is_the_component_s_to_the_byte() {
    let policy = Runtime::new()
        .unwrap()
        .load(DEFAULT_POLICY, Allowance::default())
        .unwrap();
    for repos in [
        "",
        "alpha",
        " b,a ,, o'brien, b",
        "org/repo",
        "\u{1f}x\u{3000},-._",
    ] {
        for (enabled, freeze_enabled) in [(true, true), (true, false), (false, true)] {
            for rules in [
                None,
                Some(r#"{"gated_agents":["a","b'"],"finished_stages":["x","done"]}"#),
            ] {
                let settings = serial_gate::model::Settings {
                    enabled,
                    repos: repos.into(),
                    freeze_enabled,
                    rules: rules.map(Into::into),
                };
                let native = Serial::claim_clause(&native_settings(&settings).unwrap(), 0);
                let component = policy.claim_clause(
                    &settings,
                    Timestamp::UNIX_EPOCH,
                    serial_gate::model::Dialect::Postgres,
                );
                assert_eq!(component.unwrap().text, native);
            }
        }
    }
}

#[test]
fn a_case_that_expects_something_else_fails_and_is_told_field_by_field() {
    let gate = Gate::folder();
    let line = std::fs::read_to_string(fixtures("edge.jsonl")).unwrap();
    let wrong = line
        .lines()
        .next()
        .unwrap()
        .replace(r#""claimable":[]"#, r#""claimable":[7]"#);
    gate.write("wrong.jsonl", wrong);
    let ran = gate
        .run(&["conform", "wrong.jsonl", "--junit", "report.xml"])
        .exits(1);
    assert_eq!(
        ran.stdout,
        "failed empty\n  [clause] claimable: expected [7], got []\n  \
         [decide] claimable: expected [7], got []\n0 passed, 1 failed\n"
    );
    let report = std::fs::read_to_string(gate.path("report.xml")).unwrap();
    assert!(
        report.contains("failures=\"1\"") && report.contains("claimable: expected [7], got []")
    );
}

#[test]
fn the_binary_says_how_many_cases_passed() {
    let (edge, random) = (fixtures("edge.jsonl"), fixtures("random.jsonl"));
    let files = [edge.to_str().unwrap(), random.to_str().unwrap()];
    let ran = Gate::folder()
        .run(&["conform", files[0], files[1]])
        .succeeds();
    assert_eq!(ran.stdout, "416 passed, 0 failed\n");
}

#[test]
fn the_component_imports_nothing() {
    let engine = Engine::default();
    let component = Component::new(&engine, DEFAULT_POLICY).unwrap();
    let imports: Vec<_> = component
        .component_type()
        .imports(&engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(imports, [""; 0]);
}

#[test]
fn the_component_is_at_most_300_kib() {
    assert!(
        DEFAULT_POLICY.len() <= 300 << 10,
        "{} bytes",
        DEFAULT_POLICY.len()
    );
}

/// What the command says of one case.
fn conform(case: &str) -> crate::support::Ran {
    let gate = Gate::folder();
    gate.write("cases.jsonl", case.replace('\n', " "));
    gate.run(&["conform", "cases.jsonl"])
}

#[test]
fn a_case_may_set_the_policy_s_rules() {
    conform(
        r#"{"case": {"settings": {"enabled": true, "freeze_enabled": true, "rules": {"gated_agents": ["planner"]}},
            "tasks": [{"id": 1, "repo": "a", "stage": "review", "gate_label": "hotfix"}],
            "jobs": [{"id": 1, "task_id": 2, "repo": "a", "agent": "analyst"},
                {"id": 2, "task_id": 2, "repo": "a", "agent": "planner"}]},
            "expected": {"claimable": [1]}}"#,
    )
    .succeeds();
}

#[test]
fn a_column_that_does_not_exist_is_refused() {
    let ran = conform(
        r#"{"case": {"settings": {}, "tasks": [{"id": 1, "label": "hotfix"}]}, "expected": {}}"#,
    );
    insta::assert_snapshot!(ran.exits(1).stdout, @r"
    failed line 1
      [clause] `label` is not a column of `tasks`: write `id`, `work_item_id`, `repo`, `stage`, `gate_label`
      [decide] `label` is not a column of `tasks`: write `id`, `work_item_id`, `repo`, `stage`, `gate_label`
    0 passed, 1 failed
    ");
}
