//! A hundred thousand random writes by different programs, and after each of them the candidates of
//! four rules held against a plain scan: no write goes unseen.

use rusqlite::{Connection, ErrorCode};

use super::{Rule, other_program, sqlite};
use crate::support::Gate;
use crate::support::random::Rng;

/// What each rule depends on differs: tasks and freezes; a count; jobs; nothing but the job.
const RULES: [&str; 6] = [
    "AND NOT (jobs.agent = 'analyst' AND (
        EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage \
        <> 'done')
        OR EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS \
        NULL)))",
    "AND (SELECT count(*) FROM tasks t
        WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage <> 'done') < 2",
    "AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.repo = jobs.repo AND j.status = 'running' AND \
     j.agent = jobs.agent)",
    "AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.gate_label = 'hotfix')",
    "AND (jobs.agent <> 'analyst' OR jobs.task_id IS NULL)",
    "AND NOT EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo AND f.cleared_at IS NULL \
     AND f.reason IS NULL)
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.repo = jobs.repo AND j.task_id < jobs.task_id \
     AND j.status = 'queued')",
];

const REPOS: &[&str] = &[
    "'a'",
    "'a'",
    "'b'",
    "'b'",
    "'A'",
    "''",
    "'it''s'",
    "NULL",
    "x'61'",
    "CAST(x'ff' AS TEXT)",
];
const STAGES: &[&str] = &["'done'", "'done'", "'review'", "'Done'", "''", "NULL"];
const AGENTS: &[&str] = &[
    "'analyst'",
    "'analyst'",
    "'developer'",
    "'Analyst'",
    "NULL",
    "x'61'",
];
const STATUSES: &[&str] = &[
    "'queued'",
    "'queued'",
    "'queued'",
    "'running'",
    "'done'",
    "'failed'",
    "'Queued'",
    "NULL",
];
const TASK_IDS: &[&str] = &[
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "-1",
    "NULL",
    "2.5",
    "'x'",
    "9223372036854775807",
];
const IDS: &[&str] = &[
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "-1", "NULL",
];
const TIMES: &[&str] = &["NULL", "NULL", "'then'", "''"];
const LABELS: &[&str] = &["NULL", "NULL", "'hotfix'", "'Hotfix'"];

/// A statement of any program that shares the database.
pub fn write(rng: &mut Rng) -> String {
    let or = *rng.pick(&["", "", " OR REPLACE", " OR IGNORE", " OR ABORT", " OR FAIL"]);
    let (id, other) = (*rng.pick(IDS), *rng.pick(IDS));
    let (repo, stage, agent) = (*rng.pick(REPOS), *rng.pick(STAGES), *rng.pick(AGENTS));
    let (status, task, time) = (*rng.pick(STATUSES), *rng.pick(TASK_IDS), *rng.pick(TIMES));
    let (label, reason) = (*rng.pick(LABELS), *rng.pick(TIMES));
    let frozen = if repo == "NULL" { "'a'" } else { repo };
    match rng.below(30) {
        0..=2 => format!(
            "INSERT{or} INTO tasks (id, repo, stage, gate_label) VALUES ({id}, \
            {repo}, {stage}, {label})"
        ),
        3..=6 => format!(
            "INSERT{or} INTO jobs (id, task_id, repo, agent, status) VALUES ({id}, \
            {task}, {repo}, {agent}, {status})"
        ),
        7 => format!(
            "INSERT{or} INTO repo_freeze (id, repo, cleared_at, reason) VALUES ({id}, \
            {frozen}, {time}, {reason})"
        ),
        8..=9 => format!("UPDATE{or} tasks SET stage = {stage} WHERE id = {id}"),
        10 => format!("UPDATE tasks SET repo = {repo}, gate_label = {label} WHERE id = {id}"),
        11..=13 => format!("UPDATE{or} jobs SET status = {status} WHERE id = {id}"),
        14 => format!(
            "UPDATE jobs SET repo = {repo}, task_id = {task}, agent = {agent} WHERE id = \
            {id}"
        ),
        15 => format!("UPDATE jobs SET task_id = {task} WHERE repo IS {repo}"),
        16 => format!(
            "UPDATE{or} repo_freeze SET cleared_at = {time}, reason = {reason} WHERE \
            repo IS {frozen}"
        ),
        17 => format!("UPDATE{or} repo_freeze SET repo = {frozen} WHERE id = {id}"),
        18 => format!(
            "DELETE FROM {} WHERE id = \
            {id}",
            rng.pick(&["tasks", "jobs", "repo_freeze"])
        ),
        19..=20 => format!(
            "UPDATE{or} {} SET id = {id}, repo = {frozen} WHERE id = \
            {other}",
            rng.pick(&["tasks", "jobs", "repo_freeze"])
        ),
        21 => format!("REPLACE INTO tasks (id, repo, stage) VALUES ({id}, {repo}, {stage})"),
        22 => format!(
            "REPLACE INTO jobs (id, task_id, repo, agent, status) VALUES ({id}, {task}, \
            {repo}, {agent}, {status})"
        ),
        23 => format!(
            "INSERT INTO jobs (id, task_id, repo, agent, status) VALUES ({id}, {task}, \
            {repo}, {agent}, 'queued')
            ON CONFLICT (id) DO UPDATE SET repo = excluded.repo, status = excluded.status"
        ),
        24 => format!(
            "UPDATE jobs SET gate_lease_until = {time}, gate_token = NULL WHERE repo IS \
            {repo}"
        ),
        25..=27 => format!(
            "UPDATE OR REPLACE {} SET id = {id} WHERE id = {other}",
            rng.pick(&["tasks", "tasks", "jobs", "repo_freeze"])
        ),
        // What a claim of the gate's would write, and more than that.
        28 if rng.below(3) == 0 => {
            let (column, value) = *rng.pick(&[
                ("repo", "'moved'"),
                ("agent", "'moved'"),
                ("task_id", "77"),
                ("rowid", "77"),
            ]);
            format!(
                "UPDATE jobs SET status = 'running', gate_fence = 9000000000000, {column} = \
                {value} WHERE id = {id} AND {column} IS NOT {value}"
            )
        }
        29 if rng.below(3) == 0 => format!(
            "UPDATE OR REPLACE {} SET {} = {id} WHERE id = {other}",
            rng.pick(&["tasks", "jobs", "repo_freeze"]),
            rng.pick(&["rowid", "OID", "_rowid_"])
        ),
        _ if rng.below(20) == 0 => format!(
            "DELETE FROM \
            {}",
            rng.pick(&["tasks", "jobs", "repo_freeze"])
        ),
        _ => format!("UPDATE tasks SET stage = {stage} WHERE repo IS {repo}"),
    }
}

/// Whose jobs are claimed: those of all agents, or of one.
pub fn some_agents(rng: &mut Rng) -> Vec<String> {
    let lists: [&[&str]; 8] = [
        &[],
        &[],
        &["analyst"],
        &["developer"],
        &["a"],
        &["developer", "analyst"],
        &["nobody", "a", "analyst"],
        &["a", "developer", "a"],
    ];
    let agents = lists[rng.below(lists.len())];
    agents.iter().map(|agent| (*agent).to_owned()).collect()
}

/// Runs a write, or several that are committed or rolled back together. A constraint may refuse it.
fn run(rng: &mut Rng, sqlite: &Connection) -> String {
    let sql = match rng.below(8) {
        0 => {
            let writes: Vec<String> = (0..3).map(|_| write(rng)).collect();
            let end = rng.pick(&["COMMIT", "ROLLBACK"]);
            format!("BEGIN IMMEDIATE; {}; {end}", writes.join("; "))
        }
        _ => write(rng),
    };
    match sqlite.execute_batch(&sql) {
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
            ) =>
        {
            if !sqlite.is_autocommit() {
                sqlite.execute_batch("COMMIT").unwrap();
            }
        }
        result => result.unwrap_or_else(|error| panic!("{error}: {sql}")),
    }
    sql
}

#[test]
fn after_every_operation_each_clean_repo_has_the_candidate_that_its_clause_gives() {
    let operations = std::env::var("SERIAL_GATE_OPERATIONS").ok();
    let operations: usize = operations.map_or(20_000, |count| count.parse().unwrap());
    let gate = Gate::new();
    let program = other_program(&gate);
    let sqlite = sqlite(&program);
    let rules: Vec<Rule> = RULES
        .iter()
        .map(|text| Rule::flat(text).expect(text))
        .collect();
    let mut rng = Rng::new(0xF1A7);
    let mut store = gate.store();
    let (mut done, mut claimed) = (String::new(), [0; 2]);
    for operation in 0..operations {
        let rule = &rules[match rng.below(12) {
            // Four rules have an index at a time, so a look at another drops one: a change of
            // generations.
            0 => 4 + rng.below(2),
            _ => rng.below(4),
        }];
        if rng.below(4) == 0 {
            let agents = some_agents(&mut rng);
            let first = rule.first(&program, &agents);
            // A claim over the whole queue leaves every index right.
            let by_candidates = rng.below(4) > 0;
            let job = match by_candidates {
                true => rule.claim(&mut store, &agents),
                false => rule.claim_spliced(&mut store, &agents),
            };
            assert_eq!(
                job, first,
                "operation {operation}, after {done}: {}",
                rule.text
            );
            claimed[usize::from(by_candidates)] += usize::from(job.is_some());
            done = format!("a claim of {job:?}");
        } else {
            done = run(&mut rng, sqlite);
        }
        let state = sqlite.unchecked_transaction().unwrap();
        for rule in &rules {
            let disagreement = rule.disagreement(&program);
            assert_eq!(
                disagreement, None,
                "operation {operation}, after {done}: {}",
                rule.text
            );
        }
        state.commit().unwrap();
    }
    let [spliced, flat] = claimed;
    println!(
        "{operations} operations, {flat} claims by candidates and {spliced} others gave a job, 0 \
         disagreements"
    );
    assert!(flat * 40 > operations && spliced * 200 > operations);
}
