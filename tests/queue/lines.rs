//! The waiting lines: whose jobs are in them is what the policy gates, in every place that shows
//! them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serial_gate::clause::{Agents, Clause};
use serial_gate::gate::Rule;
use serial_gate::model::Settings;
use serial_gate::policy::Allowance;
use serial_gate::queue::{Options, Queue, State};
use serial_gate::store::WaitingJob;

use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::engine::literal;
use crate::support::hostile::{HARMLESS, Hostile};
use crate::support::service::Service;

const PLANNER: [&str; 6] = [
    "policy",
    "settings",
    "--rules",
    r#"{"gated_agents":["planner"]}"#,
    "--reason",
    "r",
];

/// Two tasks of a repo, planned by `planner` and written by `analyst`.
fn planned() -> Gate {
    let gate = Gate::new();
    gate.run(&PLANNER).succeeds();
    for work_item in ["P-1", "P-2"] {
        gate.run(&[
            "task",
            "add",
            "alpha",
            "--work-item",
            work_item,
            "--agent",
            "planner",
        ])
        .succeeds();
    }
    gate.run(&["job", "add", "1", "analyst"]).succeeds();
    gate
}

#[test]
fn the_queue_lists_the_agents_that_the_rules_gate() {
    let listed = planned().run(&["queue"]).succeeds().stdout;
    insta::assert_snapshot!(listed, @r"
    alpha  active: task 1 (P-1) in analysis
    job 3 for `analyst` is queued, and no worker has it
    JOB  TASK  WORK ITEM  STAGE     VERDICT
    1    1     P-1        analysis  may be claimed
    2    2     P-2        analysis  held: task 1 (P-1) comes first

    1 other job may be claimed: the gate does not hold such jobs
    ");
}

#[test]
fn the_service_shows_the_agents_that_the_rules_gate() {
    let service = Service::on(planned());
    let queue = service.get("/queue").is(200).json();
    let waiting = &queue["serial_gate"]["per_repo"]["alpha"]["waiting"];
    let jobs: Vec<&serde_json::Value> = waiting
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["job_id"])
        .collect();
    assert_eq!(jobs, [1, 2]);
    let metrics = service.get("/metrics").is(200).text;
    for line in [
        "serial_gate_waiting_jobs{repo=\"alpha\"} 2",
        "serial_gate_held_jobs{repo=\"alpha\"} 1",
        "serial_gate_head_seconds{repo=\"alpha\"} ",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let page = service.get("/repo?name=alpha").is(200).text;
    assert!(page.contains(">P-2</a>"), "{page}");
}

#[test]
fn a_job_of_a_gated_agent_that_waits_for_long_is_told_of() {
    let gate = planned();
    gate.write(
        "serial-gate.toml",
        "[alerts]\nwaiting = '1h'\n[alerts.webhook]\nurl = 'http://127.0.0.1:9/'\n",
    );
    gate.program()
        .run("UPDATE jobs SET created_at = '2020-01-01T00:00:00Z'");
    let place = gate.place().location.to_string();
    let gate = gate.with_environment(vec![
        ("SERIAL_GATE_WEBHOOK_SECRET", "s".into()),
        ("SERIAL_GATE_DB", place.into()),
    ]);
    gate.run(&["alerts", "deliver"]).exits(1);
    let told = gate.run(&["alerts", "--json"]).succeeds().json();
    assert_eq!(
        told["text"],
        "job 1 is the first in line in `alpha` and has waited for long (P-1): since 2020-01-01 00:00:00 UTC"
    );
}

/// The default policy under any switches, and jobs of any agents.
#[derive(Debug, Clone)]
struct Case {
    enabled: bool,
    freeze_enabled: bool,
    repos: &'static str,
    gated: Vec<&'static str>,
    jobs: Vec<(Option<&'static str>, Option<&'static str>, &'static str)>,
}

const AGENTS: [&str; 6] = ["analyst", "planner", "done", "alpha", "Analyst", "it's"];

fn case() -> impl Strategy<Value = Case> {
    let agent = proptest::option::weighted(0.9, proptest::sample::select(&AGENTS[..]));
    let repo =
        proptest::option::weighted(0.9, proptest::sample::select(&["alpha", "beta", ""][..]));
    let status = proptest::sample::select(&["queued", "queued", "running", "done"][..]);
    (
        any::<bool>(),
        any::<bool>(),
        proptest::sample::select(&["", "alpha", "beta,alpha", "org/app"][..]),
        proptest::collection::vec(proptest::sample::select(&AGENTS[..]), 0..3),
        proptest::collection::vec((agent, repo, status), 0..12),
    )
        .prop_map(|(enabled, freeze_enabled, repos, gated, jobs)| Case {
            enabled,
            freeze_enabled,
            repos,
            gated,
            jobs,
        })
}

impl Case {
    fn add_jobs(&self, gate: &Gate) {
        for (agent, repo, status) in &self.jobs {
            let [agent, repo] = [agent, repo].map(|text| text.map_or("NULL".into(), literal));
            gate.program().run(format!(
                "INSERT INTO jobs (agent, repo, status, created_at)
                 VALUES ({agent}, {repo}, '{status}', '2020-01-01 00:00:00')"
            ));
        }
    }

    /// The ids of a repo's line, if these agents are gated.
    fn line(&self, repo: &str, is_gated: &dyn Fn(&str) -> bool) -> Vec<i64> {
        let numbered = (1..).zip(&self.jobs);
        let in_line = numbered.filter(|(_, (agent, of, status))| {
            *status == "queued" && *of == Some(repo) && agent.is_some_and(is_gated)
        });
        in_line.map(|(id, _)| id).collect()
    }
}

/// That the state and the alerts have these lines, and no others.
fn has_lines(queue: &mut Queue, case: &Case, is_gated: &dyn Fn(&str) -> bool) -> TestCaseResult {
    let now = Timestamp::now();
    let state = queue.state(now, &[]).unwrap();
    let mut heads = 0;
    for repo in ["alpha", "beta"] {
        let found = state.per_repo.get(repo);
        let found: Vec<i64> = found
            .into_iter()
            .flat_map(|repo| &repo.waiting)
            .map(|waiting| waiting.job.job_id)
            .collect();
        let expected = case.line(repo, is_gated);
        heads += usize::from(!expected.is_empty());
        prop_assert_eq!(found, expected, "{}", repo);
    }
    prop_assert!(state.per_repo.len() <= 2);
    let hour = std::time::Duration::from_secs(3_600);
    prop_assert_eq!(queue.look_at_heads(now, Some(hour)).unwrap(), heads);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: Engine::cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the switches and the scope say.
    #[test]
    fn the_lines_are_those_of_the_gated_agents(case in case()) {
        let gate = Gate::new();
        case.add_jobs(&gate);
        let rules = (!case.gated.is_empty())
            .then(|| serde_json::json!({ "gated_agents": case.gated }).to_string());
        let settings = Settings {
            enabled: case.enabled,
            repos: case.repos.into(),
            freeze_enabled: case.freeze_enabled,
            rules: rules.clone(),
        };
        let open = || Queue::open(gate.place(), Rule::built_in(settings.clone()), Options::default()).unwrap();
        let gated = if case.gated.is_empty() { vec!["analyst"] } else { case.gated.clone() };
        has_lines(&mut open(), &case, &|agent| gated.contains(&agent))?;
        if rules.is_none() {
            let mut queue = open();
            let lines = |state: State| -> BTreeMap<String, Vec<WaitingJob>> {
                let lines = state.per_repo.into_iter().map(|(name, repo)| {
                    (name, repo.waiting.into_iter().map(|waiting| waiting.job).collect())
                });
                // A repo may be listed for what runs in it.
                lines.filter(|(_, line): &(_, Vec<_>)| !line.is_empty()).collect()
            };
            let reference = lines(queue.reference_state(&[]));
            prop_assert_eq!(lines(queue.state(Timestamp::now(), &[]).unwrap()), reference);
        }
    }
}

/// A policy that gives this clause.
fn giving(clause: &str) -> Vec<u8> {
    let length: String = u32::try_from(clause.len())
        .unwrap()
        .to_le_bytes()
        .map(|byte| format!("\\{byte:02x}"))
        .concat();
    let module = format!(
        r#"(data (i32.const 3080) "\00\10\00\00{length}") (data (i32.const 4096) "{clause}")"#
    );
    let policy = Hostile {
        module: Box::leak(module.into_boxed_str()),
        ..HARMLESS
    };
    policy.component()
}

const ALL_BUT: &str = "AND NOT (jobs.agent <> 'planner' AND jobs.agent <> 'done' AND EXISTS \
    (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.stage <> 'alpha'))";

proptest! {
    #![proptest_config(ProptestConfig { cases: Engine::cases(30), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_that_gates_all_agents_but_some_has_lines_of_the_others(case in case()) {
        let gated = Clause::accept(ALL_BUT).unwrap().gated();
        prop_assert!(matches!(gated, Agents::AllBut(_)));
        let gate = Gate::new();
        case.add_jobs(&gate);
        let rule = Rule::Given {
            component: giving(ALL_BUT),
            settings: Settings { enabled: case.enabled, repos: String::new(), freeze_enabled: true, rules: None },
            allowance: Allowance::default(),
        };
        let mut queue = Queue::open(gate.place(), rule, Options::default()).unwrap();
        has_lines(&mut queue, &case, &|agent| !["planner", "done"].contains(&agent))?;
    }
}
