//! What other programs may do: the gate's triggers never make their transactions fail, and never
//! make them wait for long.

use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;

use super::{Queue, RULE, add, count, locks_of, until_it_waits};

const MARKS: &str = "SELECT count(*) FROM serial_gate_mark";

#[test]
fn transactions_over_many_repos_in_opposite_orders_wait_for_claims_and_for_nobody_else() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let end = Instant::now() + Duration::from_secs(4);
    let writer = |number: usize| {
        let mut plain = queue.plain();
        let mut longest = Duration::ZERO;
        while Instant::now() < end {
            let begun = Instant::now();
            let mut change = plain.transaction().unwrap();
            for step in 0..12 {
                let repo = if number.is_multiple_of(2) {
                    step
                } else {
                    11 - step
                };
                add(&mut change, &format!("r{repo}"), "analyst");
            }
            change.commit().unwrap();
            longest = longest.max(begun.elapsed());
        }
        longest
    };
    let worker = || {
        let (mut plain, mut host) = (queue.plain(), queue.host());
        let (mut held, mut given) = (None, 0);
        while Instant::now() < end {
            let claimed = queue.claim_by(&mut host, &[], held, 50);
            held = claimed.held.filter(|_| claimed.busy);
            if let Some(task) = claimed.task {
                given += 1;
                let done = "UPDATE tasks SET stage = 'done' WHERE id = $1";
                plain.execute(done, &[&task]).unwrap();
            }
        }
        given
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|number| scope.spawn(move || writer(number)))
            .collect();
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(worker)).collect();
        let given: u32 = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum();
        let writers: Vec<_> = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect();
        let longest = writers.iter().max().unwrap();
        assert!(
            *longest < Duration::from_secs(2),
            "a transaction took {longest:?}"
        );
        assert!(given > 0, "no claim");
    });
}

#[test]
fn a_claim_of_a_repo_that_is_written_without_a_pause_waits_its_turn() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let end = Instant::now() + Duration::from_secs(4);
    let writer = || {
        let mut plain = queue.plain();
        while Instant::now() < end {
            let mut change = plain.transaction().unwrap();
            add(&mut change, "r", "analyst");
            thread::sleep(Duration::from_millis(10));
            change.commit().unwrap();
        }
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(writer);
        }
        let (mut plain, mut host) = (queue.plain(), queue.host());
        let (mut held, mut waits) = (None, Vec::new());
        let mut begun = Instant::now();
        while Instant::now() < end {
            let claimed = queue.claim_by(&mut host, &["analyst"], held, 500);
            held = claimed.held.filter(|_| claimed.busy);
            let Some(task) = claimed.task else {
                continue;
            };
            waits.push(begun.elapsed());
            let done = "UPDATE tasks SET stage = 'done' WHERE id = $1";
            plain.execute(done, &[&task]).unwrap();
            begun = Instant::now();
        }
        waits.sort_unstable();
        let longest = waits[waits.len() - 1];
        assert!(
            waits.len() > 40 && longest < Duration::from_secs(1),
            "{longest:?}"
        );
    });
}

#[test]
fn a_statement_over_many_repos_takes_a_bounded_number_of_locks() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut plain, mut host) = (queue.plain(), queue.host());
    let mut change = plain.transaction().unwrap();
    let sql = "WITH new AS (INSERT INTO tasks (repo, stage)
            SELECT 'r' || n, 'analysis' FROM generate_series(1, 20000) n RETURNING id, repo)
        INSERT INTO jobs (task_id, repo, agent) SELECT id, repo, 'analyst' FROM new";
    change.execute(sql, &[]).unwrap();
    let sql =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    let locks: i64 = change.query_one(sql, &[]).unwrap().get(0);
    assert!((1000..=1025).contains(&locks), "{locks} locks");
    change.commit().unwrap();
    for _ in 0..3 {
        assert!(queue.claim(&mut host).job.is_some());
    }
    // Claims evaluate a bounded number of repos; a host can evaluate the rest at once.
    let settling = queue.functions_of(&queue.rule).settling();
    while count(&mut plain, MARKS) > 0 {
        let held: Option<i32> = host.query_one(&settling, &[&1000]).unwrap().get(0);
        assert_eq!(held, None);
    }
    let first = queue.first(&mut plain, &[]);
    assert_eq!(queue.claim(&mut host).job, first);
}

#[test]
fn a_transaction_marks_a_repo_once_and_a_heartbeat_marks_nothing() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut plain, mut host) = (queue.plain(), queue.host());
    plain
        .batch_execute(
            "INSERT INTO tasks (repo, stage) SELECT 'a', 'analysis' FROM generate_series(1, 500);
             INSERT INTO jobs (task_id, repo, agent) SELECT id, repo, 'analyst' FROM tasks",
        )
        .unwrap();
    assert_eq!(count(&mut plain, MARKS), 1);
    let claimed = queue.claim(&mut host);
    assert_eq!(claimed.job, Some(1));
    let beats = [
        "UPDATE jobs SET gate_lease_until = '2030-01-01 00:00:00' WHERE id = 1",
        "UPDATE jobs SET status = status; UPDATE tasks SET gate_stage = 'x', stage = stage",
    ];
    for beat in beats {
        plain.batch_execute(beat).unwrap();
        assert_eq!(count(&mut plain, MARKS), 0, "{beat}");
    }
    // A savepoint that is rolled back takes the mark and the memory of it back.
    let mut change = plain.transaction().unwrap();
    let mut inner = change.transaction().unwrap();
    inner
        .batch_execute("UPDATE tasks SET stage = 'done' WHERE id = 1")
        .unwrap();
    inner.rollback().unwrap();
    change
        .batch_execute("UPDATE tasks SET stage = 'done' WHERE id = 1")
        .unwrap();
    change.commit().unwrap();
    assert_eq!(count(&mut plain, MARKS), 1);
    assert_eq!(queue.claim(&mut host).job, Some(2));
    // A claim in a transaction that has written, and writes again.
    host.batch_execute("BEGIN").unwrap();
    let schema = &queue.schema;
    let done = |task: i64| format!("UPDATE {schema}.tasks SET stage = 'done' WHERE id = {task}");
    host.batch_execute(&done(2)).unwrap();
    assert_eq!(queue.claim(&mut host).job, Some(3));
    host.batch_execute(&done(3)).unwrap();
    host.batch_execute("COMMIT").unwrap();
    assert_eq!(queue.claim(&mut host).job, Some(4));
}

#[test]
fn a_program_that_may_write_the_shared_tables_needs_no_right_to_the_gate_s() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut admin, mut host) = (queue.plain(), queue.host());
    let role = format!("serial_gate_test_{}", std::process::id());
    let schema = &queue.schema;
    let mut grants = format!("CREATE ROLE {role}; GRANT USAGE ON SCHEMA {schema} TO {role};");
    for table in ["tasks", "jobs", "repo_freeze"] {
        grants.push_str(&format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON {schema}.{table} TO {role};"
        ));
    }
    admin.batch_execute(&grants).unwrap();
    let mut plain = queue.plain();
    plain.batch_execute(&format!("SET ROLE {role}")).unwrap();
    let (_, job) = add(&mut plain, "a", "analyst");
    let (task, _) = add(&mut plain, "a", "analyst");
    plain
        .batch_execute(
            "INSERT INTO repo_freeze (repo) VALUES ('b');
             UPDATE repo_freeze SET cleared_at = 'now', repo = 'c'; DELETE FROM repo_freeze",
        )
        .unwrap();
    assert_eq!(queue.claim(&mut host).job, Some(job));
    plain
        .execute("UPDATE tasks SET stage = 'done' WHERE id <> $1", &[&task])
        .unwrap();
    assert!(queue.claim(&mut host).job.is_some());
    plain
        .batch_execute("TRUNCATE jobs, tasks, repo_freeze")
        .unwrap();
    let refused = plain.batch_execute("SELECT * FROM serial_gate_mark");
    assert!(refused.is_err(), "the role reads the gate's tables");
    drop(plain);
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    admin.batch_execute(&drop).unwrap();
}

#[test]
fn a_table_that_is_emptied_lets_the_jobs_go_that_its_rows_held() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    for table in ["tasks", "repo_freeze"] {
        let (mut plain, mut host) = (queue.plain(), queue.host());
        add(&mut plain, table, "nobody");
        let (_, job) = add(&mut plain, table, "analyst");
        let freeze = "INSERT INTO repo_freeze (repo) VALUES ($1)";
        plain.execute(freeze, &[&table]).unwrap();
        let other = ["tasks", "repo_freeze"].map(|other| match other == table {
            true => "SELECT 1",
            false if other == "tasks" => "UPDATE tasks SET stage = 'done'",
            false => "UPDATE repo_freeze SET cleared_at = 'now'",
        });
        plain.batch_execute(&other.join(";")).unwrap();
        assert_eq!(queue.claim_for(&mut host, "analyst").job, None);
        plain.batch_execute(&format!("TRUNCATE {table}")).unwrap();
        assert_eq!(queue.claim_for(&mut host, "analyst").job, Some(job));
    }
}

#[test]
fn a_row_that_arrives_by_replication_is_marked_too() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut plain, mut host) = (queue.plain(), queue.host());
    plain
        .batch_execute("SET session_replication_role = replica")
        .unwrap();
    let (_, job) = add(&mut plain, "a", "analyst");
    assert_eq!(queue.claim(&mut host).job, Some(job));
}

/// Runs statements of another program while a claim is open for a while.
fn beside_a_claim(queue: &Queue, program: impl FnOnce(&mut Client) + Send) {
    let mut host = queue.host();
    host.batch_execute("BEGIN").unwrap();
    assert!(queue.claim(&mut host).job.is_some());
    thread::scope(|scope| {
        let program = scope.spawn(|| program(&mut queue.plain()));
        thread::sleep(Duration::from_millis(100));
        host.batch_execute("COMMIT").unwrap();
        program.join().unwrap();
    });
}

#[test]
fn a_program_s_lock_timeout_does_not_count_for_the_gate_s_locks() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    add(&mut queue.plain(), "a", "analyst");
    beside_a_claim(&queue, |plain| {
        plain.batch_execute("SET lock_timeout = '5ms'").unwrap();
        add(plain, "a", "analyst");
    });
}

#[test]
fn a_table_that_is_emptied_and_filled_again_waits_for_claims_without_a_deadlock() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let mut host = queue.host();
    for time in 0..20 {
        let mut plain = queue.plain();
        add(&mut plain, "a", "analyst");
        let end = Instant::now() + Duration::from_millis(80);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut change = plain.transaction().unwrap();
                if time % 2 == 0 {
                    add(&mut change, "a", "analyst");
                    change.batch_execute("TRUNCATE tasks, jobs").unwrap();
                } else {
                    change.batch_execute("TRUNCATE tasks").unwrap();
                }
                thread::sleep(Duration::from_millis(20));
                add(&mut change, "a", "analyst");
                change.commit().unwrap();
            });
            let mut held = None;
            while Instant::now() < end {
                let claimed = queue.claim_by(&mut host, &[], held, 50);
                held = claimed.held.filter(|_| claimed.busy);
            }
        });
        queue
            .plain()
            .batch_execute("UPDATE tasks SET stage = 'done'")
            .unwrap();
    }
}

#[test]
fn a_program_that_locks_one_table_after_another_never_fails_because_of_a_claim() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut watcher, mut plain, mut host) = (queue.plain(), queue.plain(), queue.host());
    for [one, other] in [
        ["tasks", "jobs"],
        ["repo_freeze", "tasks"],
        ["repo_freeze", "jobs"],
    ] {
        add(&mut plain, "a", "analyst");
        let mut change = plain.transaction().unwrap();
        change.batch_execute(&format!("TRUNCATE {one}")).unwrap();
        let claiming = locks_of(&mut host);
        thread::scope(|scope| {
            let claim = scope.spawn(|| queue.claim(&mut host));
            until_it_waits(&mut watcher, &claiming);
            change.batch_execute(&format!("TRUNCATE {other}")).unwrap();
            change.commit().unwrap();
            let claimed = claim.join().unwrap();
            assert_eq!((claimed.job, claimed.busy), (None, true), "{one}, {other}");
        });
        plain.batch_execute("TRUNCATE jobs, tasks").unwrap();
    }
}

#[test]
fn serializable_transactions_do_not_conflict_because_of_the_gate() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let writer = |number: usize| {
        let mut plain = queue.plain();
        for task in 0..60 {
            let mut change = plain
                .build_transaction()
                .isolation_level(postgres::IsolationLevel::Serializable)
                .start()
                .unwrap();
            add(&mut change, &format!("r{}", (task + number) % 3), "analyst");
            change.commit().unwrap();
        }
    };
    thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || writer(number));
        }
    });
    assert_eq!(count(&mut queue.plain(), "SELECT count(*) FROM jobs"), 240);
}
