//! The directions of failure: what the queue does when a part of it is broken.

use std::time::Duration;

use jiff::Timestamp;
use serial_gate::gate::{Rule, Source, default_settings};
use serial_gate::model::{Dialect, Jobs, Settings, Verdict, task_id_kind};
use serial_gate::policy::{self, Allowance, DEFAULT_POLICY, Policy, Runtime};
use serial_gate::queue::{Options, Queue};

use crate::support::Gate;
use crate::support::engine::Does;
use crate::support::hostile::nothing;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A policy that may use no memory, and therefore always fails.
fn broken() -> Rule {
    Rule::Given {
        component: DEFAULT_POLICY.to_vec(),
        settings: default_settings(),
        allowance: Allowance {
            memory_mib: 0,
            ..Allowance::default()
        },
    }
}

fn good() -> Rule {
    Rule::built_in(default_settings())
}

/// Two tasks in `alpha`, of which the second is held, and one in the frozen `beta`.
fn gate() -> Gate {
    let gate = Gate::new();
    for repo in ["alpha", "alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate.run(&["freeze", "beta", "--new", "--reason", "bad deploy"])
        .succeeds();
    gate
}

fn open(gate: &Gate, rule: Rule) -> Queue {
    Queue::open(gate.place(), rule, Options::default()).unwrap()
}

#[test]
fn a_policy_that_never_worked_keeps_no_order_but_frozen_repos_stay_closed() {
    let gate = gate();
    let mut queue = open(&gate, broken());
    assert_eq!(queue.clause(NOW).unwrap().source, Source::FreezeOnly);
    assert_eq!(queue.claimable(NOW).unwrap(), [1, 2]);
}

#[test]
fn a_policy_that_worked_once_is_replaced_by_its_last_good_clause() {
    let gate = gate();
    open(&gate, good())
        .claim(NOW, "worker", Duration::from_secs(60))
        .unwrap()
        .unwrap();
    let mut queue = open(&gate, broken());
    let clause = queue.clause(NOW).unwrap();
    assert_eq!(clause.source, Source::LastGood);
    assert!(
        clause.notes[0].contains("`claim-clause` wanted more memory than its 0 MiB"),
        "{:?}",
        clause.notes
    );
    assert_eq!(queue.claimable(NOW).unwrap(), [0; 0]);
}

#[test]
fn a_last_good_clause_that_somebody_changed_in_the_database_is_checked_again() {
    let gate = gate();
    open(&gate, good())
        .claim(NOW, "worker", Duration::from_secs(60))
        .unwrap()
        .unwrap();
    gate.program()
        .run("UPDATE serial_gate_clause SET text = 'AND 1=1) OR (1=1'");
    assert_eq!(
        open(&gate, broken()).clause(NOW).unwrap().source,
        Source::FreezeOnly
    );
}

#[test]
fn the_last_good_clause_of_other_settings_is_not_used() {
    let gate = gate();
    open(&gate, good())
        .claim(NOW, "worker", Duration::from_secs(60))
        .unwrap()
        .unwrap();
    let mut queue = open(&gate, broken());
    queue.set_settings(Settings {
        repos: "alpha".into(),
        ..default_settings()
    });
    assert_eq!(queue.clause(NOW).unwrap().source, Source::FreezeOnly);
}

#[test]
fn rules_that_the_policy_refuses_stop_the_command_that_was_given_them() {
    let gate = gate();
    for verb in [&["claim"][..], &["queue"], &["explain", "2"], &["clause"]] {
        let ran = gate
            .run(&[&["--rules", r#"{"gated":[]}"#], verb].concat())
            .exits(1);
        assert!(
            ran.stderr.contains(
                "unknown field `gated`, expected one of `gated_agents`, `finished_stages`, `repos`"
            ),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(
        open(&gate, good()).claimable(NOW).unwrap(),
        [1],
        "nothing was claimed"
    );
}

#[test]
fn rules_that_are_not_an_object_are_refused_at_every_way_in() {
    let list = r#"[["planner"],["analysis"]]"#;
    for rules in [list, "[]", "1", "null", "\"x\"", "oops", ""] {
        let gate = gate();
        let ways: [&[&str]; 4] = [
            &["claim"],
            &["queue"],
            &["policy", "settings", "--reason", "r"],
            &["policy", "check", "built-in"],
        ];
        for verb in ways {
            let refused = gate.run(&[verb, &["--rules", rules]].concat());
            assert_eq!(refused.code, Some(1), "{rules}, {verb:?}");
            let said = format!("{}{}", refused.stdout, refused.stderr);
            assert!(
                said.contains("the rules are not a JSON object"),
                "{rules}, {verb:?}: {said}"
            );
        }
        gate.write("serial-gate.toml", format!("rules = {rules:?}"));
        let ran = gate.run(&["claim"]).exits(1);
        assert!(ran.stderr.contains("the rules are not a JSON object"));
        let init = Gate::empty().run(&["init", "--rules", rules]).exits(1);
        assert!(init.stderr.contains("the rules are not a JSON object"));
    }
}

#[test]
fn stored_rules_that_are_not_an_object_are_a_failure_of_the_policy_that_is_not_asked() {
    let gate = gate();
    let mut queue = open(&gate, good());
    queue.set_settings(Settings {
        rules: Some(r#"[["planner"],["analysis"]]"#.into()),
        ..default_settings()
    });
    assert_eq!(queue.clause(NOW).unwrap().source, Source::FreezeOnly);
    assert_eq!(queue.finished_stages().unwrap().first(), "done");
}

#[test]
fn a_running_host_whose_rules_turn_bad_says_so_and_keeps_frozen_repos_closed() {
    let gate = gate();
    let mut queue = open(&gate, good());
    queue.set_settings(Settings {
        rules: Some("oops".into()),
        ..default_settings()
    });
    let state = queue.state(NOW, &[]).unwrap();
    assert!(
        state.notes[0].starts_with("the policy gives no usable clause"),
        "{:?}",
        state.notes
    );
    assert_eq!(queue.claimable(NOW).unwrap(), [1, 2]);
}

#[test]
fn when_the_policy_has_rules_of_its_own_and_fails_no_agent_starts_in_a_frozen_repo() {
    let gate = gate();
    gate.run(&["job", "add", "3", "planner"]).succeeds();
    let mut queue = open(&gate, broken());
    queue.set_settings(Settings {
        rules: Some(r#"{"gated_agents":["planner"]}"#.into()),
        ..default_settings()
    });
    assert_eq!(queue.claimable(NOW).unwrap(), [1, 2]);
}

#[test]
fn a_scope_that_is_too_long_for_a_clause_stops_no_queue_and_opens_no_frozen_repo() {
    let gate = gate();
    let mut queue = open(&gate, good());
    let repos: Vec<String> = (0..14_000).map(|number| format!("repo-{number}")).collect();
    queue.set_settings(Settings {
        repos: repos.join(","),
        ..default_settings()
    });
    assert_eq!(queue.clause(NOW).unwrap().source, Source::FreezeOnly);
    assert_eq!(queue.claimable(NOW).unwrap(), [1, 2]);
}

#[test]
fn a_policy_without_a_usable_clause_still_decides_over_all_rows() {
    let gate = gate();
    let mut queue = open(&gate, good());
    let many = (0..14_000).map(|number| format!(",repo-{number}"));
    queue.set_settings(Settings {
        repos: format!("alpha,beta{}", many.collect::<String>()),
        ..default_settings()
    });
    assert_eq!(queue.clause(NOW).unwrap().source, Source::FreezeOnly);
    let decisions = queue.decide(NOW, None).unwrap().into_iter();
    let blockers = decisions.map(|decision| match decision.verdict {
        Verdict::Claim => None,
        Verdict::Hold(hold) => hold.earlier_task.or(hold.freeze),
    });
    assert_eq!(blockers.collect::<Vec<_>>(), [None, Some(1), Some(1)]);
}

#[test]
fn without_the_kill_switch_the_queue_behaves_as_if_there_were_no_gate() {
    let gate = gate();
    let mut queue = open(&gate, broken());
    queue.set_settings(Settings {
        enabled: false,
        ..default_settings()
    });
    assert_eq!(queue.clause(NOW).unwrap().source, Source::Off);
    assert_eq!(queue.claimable(NOW).unwrap(), [1, 2, 3]);
}

#[test]
fn a_freeze_that_cannot_be_read_counts_as_one() {
    let gate = gate();
    let mut queue = open(&gate, good());
    assert!(!queue.is_frozen(Some("alpha")));
    gate.program().run("DROP TABLE repo_freeze");
    assert!(queue.is_frozen(Some("alpha")));
    queue.set_settings(Settings {
        freeze_enabled: false,
        ..default_settings()
    });
    assert!(
        !queue.is_frozen(Some("alpha")),
        "but not while freezes are switched off"
    );
}

#[test]
fn a_freeze_that_cannot_be_written_is_an_error() {
    let gate = gate();
    let no = Does::Refuse("no");
    gate.program()
        .trigger("no", "BEFORE INSERT ON repo_freeze", None, &no);
    gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
        .exits(1);
    assert_eq!(
        gate.run(&["repo", "alpha", "--json"]).succeeds().json()["frozen"],
        false
    );
}

#[test]
fn one_repo_s_broken_state_leaves_the_others_readable() {
    let gate = gate();
    let names = gate.program();
    names.run("INSERT INTO tasks (repo, stage, work_item_id) VALUES ('gamma', x'ff', 2.5)");
    names
        .run("INSERT INTO jobs (task_id, repo, agent) VALUES (4, 'gamma', 'analyst'), ('x', x'00', 'analyst')");
    let state = gate.run(&["queue", "--json"]).succeeds().json();
    assert_eq!(state["per_repo"]["gamma"]["active_task"]["stage"], "ff");
    assert_eq!(state["per_repo"]["alpha"]["waiting"][0]["verdict"], "claim");
}

fn policy(limits: Allowance) -> Policy {
    Runtime::new()
        .unwrap()
        .load(DEFAULT_POLICY, limits)
        .unwrap()
}

#[test]
fn a_call_that_takes_too_long_is_stopped() {
    const JOBS: usize = 300_000;
    let mut state = nothing();
    let [alpha, analyst, queued] =
        ["alpha", "analyst", "queued"].map(|text| state.symbols.push(text));
    state.jobs = Jobs {
        id: (0..JOBS as i64).collect(),
        task_id: (0..JOBS as i64).collect(),
        task_id_kind: vec![task_id_kind::ID; JOBS],
        repo: vec![alpha; JOBS],
        agent: vec![analyst; JOBS],
        status: vec![queued; JOBS],
    };
    let limits = Allowance {
        decide_ms: 1,
        ..Allowance::default()
    };
    let error = policy(limits)
        .decide(&default_settings(), Timestamp::UNIX_EPOCH, &state)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`decide` was stopped after 1 ms, its time limit"
    );
}

#[test]
fn a_snapshot_whose_columns_differ_in_length_or_whose_symbols_are_not_there_is_refused() {
    let refused = |state| {
        let error = policy(Allowance::default()).decide(&default_settings(), NOW, &state);
        error.unwrap_err().to_string()
    };
    let mut state = nothing();
    state.tasks.work_item.push(0);
    assert_eq!(
        refused(state),
        "`decide` refuses the snapshot: the columns of `tasks` differ in length"
    );
    let mut state = nothing();
    state.freezes.id.push(1);
    assert_eq!(
        refused(state),
        "`decide` refuses the snapshot: the columns of `freezes` differ in length"
    );
    let mut state = nothing();
    state.jobs = Jobs {
        id: vec![1],
        task_id: vec![0],
        task_id_kind: vec![task_id_kind::NULL],
        repo: vec![0],
        agent: vec![0],
        status: vec![7],
    };
    assert_eq!(
        refused(state.clone()),
        "`decide` refuses the snapshot: symbol 7 is not in `symbols`"
    );
    // The text of symbol 7 would end behind all texts.
    state.symbols.ends = vec![0, 0, 0, 0, 0, 0, 0, 9];
    assert_eq!(
        refused(state),
        "`decide` refuses the snapshot: symbol 7 is not in `symbols`"
    );
}

#[test]
fn an_answer_that_is_too_large_is_refused() {
    let limits = Allowance {
        result_mib: 0,
        ..Allowance::default()
    };
    let error = policy(limits)
        .claim_clause(&default_settings(), Timestamp::UNIX_EPOCH, Dialect::Sqlite)
        .unwrap_err();
    assert!(
        matches!(
            error,
            policy::Error::Result {
                export: "claim-clause",
                mib: 0
            }
        ),
        "{error}"
    );
}

#[test]
fn a_policy_that_wants_too_much_memory_is_stopped() {
    let limits = Allowance {
        memory_mib: 1,
        ..Allowance::default()
    };
    let error = policy(limits).describe().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`describe` wanted more memory than its 1 MiB"
    );
}

#[test]
fn where_a_clause_needs_more_than_its_budget_gated_jobs_are_held_and_the_others_go_on() {
    let gate = Gate::new();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)";
    gate.program()
        .run(format!(
            "{rows} INSERT INTO tasks (repo, stage) SELECT 'alpha', 'analysis' FROM n;
             {rows} INSERT INTO jobs (task_id, repo, agent) SELECT i + 1, 'alpha', 'analyst' FROM n;
             INSERT INTO jobs (task_id, repo, agent) VALUES (1, 'alpha', 'analyst'), (1, 'alpha', 'developer');"
        ));
    let options = Options {
        claim_budget: Duration::ZERO,
        ..Options::default()
    };
    // Its clause has no shape, so each held job is looked at.
    let rule = Rule::Given {
        component: crate::support::components::component("hotfix-lane").to_vec(),
        settings: default_settings(),
        allowance: Allowance::default(),
    };
    let mut queue = Queue::open(gate.place(), rule.clone(), options).unwrap();
    let mut claim = || {
        let claimed = queue.claim(NOW, "worker", Duration::from_secs(60));
        claimed.unwrap().map(|job| job.id)
    };
    assert_eq!([claim(), claim()], [Some(3002), None]);
    assert_eq!(open(&gate, rule).claimable(NOW).unwrap(), [3001]);
}

#[test]
fn without_addresses_for_a_pool_policies_run_all_the_same() {
    let gate = gate();
    let claim = "ulimit -v 30000000 && SERIAL_GATE_LOG=info serial-gate claim --worker w-1";
    let ran = gate.run_in_shell(claim).succeeds();
    assert!(
        ran.stderr.contains("there is no room for a pool"),
        "{}",
        ran.stderr
    );
    assert!(
        !ran.stderr.contains("the policy gives no usable clause"),
        "{}",
        ran.stderr
    );
}
