//! A flat claim costs the same with few rows and with many: the tests count SQLite's steps, not the
//! time.
//!
//! The states are the worst for a search that rejects rows: all rows of a table are alike, and each
//! kind of row is tried.

use jiff::Timestamp;
use rusqlite::{Connection, StatementStatus};
use serde_json::Value;
use serial_gate::clause::{Clause, Dialect};
use serial_gate::gate::default_settings;
use serial_gate::model;
use serial_gate::policy::{Allowance, DEFAULT_POLICY, Runtime};

use super::shapes::Clauses;
use crate::support::Gate;
use crate::support::components::component;

const FEW: u32 = 1_000;
const MANY: u32 = 50_000;

/// What all rows but the asked jobs are like: a task's stage and label, a job's status and agent,
/// when a freeze was cleared.
const KINDS: [[&str; 5]; 5] = [
    ["'review'", "NULL", "'queued'", "'analyst'", "NULL"],
    ["'done'", "'hotfix'", "'done'", "'developer'", "'then'"],
    ["NULL", "NULL", "'running'", "'analyst'", "''"],
    ["''", "'hotfix'", "'queued'", "'developer'", "NULL"],
    ["'analysis'", "NULL", "'failed'", "NULL", "'then'"],
];

/// The tables and indexes of the gate with so many rows of a kind, and queued jobs of other places
/// and agents behind them.
fn filled(kind: [&str; 5], rows: u32, analyzed: bool) -> Connection {
    let memory = Connection::open_in_memory().unwrap();
    let gate = Gate::new();
    let of_gate = gate.sqlite();
    let schema = |kind: &str| -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL
            AND tbl_name IN ('tasks', 'jobs', 'repo_freeze')";
        let mut query = of_gate.prepare(sql).unwrap();
        let found = query.query_map([kind], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    };
    memory.execute_batch(&schema("table").join(";")).unwrap();
    let [stage, label, status, agent, cleared] = kind;
    memory
        .execute_batch(&format!(
            "BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO tasks (id, repo, stage, gate_label, work_item_id) SELECT i, 'a', {stage}, {label}, 'W-' || i FROM n;
             INSERT INTO jobs (id, task_id, repo, agent, status) SELECT id, id, 'a', {agent}, {status} FROM tasks;
             INSERT INTO repo_freeze (id, repo, cleared_at, reason, frozen_at) SELECT id, 'a', {cleared}, 'why', '2026' FROM tasks;
             INSERT INTO jobs (task_id, repo, agent, status)
                SELECT place.column1, 'a', agent.column1, 'queued'
                FROM (VALUES (0), ({rows} / 2), ({rows} + 1), (NULL), ('x')) AS place,
                     (VALUES ('analyst'), ('developer'), ('a'), (NULL)) AS agent;
             COMMIT;"
        ))
        .unwrap();
    memory.execute_batch(&schema("index").join(";")).unwrap();
    if analyzed {
        memory.execute_batch("ANALYZE").unwrap();
    }
    memory
}

/// The steps of the job for which a clause takes the most.
fn steps(memory: &Connection, rows: u32, clause: &Clause) -> i32 {
    let sql = format!(
        "SELECT {} FROM jobs WHERE id = ?1",
        clause.render(Dialect::Sqlite)
    );
    let mut query = memory.prepare(&sql).unwrap();
    let jobs = (rows + 1)..=(rows + 20);
    let steps = jobs.map(|job| {
        query.reset_status(StatementStatus::VmStep);
        let _: Option<bool> = query.query_row([job], |row| row.get(0)).unwrap();
        query.get_status(StatementStatus::VmStep)
    });
    steps.max().unwrap()
}

/// Few and many rows of each kind, with and without statistics.
fn pairs() -> Vec<[Connection; 2]> {
    let of_kind =
        |kind| [false, true].map(|analyzed| [FEW, MANY].map(|rows| filled(kind, rows, analyzed)));
    KINDS.into_iter().flat_map(of_kind).collect()
}

/// The pair in which the steps grow the most, as steps with few rows and with many.
fn worst(pairs: &[[Connection; 2]], clause: &Clause) -> [i32; 2] {
    let counted = pairs
        .iter()
        .map(|[few, many]| [steps(few, FEW, clause), steps(many, MANY, clause)]);
    counted.max_by_key(|[few, many]| many - few).unwrap()
}

fn accepted(text: &str) -> Clause {
    Clause::accept(text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"))
}

/// The clause of a policy for some rules.
fn of_policy(component: &[u8], rules: Option<&str>) -> Clause {
    let policy = Runtime::new()
        .unwrap()
        .load(component, Allowance::default())
        .unwrap();
    let settings = model::Settings {
        rules: rules.map(Into::into),
        ..default_settings()
    };
    let now = Timestamp::UNIX_EPOCH;
    let answer = policy.claim_clause(&settings, now, model::Dialect::Sqlite);
    accepted(&answer.unwrap().text)
}

fn blocked_by(table: &str, filter: &str) -> String {
    format!("NOT EXISTS (SELECT 1 FROM {table} g WHERE g.repo = jobs.repo AND {filter})")
}

#[test]
fn a_clause_that_is_called_flat_takes_as_many_steps_beside_fifty_times_the_rows() {
    let legal = include_str!("../../clause/legal-clauses.jsonl");
    let legal = legal.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        accepted(line["clause"].as_str().unwrap())
    });
    let own = [
        blocked_by("tasks", "g.stage = 'testing' AND g.id < jobs.task_id"),
        blocked_by(
            "tasks",
            "g.stage <> 'done' AND g.id BETWEEN 5 AND jobs.task_id",
        ),
        blocked_by("tasks", "g.stage IS NULL AND g.id NOT IN (1, 2)"),
        blocked_by("tasks", "g.id = 7 AND g.gate_label = 'hotfix'"),
        blocked_by("jobs", "g.status = 'queued' AND g.agent = 'developer'"),
        blocked_by(
            "jobs",
            "g.status = 'queued' AND g.agent = jobs.agent AND g.task_id < jobs.task_id",
        ),
        blocked_by("repo_freeze", "jobs.agent = 'analyst'"),
        "(SELECT min(t.id) FROM tasks t WHERE t.repo = jobs.repo AND t.stage <> 'done') > 7".into(),
        "(SELECT max(t.id) FROM tasks t WHERE t.repo = jobs.repo AND t.stage = 'done') > 7".into(),
        "(SELECT max(t.stage) FROM tasks t WHERE t.repo = jobs.repo) = 'x'".into(),
        "(SELECT count(*) FROM jobs j WHERE j.repo = jobs.repo AND j.status = 'queued') < 900"
            .into(),
    ];
    let mut random = Clauses::new(0xF1A7);
    let random = (0..300).map(|_| accepted(&random.next().text));
    let clauses = legal
        .chain(own.iter().map(|text| accepted(text)))
        .chain(random);
    let flat: Vec<Clause> = clauses.filter(|clause| clause.flat().is_ok()).collect();
    let pairs = pairs();
    for clause in &flat {
        let [few, many] = worst(&pairs, clause);
        assert!(
            many <= few + few / 2 + 50,
            "{few} and {many} steps: {}",
            clause.render(Dialect::Sqlite)
        );
    }
    for text in &own {
        assert_eq!(accepted(text).flat(), Ok(()), "{text}");
    }
    assert!(flat.len() > 100, "{}", flat.len());
}

#[test]
fn the_built_in_rule_and_the_policies_beside_it_are_flat_but_for_the_hotfix_lane() {
    let window = r#"{"windows":[{"from":"fri 16:00","until":"mon 08:00"}]}"#;
    for (component, rules) in [
        (DEFAULT_POLICY, None),
        (component("wip-limit"), None),
        (component("wip-limit"), Some(r#"{"limit":1000}"#)),
        (component("freeze-window"), Some(window)),
    ] {
        assert_eq!(of_policy(component, rules).flat(), Ok(()), "{rules:?}");
    }
    assert!(of_policy(component("hotfix-lane"), None).flat().is_err());
}

/// Each with a state in which its steps do grow, so that nothing is refused the name without a
/// reason.
#[test]
fn a_part_that_may_look_at_any_number_of_rows_is_named() {
    let pairs = pairs();
    let why = |text: &str| {
        let clause = accepted(text);
        let [few, many] = worst(&pairs, &clause);
        assert!(many > 10 * few, "{few} and {many} steps: {text}");
        clause.partitions().expect("partitions all the same");
        clause.flat().unwrap_err().to_string()
    };
    insta::assert_snapshot!(why(&blocked_by("jobs", "g.status = 'running'")), @r#"`("g1"."status" = 'running')` looks at one row of `jobs` after another, so a claim costs more the more rows there are: with `repo`, compare `status = 'queued'`, then `agent`, then `task_id`, and nothing else"#);
    insta::assert_snapshot!(why(&blocked_by("tasks", "g.id < jobs.task_id AND g.stage NOT IN ('done', 'review', 'merged')")), @r#"`("g1"."stage" NOT IN ('done', 'review', 'merged'))` looks at one row of `tasks` after another, so a claim costs more the more rows there are: with `repo`, compare `stage <> 'done'` or `stage` with one text, then `id`, and nothing else"#);
    insta::assert_snapshot!(why(&blocked_by("repo_freeze", "g.cleared_at IS NULL AND g.reason = 'other'")), @r#"`("g1"."reason" = 'other')` looks at one row of `repo_freeze` after another, so a claim costs more the more rows there are: with `repo`, compare `cleared_at IS NULL` and nothing else"#);
    insta::assert_snapshot!(why(&blocked_by("tasks", "g.stage <> 'done' AND g.id < jobs.task_id AND g.id > 9 AND g.id > 100000")), @r#"`("g1"."id" > 100000)` looks at one row of `tasks` after another, so a claim costs more the more rows there are: with `repo`, compare `stage <> 'done'` or `stage` with one text, then `id`, and nothing else"#);
    insta::assert_snapshot!(why("(SELECT count(*) FROM jobs j WHERE j.repo = jobs.repo AND j.agent = 'nobody') < 3"), @r#"`("g1"."agent" = 'nobody')` looks at one row of `jobs` after another, so a claim costs more the more rows there are: with `repo`, compare `status = 'queued'`, then `agent`, then `task_id`, and nothing else"#);
    insta::assert_snapshot!(why("(SELECT max(t.work_item_id) FROM tasks t WHERE t.repo = jobs.repo) = 'x'"), @r#"`(((SELECT max("g1"."work_item_id") FROM "tasks" AS "g1" WHERE ("g1"."repo" = "jobs"."repo"))) = 'x')` looks at one row of `tasks` after another, so a claim costs more the more rows there are: take `min` or `max` of `id` where `repo` and one `stage`, `stage <> 'done'`, or `status = 'queued'` and `agent` are compared"#);
    insta::assert_snapshot!(why(&blocked_by(
        "tasks",
        "EXISTS (SELECT 1 FROM jobs j WHERE j.repo = jobs.repo AND j.status = 'queued' AND j.agent = g.gate_label)"
    )), @r#"`(EXISTS (SELECT 1 FROM "jobs" AS "g2" WHERE (("g2"."repo" = "jobs"."repo") AND ("g2"."status" = 'queued') AND ("g2"."agent" = "g1"."gate_label"))))` looks at one row of `tasks` after another, so a claim costs more the more rows there are: move the inner sub-select out of the outer one"#);
}
