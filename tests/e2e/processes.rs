//! Many processes on one file, and processes that are killed.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::Gate;

/// Writes down every claim in its own transaction, with whether it broke the order rule.
const LOG: &str = "
    CREATE TABLE claim_log (job INTEGER, out_of_order INTEGER);
    CREATE TRIGGER log_claim AFTER UPDATE OF status ON jobs WHEN NEW.status = 'running' BEGIN
        INSERT INTO claim_log SELECT NEW.id, NEW.agent = 'analyst' AND EXISTS (
            SELECT 1 FROM tasks WHERE repo = NEW.repo AND id < NEW.task_id AND stage != 'done');
    END;";

/// Tasks in 40 repos in turn, each with a gated job and another job.
fn gate_with_jobs(jobs: i64) -> Gate {
    let gate = Gate::new();
    let connection = gate.sqlite();
    connection.execute_batch("BEGIN").unwrap();
    for task in 1..=jobs / 2 {
        let repo = format!("repo-{}", task % 40);
        connection
            .execute(
                "INSERT INTO tasks (id, repo, stage) VALUES (?1, ?2, 'analysis')",
                (task, &repo),
            )
            .unwrap();
        for agent in ["analyst", "developer"] {
            connection
                .execute(
                    "INSERT INTO jobs (task_id, repo, agent) VALUES (?1, ?2, ?3)",
                    (task, &repo, agent),
                )
                .unwrap();
        }
    }
    connection.execute_batch(&format!("COMMIT; {LOG}")).unwrap();
    gate
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn eight_processes_claim_each_of_2000_jobs_once_and_in_order() {
    const JOBS: i64 = 2_000;
    let gate = gate_with_jobs(JOBS);
    let worker = |name: usize| {
        let beside = gate.sqlite();
        loop {
            let worker = format!("worker-{name}");
            let ran = gate.run(&["claim", "--max", "10", "--json", "--worker", &worker]);
            assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.stderr);
            assert_eq!(ran.stderr, "", "no process may see a locked database");
            for job in ran
                .json_lines()
                .iter()
                .filter(|job| job["agent"] == "analyst")
            {
                beside
                    .execute(
                        "UPDATE tasks SET stage = 'done' WHERE id = ?1",
                        [job["task_id"].as_i64()],
                    )
                    .unwrap();
            }
            if number(&beside, "SELECT count(*) FROM claim_log") == JOBS {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for name in 0..8 {
            scope.spawn(move || worker(name));
        }
    });
    let connection = gate.sqlite();
    assert_eq!(
        number(&connection, "SELECT count(DISTINCT job) FROM claim_log"),
        JOBS
    );
    assert_eq!(number(&connection, "SELECT count(*) FROM claim_log"), JOBS);
    assert_eq!(
        number(&connection, "SELECT sum(out_of_order) FROM claim_log"),
        0
    );
    assert!(
        number(&connection, "SELECT count(DISTINCT gate_worker) FROM jobs") > 1,
        "one process did it all"
    );
}

#[test]
fn fifty_killed_claimers_lose_no_job_and_claim_none_twice() {
    const JOBS: i64 = 20_000;
    let gate = gate_with_jobs(JOBS);
    let mut printed = Vec::new();
    let mut killed_while_claiming = 0;
    for round in 0..50_u64 {
        let worker = format!("round-{round}");
        let mut child = gate.spawn(&["claim", "--max", "100000", "--json", "--worker", &worker]);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut output = String::new();
        // Every second process dies during its start, the others while they claim.
        if round % 2 == 1 {
            stdout.read_line(&mut output).unwrap();
        }
        // A fixed sequence that only looks random: 0 to 20 ms, in no order.
        std::thread::sleep(Duration::from_micros(round * 7_919 % 20_000));
        child.kill().unwrap();
        child.wait().unwrap();
        stdout.read_to_string(&mut output).unwrap();
        // The kill may cut the last line.
        let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let jobs = whole
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let ids: Vec<i64> = jobs.map(|job| job["id"].as_i64().unwrap()).collect();
        killed_while_claiming += i32::from(!ids.is_empty());
        printed.extend(ids);
    }
    let connection = gate.sqlite();
    assert!(killed_while_claiming >= 25, "{killed_while_claiming}");
    let integrity: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
    let distinct: HashSet<_> = printed.iter().collect();
    assert_eq!(distinct.len(), printed.len(), "a job was claimed twice");
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) - count(DISTINCT job) FROM claim_log"
        ),
        0
    );
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
        ),
        JOBS
    );
    for id in printed {
        let status: String = connection
            .query_row("SELECT status FROM jobs WHERE id = ?1", [id], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(
            status, "running",
            "job {id} was given to a worker and forgotten"
        );
    }
    // The jobs of a killed process go back when their lease expires, to be claimed by another
    // one.
    let running = number(
        &connection,
        "SELECT count(*) FROM jobs WHERE status = 'running'",
    );
    connection
        .execute(
            "UPDATE jobs SET gate_lease_until = '2000-01-01 00:00:00' WHERE status = 'running'",
            [],
        )
        .unwrap();
    gate.run(&[
        "claim",
        "--max",
        "100000",
        "--json",
        "--enabled",
        "false",
        "--durability",
        "normal",
    ])
    .succeeds();
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) FROM jobs WHERE status = 'running'"
        ),
        JOBS
    );
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) FROM jobs WHERE gate_attempt = 2"
        ),
        running
    );
}
