//! Several clauses at once, a clause that changes, and claims that are refused.

use std::thread;
use std::time::{Duration, Instant};

use super::functions::{UNDONE, WRONG_ISOLATION};
use super::{LIMIT, Queue, RULE, add, claimed, count, heads, qualified, try_claim};

#[test]
fn each_of_two_clauses_sees_what_the_claims_of_the_other_changed() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let other = queue.install(LIMIT);
    let rules = [queue.rule.clone(), other];
    let (mut plain, mut host) = (queue.plain(), queue.host());
    for turn in 0..120_usize {
        let repo = ["a", "b", "c"][turn % 3];
        add(&mut plain, repo, ["analyst", "developer"][turn % 2]);
        if turn % 7 == 0 {
            let sql = "UPDATE tasks SET stage = 'done' WHERE id = (SELECT min(id) FROM tasks
                WHERE stage <> 'done')";
            plain.batch_execute(sql).unwrap();
        }
        if turn % 5 == 0 {
            let sql = "UPDATE jobs SET status = 'done' WHERE id = (SELECT min(id) FROM jobs
                WHERE status = 'running')";
            plain.batch_execute(sql).unwrap();
        }
        let rule = &rules[(turn / 2) % 2];
        let sql = format!(
            "SELECT id FROM jobs WHERE status = 'queued' AND {} ORDER BY id LIMIT 1",
            rule.clause
        );
        let expected: Option<i64> = plain.query_opt(&sql, &[]).unwrap().map(|row| row.get(0));
        let row = try_claim(&mut host, &queue.functions_of(rule), &[], None, 0).unwrap();
        let claimed = claimed(&row);
        assert_eq!(
            (claimed.job, claimed.busy),
            (expected, false),
            "turn {turn}"
        );
    }
    let differences = "SELECT sum(differences)::bigint FROM serial_gate_index";
    assert_eq!(count(&mut plain, differences), 0);
}

#[test]
fn a_clause_that_is_added_beside_writers_and_claims_forgets_no_repo() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    for time in 0..10_i64 {
        let end = Instant::now() + Duration::from_millis(150);
        let rule = thread::scope(|scope| {
            for writer in 0..3 {
                let queue = &queue;
                scope.spawn(move || {
                    let mut plain = queue.plain();
                    let mut number = 0;
                    while Instant::now() < end {
                        number += 1;
                        let repo = format!("{time} {writer} {number}");
                        let mut change = plain.transaction().unwrap();
                        add(&mut change, &repo, "analyst");
                        thread::sleep(Duration::from_millis(3));
                        change.commit().unwrap();
                    }
                });
            }
            scope.spawn(|| {
                let mut host = queue.host();
                while Instant::now() < end {
                    queue.claim(&mut host);
                }
            });
            thread::sleep(Duration::from_millis(50));
            let stage = format!("t.stage <> 'done {time}'");
            queue.install(&RULE.replace("t.stage <> 'done'", &stage))
        });
        let (mut plain, mut host) = (queue.plain(), queue.host());
        let functions = queue.functions_of(&rule);
        loop {
            let row = try_claim(&mut host, &functions, &[], None, 0).unwrap();
            let claimed = claimed(&row);
            if claimed.job.is_none() && !claimed.busy {
                break;
            }
        }
        let left = format!(
            "SELECT count(*) FROM jobs WHERE status = 'queued' AND {}",
            rule.clause
        );
        assert_eq!(count(&mut plain, &left), 0, "time {time}");
    }
}

#[test]
fn the_oldest_indexes_go_with_their_functions() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    for number in 0..5 {
        queue.install(&RULE.replace("'done'", &format!("'done {number}'")));
    }
    let mut plain = queue.plain();
    let removed: Vec<String> = plain
        .query(&qualified(&heads::remove_oldest(), &queue.schema), &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(removed.len(), 2);
    assert!(removed.contains(&queue.rule.digest));
    for statement in heads::REMOVE_ROWS {
        plain
            .batch_execute(&qualified(statement, &queue.schema))
            .unwrap();
    }
    for digest in &removed {
        let drop = super::super::claim::drop_functions(&queue.schema, digest);
        plain.batch_execute(&drop.concat()).unwrap();
    }
    let claim = try_claim(
        &mut queue.host(),
        &queue.functions_of(&queue.rule),
        &[],
        None,
        0,
    );
    assert_eq!(code(claim.unwrap_err()), "42883");
}

fn code(error: postgres::Error) -> String {
    error.code().unwrap().code().into()
}

#[test]
fn a_clause_s_texts_are_texts_in_a_function_too() {
    let texts = [
        "$gate$",
        "$_gate$",
        "$$",
        "it''s",
        "\\",
        "FROM jobs",
        "'' OR TRUE --",
    ];
    for text in texts {
        let rule = format!("AND jobs.agent = '{text}'");
        let Some(queue) = Queue::under(&rule) else {
            return;
        };
        let (mut plain, mut host) = (queue.plain(), queue.host());
        add(&mut plain, "a", "analyst");
        let (_, job) = add(&mut plain, "a", &text.replace("''", "'"));
        assert_eq!(queue.claim(&mut host).job, Some(job), "{text}");
        assert_eq!(queue.claim(&mut host).job, None, "{text}");
    }
}

#[test]
fn a_claim_in_a_transaction_with_one_snapshot_is_refused() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let mut host = queue.host();
    host.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .unwrap();
    let refused = try_claim(&mut host, &queue.functions_of(&queue.rule), &[], None, 0);
    assert_eq!(code(refused.unwrap_err()), WRONG_ISOLATION);
}

#[test]
fn a_claim_that_a_trigger_undoes_is_refused_with_its_job() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut plain, mut host) = (queue.plain(), queue.host());
    let (_, job) = add(&mut plain, "a", "analyst");
    add(&mut plain, "b", "analyst");
    plain
        .batch_execute(
            "CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RETURN CASE WHEN NEW.repo = 'a' THEN NULL ELSE NEW END; END $$;
             CREATE TRIGGER ignore BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION ignore()",
        )
        .unwrap();
    let functions = queue.functions_of(&queue.rule);
    let refused = try_claim(&mut host, &functions, &[], None, 0).unwrap_err();
    let error = refused.as_db_error().unwrap();
    assert_eq!(error.code().code(), UNDONE);
    assert_eq!(error.detail(), Some(job.to_string().as_str()));
}

#[test]
fn a_lease_ends_at_a_whole_second_and_a_fence_is_the_time() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut plain, mut host) = (queue.plain(), queue.host());
    add(&mut plain, "a", "analyst");
    let claimed = queue.claim(&mut host);
    let row = plain
        .query_one(
            "SELECT gate_lease_until, gate_fence, gate_attempt, gate_lease, gate_worker, gate_token,
                gate_lease_until::timestamp - gate_claimed_at::timestamp
                    BETWEEN interval '60 s' AND interval '61 s',
                abs(extract(epoch FROM clock_timestamp()) * 1000 - gate_fence) < 10000
             FROM jobs WHERE status = 'running'",
            &[],
        )
        .unwrap();
    assert_eq!(claimed.lease_until, row.get(0));
    assert_eq!(claimed.fence, row.get(1));
    let (attempt, lease): (i64, i64) = (row.get(2), row.get(3));
    assert_eq!((attempt, lease), (1, 60));
    let (worker, token): (String, String) = (row.get(4), row.get(5));
    assert_eq!((worker.as_str(), token.as_str()), ("w-1", "sgc_token"));
    let (is_long, is_now): (bool, bool) = (row.get(6), row.get(7));
    assert!(is_long && is_now);
    // A clock that went back: the fence grows all the same, and the longest lease can be read.
    let sql = "UPDATE jobs SET status = 'queued', gate_fence = 9000000000000000";
    plain.batch_execute(sql).unwrap();
    let functions = queue.functions_of(&queue.rule);
    let none = None::<i64>;
    let row = host
        .query_one(
            &functions.claiming(),
            &[
                &"[\"analyst\"]",
                &"w",
                &"t",
                &i64::MAX,
                &none,
                &none,
                &None::<i32>,
                &0,
                &true,
                &true,
            ],
        )
        .unwrap();
    let again = super::claimed(&row);
    assert_eq!(again.fence, Some(9_000_000_000_000_001));
    assert_eq!(again.lease_until.as_deref(), Some("9999-12-30 22:00:00"));
}
