//! Rules in one file against the same rules in Rust, on random states.
//!
//! An ordinary run takes a hundred states a rule. `SERIAL_GATE_RULE_STATES` sets another number;
//! 100,000 take some minutes:
//!
//! ```sh
//! SERIAL_GATE_RULE_STATES=100000 cargo test --locked --test tests -- rule_files
//! ```

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value};
use serial_gate::clause::Footprint;
use serial_gate::conform::{Runner, Through};
use serial_gate::gate::{Rule, default_settings};
use serial_gate::model::{Decision, Settings, Verdict};
use serial_gate::policy::{Allowance, BUILT_IN, Policy, Runtime, of_rule_file};
use serial_gate::queue::Queue;
use serial_gate_default_policy::scope::Scope;

use super::cases;
use crate::support::random_states::{State, TaskId, agree, for_random_states_of, settings};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn states() -> u32 {
    match std::env::var("SERIAL_GATE_RULE_STATES") {
        Ok(states) => states.parse().unwrap(),
        Err(_) => 100,
    }
}

fn policy(component: &[u8]) -> Policy {
    let runtime = Runtime::new().unwrap();
    runtime.load(component, Allowance::default()).unwrap()
}

/// Settings with those parameters only that a rule has, or that narrow the scope.
fn settings_for(parameters: &'static [&'static str]) -> impl Strategy<Value = Settings> {
    settings().prop_map(|mut settings| {
        let rules = settings.rules.as_deref().unwrap_or("{}");
        let mut rules: Map<String, Value> = serde_json::from_str(rules).unwrap();
        rules.retain(|name, _| name == "repos" || parameters.contains(&name.as_str()));
        settings.rules = Some(Value::from(rules).to_string());
        settings
    })
}

/// On every state, `decide` of the file lets the jobs through that its clause does, and
/// `is_the_same` accepts its decisions.
fn on_random_states(
    file: &str,
    parameters: &'static [&'static str],
    is_the_same: impl Fn(&Settings, &State, &mut Queue, &[Decision]) -> Result<(), TestCaseError>,
) {
    let component = of_rule_file(file).unwrap();
    let rule = policy(&component);
    let given = Rule::Given {
        component,
        settings: default_settings(),
        allowance: Allowance::default(),
    };
    for_random_states_of(
        given,
        settings_for(parameters),
        states(),
        |queue, state, settings| {
            queue.set_settings(settings.clone());
            agree(queue, NOW)?;
            let snapshot = queue.store().snapshot(&Footprint::of_every_clause(), None);
            let decisions = rule.decide(settings, NOW, &snapshot.unwrap()).unwrap();
            is_the_same(settings, state, queue, &decisions)
        },
    );
}

/// The same rule in Rust, which is built in. A reason in words may differ.
fn is_like(file: &str, parameters: &'static [&'static str], built_in: &str) {
    let (_, component) = BUILT_IN.iter().find(|(name, _)| *name == built_in).unwrap();
    let twin = policy(component);
    let without_words = |decisions: &[Decision]| -> Vec<Decision> {
        let mut decisions = decisions.to_vec();
        for decision in &mut decisions {
            if let Verdict::Hold(hold) = &mut decision.verdict {
                hold.rule = None;
            }
        }
        decisions
    };
    on_random_states(file, parameters, |settings, _, queue, decisions| {
        let snapshot = queue.store().snapshot(&Footprint::of_every_clause(), None);
        let expected = twin.decide(settings, NOW, &snapshot.unwrap()).unwrap();
        prop_assert_eq!(without_words(decisions), without_words(&expected));
        Ok(())
    });
}

/// The same rule in Rust: whether a job of a repo, of a task, is held while the gate acts there.
fn is_held_by(
    file: &str,
    parameters: &'static [&'static str],
    holds: impl Fn(&Map<String, Value>, &State, Option<&str>, &TaskId) -> bool,
) {
    on_random_states(file, parameters, |settings, state, _, decisions| {
        let rules: Map<String, Value> =
            serde_json::from_str(settings.rules.as_deref().unwrap_or("{}")).unwrap();
        let exact: Option<Vec<String>> = rules
            .get("repos")
            .map(|repos| serde_json::from_value(repos.clone()).unwrap());
        let is_limited = exact.is_some() || !Scope::parse(&settings.repos).names().is_empty();
        let scope = Scope::parse(&settings.repos).within(exact.as_deref());
        let passes = |(_, task, repo, _, _): &&(i64, TaskId, Option<&str>, _, _)| {
            let is_in_scope = match repo {
                Some(repo) => scope.contains(repo),
                None => !is_limited,
            };
            !settings.enabled || !is_in_scope || !holds(&rules, state, *repo, task)
        };
        let queued = state.jobs.iter().filter(|job| job.4 == Some("queued"));
        let expected: BTreeSet<i64> = queued.filter(passes).map(|job| job.0).collect();
        let passing = decisions.iter().filter(|one| one.verdict == Verdict::Claim);
        let passing: BTreeSet<i64> = passing.map(|decision| decision.job).collect();
        prop_assert_eq!(passing, expected);
        Ok(())
    });
}

#[test]
fn the_default_rule_in_a_file_decides_as_the_one_in_rust() {
    let file = include_str!("rules/serial.sql");
    is_like(file, &["gated_agents", "finished_stages"], "serial");
}

#[test]
fn two_at_once_in_a_file_decides_as_wip_limit_with_its_default() {
    let file = include_str!("rules/two-at-once.sql");
    is_like(file, &["gated_agents", "finished_stages"], "wip-limit");
}

#[test]
fn hotfixes_first_in_a_file_decides_as_hotfix_lane() {
    let file = include_str!("rules/hotfixes-first.sql");
    is_like(file, &["gated_agents", "finished_stages"], "hotfix-lane");
}

#[test]
fn one_running_job_in_a_file_decides_as_a_loop_in_rust() {
    let file = include_str!("rules/one-running.sql");
    is_held_by(file, &[], |_, state, repo, _| {
        let is_other = |job: &&(i64, TaskId, Option<&str>, _, _)| {
            repo.is_some() && job.2 == repo && job.4 == Some("running")
        };
        state.jobs.iter().any(|job| is_other(&job))
    });
}

#[test]
fn the_first_of_its_repo_in_a_file_decides_as_a_loop_in_rust() {
    let file = include_str!("rules/first-of-its-repo.sql");
    is_held_by(file, &["finished_stages"], |rules, state, repo, task| {
        let finished: Vec<&str> = match rules.get("finished_stages") {
            Some(stages) => {
                let stages = stages.as_array().unwrap().iter();
                stages.map(|stage| stage.as_str().unwrap()).collect()
            }
            None => vec!["done"],
        };
        let unfinished = state.tasks.iter().filter(|(_, of, stage, _)| {
            *of == repo && stage.is_some_and(|stage| !finished.contains(&stage))
        });
        let first = unfinished.map(|task| task.0).min();
        let is_up_to_first = match (task, first) {
            (TaskId::Integer(task), Some(first)) => *task <= first,
            (TaskId::Fraction(task), Some(first)) => *task <= first as f64,
            // The column makes a number of a text that is one. Any other is behind every number.
            (TaskId::Text(task), Some(first)) => {
                task.parse::<f64>().is_ok_and(|task| task <= first as f64)
            }
            (TaskId::Null, _) | (_, None) => false,
        };
        repo.is_some() && !is_up_to_first
    });
}

#[test]
fn the_default_rule_in_a_file_passes_the_reference_s_cases() {
    let component = of_rule_file(include_str!("rules/serial.sql")).unwrap();
    let runtime = Runtime::new().unwrap();
    let mut runner = Runner::new(&component, Allowance::default(), runtime).unwrap();
    let rule = policy(&component);
    let decide = move |queue: &mut Queue, now| {
        let state = queue
            .store()
            .snapshot(&Footprint::of_every_clause(), None)?;
        Ok(rule.decide(queue.settings(), now, &state)?)
    };
    for case in cases() {
        let mut differences = runner.run(&case, Through::Decisions(&decide)).unwrap();
        // The text of its clause is the file's own.
        differences.retain(|difference| !difference.field.ends_with("clause"));
        assert!(differences.is_empty(), "{}: {differences:#?}", case.name);
    }
}
