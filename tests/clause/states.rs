//! Small random states of the contract's tables, in SQLite and in PostgreSQL, and the verdicts of a
//! clause on them.
//!
//! A verdict is `t`, `f` or `n` (NULL) for each row of `jobs` in id order. The states hold what
//! hurts: NULLs, both ends of the integers, a task of another repo, texts that differ by case,
//! quote and backslash.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::programs::required;
use crate::support::random::Rng;
use rusqlite::Connection;

/// Enough that a wrong clause differs somewhere; few, since each accepted mutant visits all of
/// them.
const STATES: usize = 6;
const SEED: u64 = 0x5eed;

/// The clause between the parentheses that a careless host would splice it into.
pub fn raw(clause: &str) -> String {
    let trimmed = clause.trim_start_matches([' ', '\t', '\n', '\r']);
    let is_and = trimmed
        .get(..3)
        .is_some_and(|word| word.eq_ignore_ascii_case("and"));
    let rest = trimmed.get(3..).unwrap_or_default();
    let ends_word = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    format!("({})", if is_and && ends_word { rest } else { trimmed })
}

const REPOS: &[&str] = &[
    "'a'", "'a'", "'a'", "'B'", "'A'", "''", "'it''s'", "'x\\'", "NULL",
];
const STAGES: &[&str] = &["'done'", "'development'", "'Done'", "''", "NULL"];
const LABELS: &[&str] = &["'hotfix'", "'Hotfix'", "'x\\'", "''", "NULL", "NULL"];
const AGENTS: &[&str] = &[
    "'analyst'",
    "'analyst'",
    "'developer'",
    "'Analyst'",
    "'x\\'",
    "NULL",
];
const TIMES: &[&str] = &["NULL", "NULL", "'2025-01-02'", "''"];
const IDS: &[&str] = &[
    "1",
    "2",
    "3",
    "4",
    "5",
    "7",
    "-1",
    "-9223372036854775808",
    "9223372036854775807",
];
const TASK_IDS: &[&str] = &["1", "2", "3", "4", "7", "-1", "9223372036854775807", "NULL"];

/// The rows of one state, as `INSERT`s that both databases read (`standard_conforming_strings` on).
fn rows(rng: &mut Rng) -> String {
    let mut sql = String::new();
    let (tasks, jobs, freezes) = (1 + rng.below(5), 4 + rng.below(4), rng.below(3));
    for id in ids(rng, tasks) {
        let (repo, stage, item) = (rng.pick(REPOS), rng.pick(STAGES), rng.pick(TIMES));
        let label = rng.pick(LABELS);
        let _ = writeln!(
            sql,
            "INSERT INTO tasks VALUES ({id}, {item}, {repo}, {stage}, {label});"
        );
    }
    for id in ids(rng, jobs) {
        let (task, repo, agent) = (rng.pick(TASK_IDS), rng.pick(REPOS), rng.pick(AGENTS));
        let status = rng.pick(&["'queued'", "'queued'", "'running'", "NULL"]);
        let _ = writeln!(
            sql,
            "INSERT INTO jobs VALUES ({id}, {task}, {repo}, {agent}, {status});"
        );
    }
    for id in ids(rng, freezes) {
        let repo = rng.pick(&REPOS[..REPOS.len() - 1]);
        let (frozen, cleared, reason) = (rng.pick(TIMES), rng.pick(TIMES), rng.pick(STAGES));
        let _ = writeln!(
            sql,
            "INSERT INTO repo_freeze VALUES ({id}, {repo}, {frozen}, {cleared}, {reason}, NULL);"
        );
    }
    sql
}

fn ids(rng: &mut Rng, count: usize) -> Vec<&'static str> {
    let start = rng.below(IDS.len());
    IDS.iter()
        .cycle()
        .skip(start)
        .take(count)
        .copied()
        .collect()
}

fn all_rows() -> Vec<String> {
    let mut rng = Rng::new(SEED);
    (0..STATES).map(|_| rows(&mut rng)).collect()
}

const SQLITE_SCHEMA: &str = "
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, work_item_id TEXT, repo TEXT, stage TEXT, gate_label TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY, task_id INTEGER, repo TEXT, agent TEXT, status TEXT);
    CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY, repo TEXT NOT NULL, frozen_at TEXT, cleared_at TEXT,
        reason TEXT, work_item_id TEXT);";

const POSTGRES_SCHEMA: &str = "
    CREATE TABLE tasks (id bigint PRIMARY KEY, work_item_id text, repo text, stage text, gate_label text);
    CREATE TABLE jobs (id bigint PRIMARY KEY, task_id bigint, repo text, agent text, status text);
    CREATE TABLE repo_freeze (id bigint PRIMARY KEY, repo text NOT NULL, frozen_at text, cleared_at text,
        reason text, work_item_id text);";

/// Makes a random state in an empty SQLite database.
pub fn fill(connection: &Connection, rng: &mut Rng) {
    connection.execute_batch(SQLITE_SCHEMA).unwrap();
    connection.execute_batch(&rows(rng)).unwrap();
}

/// The states in SQLite.
pub struct Sqlite(Vec<Connection>);

impl Sqlite {
    pub fn new() -> Sqlite {
        let open = |rows: String| {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(SQLITE_SCHEMA).unwrap();
            connection.execute_batch(&rows).unwrap();
            connection
        };
        Sqlite(all_rows().into_iter().map(open).collect())
    }

    /// One text of verdicts for each state.
    pub fn verdicts(&self, expression: &str) -> Result<Vec<String>, rusqlite::Error> {
        let sql = format!("SELECT {expression} FROM jobs ORDER BY jobs.id");
        let verdicts = |connection: &Connection| {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([], |row| {
                Ok(match row.get::<_, Option<i64>>(0)? {
                    None => 'n',
                    Some(0) => 'f',
                    Some(_) => 't',
                })
            })?;
            rows.collect()
        };
        self.0.iter().map(verdicts).collect()
    }
}

/// The conninfo of a PostgreSQL to compare with, if the environment names one.
pub fn postgres() -> Option<String> {
    let variable = "SERIAL_GATE_TEST_PG";
    let conninfo = required(variable, "PostgreSQL's verdicts are not compared")?;
    Some(conninfo.into_string().unwrap())
}

/// Compares PostgreSQL's verdicts with the expected ones and returns the differences. Every second
/// state runs with `standard_conforming_strings` off, where a backslash in a plain string escapes.
pub fn postgres_differences(
    conninfo: &str,
    name: &str,
    cases: &[(String, Vec<String>)],
) -> Vec<String> {
    let mut differences = Vec::new();
    for batch in cases.chunks(2_000) {
        let mut script = "SET client_min_messages = error;\nSET jit = off;\n".to_owned();
        for (state, rows) in all_rows().iter().enumerate() {
            let schema = format!("clause_{name}_{}_{state}", std::process::id());
            let strings = if state % 2 == 0 { "on" } else { "off" };
            let _ = write!(
                script,
                "BEGIN;\nCREATE SCHEMA {schema};\nSET LOCAL search_path = {schema};\n{POSTGRES_SCHEMA}\n{rows}\n\
                 SET LOCAL standard_conforming_strings = {strings};\n"
            );
            for (expression, _) in batch {
                let _ = writeln!(
                    script,
                    "SELECT coalesce(string_agg(CASE verdict WHEN TRUE THEN 't' WHEN FALSE THEN 'f' ELSE 'n' END, '' \
                     ORDER BY id), '') FROM (SELECT jobs.id, {expression} AS verdict FROM jobs) AS verdicts;"
                );
            }
            script.push_str("ROLLBACK;\n");
        }
        let lines = psql(conninfo, &script);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            lines.len(),
            STATES * batch.len(),
            "psql answered another number of lines"
        );
        for (state, verdicts) in lines.chunks(batch.len()).enumerate() {
            for (verdict, (expression, expected)) in verdicts.iter().zip(batch) {
                if *verdict != expected[state] {
                    differences.push(format!(
                        "state {state}: sqlite {}, postgres {verdict}: {expression}",
                        expected[state]
                    ));
                }
            }
        }
    }
    differences
}

fn psql(conninfo: &str, script: &str) -> String {
    let mut psql = Command::new("psql")
        .args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            conninfo,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program `psql` is needed when SERIAL_GATE_TEST_PG is set");
    let mut input = psql.stdin.take().unwrap();
    let script = script.to_owned();
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = psql.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "psql: {}",
        error.chars().take(2_000).collect::<String>()
    );
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
