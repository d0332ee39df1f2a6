//! Many processes on one database, and processes that are killed.

use std::collections::HashSet;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde_json::Value;

use crate::support::Gate;
use crate::support::engine::Does;

/// Writes down a claim in its own transaction, with whether it broke the order rule.
const LOG: &str = "INSERT INTO claim_log SELECT NEW.id,
    CASE WHEN NEW.agent = 'analyst' AND EXISTS (
        SELECT 1 FROM tasks WHERE repo = NEW.repo AND id < NEW.task_id AND stage <> 'done')
    THEN 1 ELSE 0 END";

/// Tasks in 40 repos in turn, each with a gated job and another job.
fn gate_with_jobs(jobs: i64) -> Gate {
    let gate = Gate::new();
    let program = gate.program();
    let mut rows = String::from("BEGIN;");
    for task in 1..=jobs / 2 {
        let repo = format!("repo-{}", task % 40);
        write!(
            rows,
            "INSERT INTO tasks (id, repo, stage) VALUES ({task}, '{repo}', 'analysis');
             INSERT INTO jobs (task_id, repo, agent)
             VALUES ({task}, '{repo}', 'analyst'), ({task}, '{repo}', 'developer');"
        )
        .unwrap();
    }
    program.run(rows + "COMMIT; CREATE TABLE claim_log (job INTEGER, out_of_order INTEGER)");
    let claimed = Some("NEW.status = 'running'");
    let event = "AFTER UPDATE OF status ON jobs";
    program.trigger("log_claim", event, claimed, &Does::Run(LOG));
    gate
}

#[test]
fn eight_processes_claim_each_of_2000_jobs_once_and_in_order() {
    const JOBS: i64 = 2_000;
    let gate = gate_with_jobs(JOBS);
    let worker = |name: usize| {
        let beside = gate.program();
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
                let task = &job["task_id"];
                beside.run(format!("UPDATE tasks SET stage = 'done' WHERE id = {task}"));
            }
            if beside.one::<i64>("SELECT count(*) FROM claim_log") == JOBS {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for name in 0..8 {
            scope.spawn(move || worker(name));
        }
    });
    let program = gate.program();
    assert_eq!(
        program.one::<i64>("SELECT count(DISTINCT job) FROM claim_log"),
        JOBS
    );
    assert_eq!(program.one::<i64>("SELECT count(*) FROM claim_log"), JOBS);
    assert_eq!(
        program.one::<i64>("SELECT sum(out_of_order) FROM claim_log"),
        0
    );
    assert!(
        program.one::<i64>("SELECT count(DISTINCT gate_worker) FROM jobs") > 1,
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
    let program = gate.program();
    assert!(killed_while_claiming >= 25, "{killed_while_claiming}");
    assert!(program.is_whole());
    let distinct: HashSet<_> = printed.iter().collect();
    assert_eq!(distinct.len(), printed.len(), "a job was claimed twice");
    assert_eq!(
        program.one::<i64>("SELECT count(*) - count(DISTINCT job) FROM claim_log"),
        0
    );
    assert_eq!(
        program.one::<i64>("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"),
        JOBS
    );
    for id in printed {
        let status: String = program.one(format!("SELECT status FROM jobs WHERE id = {id}"));
        assert_eq!(
            status, "running",
            "job {id} was given to a worker and forgotten"
        );
    }
    // The jobs of a killed process go back when their lease expires, to be claimed by another
    // one.
    let running = program.one::<i64>("SELECT count(*) FROM jobs WHERE status = 'running'");
    program
        .run("UPDATE jobs SET gate_lease_until = '2000-01-01 00:00:00' WHERE status = 'running'");
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
        program.one::<i64>("SELECT count(*) FROM jobs WHERE status = 'running'"),
        JOBS
    );
    assert_eq!(
        program.one::<i64>("SELECT count(*) FROM jobs WHERE gate_attempt = 2"),
        running
    );
}
