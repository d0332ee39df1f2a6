//! The plans of every statement in a claim, as the server logs them.
//!
//! There are no hints, so the planner may choose another index than the one that is meant, most
//! likely where it knows nothing of a table, or what it knows is old. What a claim reads tells.

use std::sync::{Arc, Mutex};

use postgres::{Client, Config, NoTls};

use super::{Queue, RULE, add, claimed, count, try_claim};

const HELD: i64 = 20_000;

/// More pages than a claim reads at any size. A look at each held job would be twenty times this.
const MOST_BLOCKS: u64 = 1_000;

/// More statements than a claim has.
const MOST_PLANS: usize = 200;

/// A session of the host that hears of each plan.
fn listening(queue: &Queue) -> (Client, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notices = Arc::clone(&heard);
    let mut config: Config = queue.server.parse().unwrap();
    config.notice_callback(move |notice| notices.lock().unwrap().push(notice.message().into()));
    let mut host = config.connect(NoTls).unwrap();
    host.batch_execute(
        "LOAD 'auto_explain'; SET auto_explain.log_nested_statements = on;
         SET auto_explain.log_analyze = on; SET auto_explain.log_buffers = on;
         SET auto_explain.log_timing = off; SET auto_explain.log_min_duration = -1;
         SET client_min_messages = log",
    )
    .unwrap();
    (host, heard)
}

/// What is wrong with a plan: it reads too much, or more than the rows that are meant.
fn fault(plan: &str) -> Option<String> {
    let after = |line: &str, word: &str| {
        let (_, number) = line.split_once(word)?;
        let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u64>().ok()
    };
    let buffers = plan.lines().find(|line| line.contains("Buffers:"));
    let buffers = buffers.unwrap_or_default();
    let read =
        after(buffers, "hit=").unwrap_or_default() + after(buffers, "read=").unwrap_or_default();
    let is_wrong = |line: &str| {
        after(line, "Rows Removed by Filter: ").is_some_and(|rows| rows > 50)
            || line.contains("Sort")
            || line.contains("Seq Scan on jobs")
            || line.contains("Seq Scan on tasks")
    };
    // A call of a function has the blocks of its statements, which are heard of, and those of the
    // catalog, which it reads anew after another session has made or dropped something.
    let calls = ["claim", "settle", "first", "give", "wait"];
    let is_call = |what: &str| plan.contains(&format!(".serial_gate_{what}"));
    let reads_much = read > MOST_BLOCKS && !calls.iter().any(|what| is_call(what));
    (reads_much || plan.lines().any(is_wrong)).then(|| plan.to_owned())
}

/// Claims for each kind of worker, and finishes what it got.
fn claim_all(queue: &Queue, host: &mut Client, heard: &Mutex<Vec<String>>, when: &str) {
    let functions = queue.functions_of(&queue.rule);
    let mut plain = queue.plain();
    for turn in 0..8 {
        // At first a session reads the catalog, too. The sixth execution of a statement is the first
        // with a plan for all values.
        let is_heard = turn == 1 || turn == 7;
        let lists: [&[&str]; 5] = [
            &[],
            &["analyst"],
            &["developer"],
            &["nobody"],
            &["nobody", "developer", "analyst"],
        ];
        for agents in lists {
            let duration = if is_heard { 0 } else { -1 };
            let set = format!("SET auto_explain.log_min_duration = {duration}");
            add(&mut plain, &format!("{when} {turn} {agents:?}"), "analyst");
            add(&mut plain, "r0", "developer");
            host.batch_execute(&set).unwrap();
            heard.lock().unwrap().clear();
            let row = try_claim(host, &functions, agents, None, 0).unwrap();
            let plans = std::mem::take(&mut *heard.lock().unwrap());
            assert_eq!(claimed(&row).job.is_none(), agents == ["nobody"], "{when}");
            assert!(
                plans.len() < MOST_PLANS,
                "{when}: {} statements",
                plans.len()
            );
            // The innermost statement is heard of first.
            let wrong = plans.iter().find_map(|plan| fault(plan));
            assert_eq!(wrong, None, "{when}, turn {turn}, {agents:?}");
            assert_eq!(plans.is_empty(), !is_heard, "{when}");
        }
    }
}

#[test]
fn a_claim_reads_few_pages_whatever_the_statistics_say() {
    // So many repos whose jobs are held, and so many with a job that may be claimed. Where repos are
    // few and most tasks unfinished, the key of `tasks` looks like a short way to an unfinished task
    // of a repo, and leads through all finished ones.
    let cases = [
        (1, 2_000, "\"C\""),
        (8, 0, "\"C\""),
        (1_000, 2_000, "\"C\""),
        (1_000, 2_000, "\"default\""),
    ];
    for (repos, free, collation) in cases {
        let Some(queue) = Queue::with(RULE, collation) else {
            return;
        };
        let mut plain = queue.plain();
        // No statistics until they are asked for.
        for table in ["tasks", "jobs", "serial_gate_partition", "serial_gate_mark"] {
            let sql = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
            plain.batch_execute(&sql).unwrap();
        }
        // One mark a repo: the first to come by the marks of so many rows would read them once more.
        let fill = |plain: &mut Client| {
            let sql = format!(
                "ALTER TABLE tasks DISABLE TRIGGER USER; ALTER TABLE jobs DISABLE TRIGGER USER;
                 INSERT INTO tasks (repo, stage)
                    SELECT 'r' || n % {repos}, 'done' FROM generate_series(1, {HELD}) n;
                 INSERT INTO tasks (repo, stage)
                    SELECT 'r' || n % {repos}, 'review' FROM generate_series(1, {HELD}) n;
                 INSERT INTO tasks (repo, stage)
                    SELECT 'free ' || n, 'analysis' FROM generate_series(1, {free}) n;
                 INSERT INTO jobs (task_id, repo, agent, status)
                    SELECT id, repo, 'analyst', CASE WHEN stage = 'done' THEN 'done'
                        WHEN id % 20 = 0 THEN 'running' ELSE 'queued' END FROM tasks
                    WHERE id > (SELECT coalesce(max(task_id), 0) FROM jobs);
                 INSERT INTO serial_gate_mark (no_repo, repo)
                    SELECT DISTINCT FALSE, repo FROM tasks;
                 ALTER TABLE tasks ENABLE TRIGGER USER; ALTER TABLE jobs ENABLE TRIGGER USER;"
            );
            plain.batch_execute(&sql).unwrap();
        };
        // Stale: what the server knows is of an empty queue.
        // Without a vacuum, no index alone answers.
        for when in ["stale", "fresh", "vacuumed", "none"] {
            let when = format!("{repos} repos, {when} statistics, {collation}");
            let (mut host, heard) = listening(&queue);
            if when.contains("stale") {
                plain.batch_execute("ANALYZE").unwrap();
                fill(&mut plain);
            } else if when.contains("fresh") {
                plain.batch_execute("ANALYZE jobs, tasks").unwrap();
            } else if when.contains("vacuumed") {
                plain.batch_execute("VACUUM ANALYZE jobs, tasks").unwrap();
            } else {
                let sql = "DELETE FROM pg_statistic WHERE starelid IN (
                    'jobs'::regclass, 'tasks'::regclass, 'serial_gate_partition'::regclass)";
                plain.batch_execute(sql).unwrap();
            }
            let settling = queue.functions_of(&queue.rule).settling();
            while count(&mut plain, "SELECT count(*) FROM serial_gate_mark") > 0 {
                host.execute(&settling, &[&2_000]).unwrap();
            }
            claim_all(&queue, &mut host, &heard, &when);
        }
    }
}
