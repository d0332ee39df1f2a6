//! Random states of the tables and random settings, and the central property on them.
//!
//! States are small and full of collisions, where rules differ: few repos, equal ids, NULLs, task
//! ids of other repos, names that almost match.

use std::fmt::Write;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serial_gate::gate::Rule;
use serial_gate::model::{Settings, Verdict};
use serial_gate::queue::{Options, Queue};

use super::Gate;
use super::engine::{Engine, Program, literal};

/// A value of a text column.
type Text = Option<&'static str>;

/// The rows of the tables: of `tasks` the id, repo, stage and label, of `jobs` the id, task, repo,
/// agent and status, of `repo_freeze` the id, the repo and when it was cleared.
#[derive(Debug, Clone)]
pub struct State {
    pub tasks: Vec<(i64, Text, Text, Text)>,
    pub jobs: Vec<(i64, TaskId, Text, Text, Text)>,
    pub freezes: Vec<(i64, &'static str, Text)>,
}

/// A value of `jobs.task_id`: SQLite keeps any type there.
#[derive(Debug, Clone)]
pub enum TaskId {
    Null,
    Integer(i64),
    Fraction(f64),
    Text(&'static str),
}

impl TaskId {
    fn literal(&self) -> String {
        match self {
            TaskId::Null => "NULL".into(),
            TaskId::Integer(id) => id.to_string(),
            TaskId::Fraction(id) => id.to_string(),
            TaskId::Text(id) => literal(id),
        }
    }
}

fn repo() -> impl Strategy<Value = Text> {
    prop::sample::select(&[Some("a"), Some("b"), Some("A"), Some("a "), Some(""), None][..])
}

fn id() -> impl Strategy<Value = i64> {
    prop_oneof![9 => -1..6i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)]
}

fn task_id() -> impl Strategy<Value = TaskId> {
    // PostgreSQL keeps numbers only.
    let other = u32::from(Engine::under_test() == Engine::Sqlite);
    prop_oneof![
        8 => id().prop_map(TaskId::Integer),
        2 => Just(TaskId::Null),
        other => (-2..6i64).prop_map(|id| TaskId::Fraction(id as f64 + 0.5)),
        other => prop::sample::select(&["abc", "", "2", "1e0"][..]).prop_map(TaskId::Text),
    ]
}

fn state() -> impl Strategy<Value = State> {
    let stage = prop::sample::select(
        &[
            Some("done"),
            Some("analysis"),
            Some("Done"),
            Some("merged"),
            None,
        ][..],
    );
    let label =
        prop::sample::select(&[None, None, Some("hotfix"), Some("urgent"), Some("Hotfix")][..]);
    let agent = prop::sample::select(
        &[
            Some("analyst"),
            Some("planner"),
            Some("developer"),
            Some("Analyst"),
            None,
        ][..],
    );
    let status = prop::sample::select(
        &[
            Some("queued"),
            Some("queued"),
            Some("queued"),
            Some("running"),
            None,
        ][..],
    );
    let cleared = prop::sample::select(&[None, Some(""), Some("2026-01-01 00:00:00")][..]);
    let frozen = prop::sample::select(&["a", "b", "A", ""][..]);
    (
        prop::collection::btree_map(id(), (repo(), stage, label), 0..6),
        prop::collection::btree_map(id(), (task_id(), repo(), agent, status), 0..8),
        prop::collection::btree_map(1..9i64, (frozen, cleared), 0..3),
    )
        .prop_map(|(tasks, jobs, freezes)| State {
            tasks: tasks
                .into_iter()
                .map(|(id, (repo, stage, label))| (id, repo, stage, label))
                .collect(),
            jobs: jobs
                .into_iter()
                .map(|(id, (task, repo, agent, status))| (id, task, repo, agent, status))
                .collect(),
            freezes: freezes
                .into_iter()
                .map(|(id, (repo, cleared))| (id, repo, cleared))
                .collect(),
        })
}

pub fn settings() -> impl Strategy<Value = Settings> {
    let repos = prop::sample::select(&["", "", "a", "a,b", "A", "a/b", " ,", "c"][..]);
    let rules = prop::sample::select(
        &[
            None,
            None,
            Some(r#"{"gated_agents":["planner","analyst"]}"#),
            Some(r#"{"finished_stages":["merged","done"]}"#),
            Some(r#"{"finished_stages":["merged"],"gated_agents":["developer"]}"#),
            Some(r#"{"repos":["a","a/b"]}"#),
            Some(r#"{"repos":["b","A","a ","o'brien"],"gated_agents":["planner","analyst"]}"#),
        ][..],
    );
    (
        prop::bool::weighted(0.9),
        repos,
        prop::bool::weighted(0.8),
        rules,
    )
        .prop_map(|(enabled, repos, freeze_enabled, rules)| Settings {
            enabled,
            repos: repos.into(),
            freeze_enabled,
            rules: rules.map(Into::into),
        })
}

fn fill(program: &Program, state: &State) {
    let text = |text: &Text| text.map_or("NULL".to_owned(), literal);
    let mut sql = "BEGIN; DELETE FROM tasks; DELETE FROM jobs; DELETE FROM repo_freeze;".to_owned();
    for (id, repo, stage, label) in &state.tasks {
        let [repo, stage, label] = [repo, stage, label].map(text);
        write!(
            sql,
            "INSERT INTO tasks (id, repo, stage, gate_label)
             VALUES ({id}, {repo}, {stage}, {label});"
        )
        .unwrap();
    }
    for (id, task, repo, agent, status) in &state.jobs {
        let task = task.literal();
        let [repo, agent, status] = [repo, agent, status].map(text);
        write!(
            sql,
            "INSERT INTO jobs (id, task_id, repo, agent, status)
             VALUES ({id}, {task}, {repo}, {agent}, {status});"
        )
        .unwrap();
    }
    for (id, repo, cleared) in &state.freezes {
        let (repo, cleared) = (literal(repo), text(cleared));
        write!(
            sql,
            "INSERT INTO repo_freeze (id, repo, cleared_at) VALUES ({id}, {repo}, {cleared});"
        )
        .unwrap();
    }
    program.run(sql + "COMMIT");
}

/// The same for any policy, and with another random input.
pub fn for_random_states_of<T: std::fmt::Debug>(
    rule: Rule,
    inputs: impl Strategy<Value = T>,
    cases: u32,
    check: impl Fn(&mut Queue, &State, &T) -> Result<(), TestCaseError>,
) {
    let gate = Gate::new();
    let other = gate.program();
    other.without_flushes();
    let queue = Queue::open(gate.place(), rule, Options::default());
    let queue = std::cell::RefCell::new(queue.unwrap());
    let mut runner = TestRunner::new(ProptestConfig {
        cases: Engine::cases(cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&(state(), inputs), |(state, input)| {
        fill(&other, &state);
        check(&mut queue.borrow_mut(), &state, &input)
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// Checks that `decide` lets through exactly the jobs that satisfy the clause.
pub fn agree(queue: &mut Queue, now: Timestamp) -> Result<(), TestCaseError> {
    let decisions = queue.decide(now, None).unwrap();
    let by_decide: Vec<i64> = decisions
        .iter()
        .filter(|decision| decision.verdict == Verdict::Claim)
        .map(|decision| decision.job)
        .collect();
    prop_assert_eq!(by_decide, queue.claimable(now).unwrap());
    Ok(())
}
