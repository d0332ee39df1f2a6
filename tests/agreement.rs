//! The central property: the rule says the same in each of its forms, for any state and settings.
//!
//! States are small and full of collisions, because that is where rules differ: few repos, ids that
//! meet, NULLs, foreign task ids, names that only almost match.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serial_gate::clause::Footprint;
use serial_gate::model::{Settings, Verdict};
use serial_gate::policy::{DEFAULT_POLICY, Limits, Runtime};
use serial_gate::queue::{Options, Queue, Rule, default_settings};

use crate::harness::{Gate, decide_natively};

/// A value of a text column.
type Text = Option<&'static str>;

/// The rows of the tables: of `tasks` the id, repo, stage and label, of `jobs` the id, task, repo,
/// agent and status, of `repo_freeze` the id, the repo and when it was cleared.
#[derive(Debug, Clone)]
pub struct State {
    tasks: Vec<(i64, Text, Text, Text)>,
    jobs: Vec<(i64, TaskId, Text, Text, Text)>,
    freezes: Vec<(i64, &'static str, Text)>,
}

/// What can stand in `jobs.task_id`: SQLite keeps any type there.
#[derive(Debug, Clone)]
enum TaskId {
    Null,
    Integer(i64),
    Fraction(f64),
    Text(&'static str),
}

impl rusqlite::ToSql for TaskId {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            TaskId::Null => Ok(rusqlite::types::Null.into()),
            TaskId::Integer(id) => id.to_sql(),
            TaskId::Fraction(id) => id.to_sql(),
            TaskId::Text(id) => id.to_sql(),
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
    prop_oneof![
        8 => id().prop_map(TaskId::Integer),
        2 => Just(TaskId::Null),
        1 => (-2..6i64).prop_map(|id| TaskId::Fraction(id as f64 + 0.5)),
        1 => prop::sample::select(&["abc", "", "2", "1e0"][..]).prop_map(TaskId::Text),
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

fn fill(connection: &rusqlite::Connection, state: &State) {
    connection
        .execute_batch("BEGIN; DELETE FROM tasks; DELETE FROM jobs; DELETE FROM repo_freeze")
        .unwrap();
    for task in &state.tasks {
        connection
            .execute(
                "INSERT INTO tasks (id, repo, stage, gate_label) VALUES (?1, ?2, ?3, ?4)",
                *task,
            )
            .unwrap();
    }
    for job in &state.jobs {
        connection
            .execute(
                "INSERT INTO jobs (id, task_id, repo, agent, status) VALUES (?1, ?2, ?3, ?4, ?5)",
                job.clone(),
            )
            .unwrap();
    }
    for freeze in &state.freezes {
        connection
            .execute(
                "INSERT INTO repo_freeze (id, repo, cleared_at) VALUES (?1, ?2, ?3)",
                *freeze,
            )
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

fn for_random_states(
    cases: u32,
    check: impl Fn(&mut Queue, &State, &Settings) -> Result<(), TestCaseError>,
) {
    let rule = Rule::built_in(default_settings());
    for_random_states_of(rule, settings(), cases, |queue, state, settings| {
        queue.set_settings(settings.clone());
        check(queue, state, settings)
    });
}

/// The same for any policy, with whatever else is random.
pub fn for_random_states_of<T: std::fmt::Debug>(
    rule: Rule,
    inputs: impl Strategy<Value = T>,
    cases: u32,
    check: impl Fn(&mut Queue, &State, &T) -> Result<(), TestCaseError>,
) {
    let gate = Gate::new();
    let beside = gate.sqlite();
    beside.pragma_update(None, "synchronous", "OFF").unwrap();
    let queue = Queue::open(&gate.database(), rule, Options::default());
    let queue = std::cell::RefCell::new(queue.unwrap());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&(state(), inputs), |(state, input)| {
        fill(&beside, &state);
        check(&mut queue.borrow_mut(), &state, &input)
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// That `decide` lets exactly the jobs through that satisfy the clause.
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

#[test]
fn decide_lets_through_exactly_the_jobs_that_satisfy_the_clause() {
    for_random_states(3_000, |queue, _, _| agree(queue, Timestamp::UNIX_EPOCH));
}

#[test]
fn there_is_one_decision_for_each_queued_job_in_the_order_of_ids() {
    for_random_states(500, |queue, state, _| {
        let decided: Vec<i64> = queue
            .decide(Timestamp::UNIX_EPOCH, None)
            .unwrap()
            .iter()
            .map(|decision| decision.job)
            .collect();
        let queued = state
            .jobs
            .iter()
            .filter(|job| job.4 == Some("queued"))
            .map(|job| job.0);
        prop_assert_eq!(decided, queued.collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn the_component_decides_as_the_native_rule_does_reasons_included() {
    let policy = Runtime::new()
        .unwrap()
        .load(DEFAULT_POLICY, Limits::default())
        .unwrap();
    for_random_states(3_000, |queue, _, settings| {
        let all = Footprint::of_every_clause();
        let snapshot = queue.store().snapshot(&all, None).unwrap();
        let native = decide_natively(settings, &snapshot).unwrap();
        prop_assert_eq!(
            policy
                .decide(settings, Timestamp::UNIX_EPOCH, &snapshot)
                .unwrap(),
            native
        );
        Ok(())
    });
}

#[test]
fn rows_that_the_clause_cannot_see_make_no_difference() {
    let policy = Runtime::new()
        .unwrap()
        .load(DEFAULT_POLICY, Limits::default())
        .unwrap();
    for_random_states(1_000, |queue, _, settings| {
        let all = Footprint::of_every_clause();
        let whole = queue.store().snapshot(&all, None).unwrap();
        let seen = queue.decide(Timestamp::UNIX_EPOCH, None).unwrap();
        prop_assert_eq!(
            policy
                .decide(settings, Timestamp::UNIX_EPOCH, &whole)
                .unwrap(),
            seen
        );
        Ok(())
    });
}

#[test]
fn a_job_is_decided_alone_as_it_is_among_the_others() {
    for_random_states(300, |queue, _, _| {
        for decision in queue.decide(Timestamp::UNIX_EPOCH, None).unwrap() {
            let alone = queue
                .decide(Timestamp::UNIX_EPOCH, Some(decision.job))
                .unwrap();
            let alone: Vec<_> = alone
                .into_iter()
                .filter(|other| other.job == decision.job)
                .collect();
            prop_assert_eq!(alone, vec![decision]);
        }
        Ok(())
    });
}
