//! Each known race, forced by two sessions at a time: the host's function on one side, another
//! program's plain SQL on the other.

use std::thread;

use super::{Claimed, Queue, RULE, add, count, locks_of, times, until_it_waits};

/// Runs a race again and again, each time in another repo.
fn each(race: impl Fn(&Queue, &str)) {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    for time in 0..times() {
        race(&queue, &format!("repo {time}"));
        let mut plain = queue.plain();
        plain
            .batch_execute(
                "UPDATE jobs SET status = 'done'; UPDATE tasks SET stage = 'done';
                 UPDATE repo_freeze SET cleared_at = 'now'",
            )
            .unwrap();
        let nothing = queue.claim(&mut queue.host());
        assert_eq!(nothing, Claimed::default(), "all is done");
    }
}

#[test]
fn a_lower_task_that_is_not_committed_yet_holds_the_higher_one() {
    each(|queue, repo| {
        let (mut first, mut second, mut host) = (queue.plain(), queue.plain(), queue.host());
        let mut open = first.transaction().unwrap();
        let (_, lower) = add(&mut open, repo, "analyst");
        add(&mut second, repo, "analyst");
        let during = queue.claim(&mut host);
        assert_eq!((during.job, during.busy), (None, true));
        open.commit().unwrap();
        assert_eq!(queue.claim(&mut host).job, Some(lower));
        let after = queue.claim(&mut host);
        assert_eq!((after.job, after.busy), (None, false));
    });
}

#[test]
fn a_freeze_waits_for_a_claim_and_then_sees_its_job() {
    each(|queue, repo| {
        let (mut plain, mut host, mut freezer) = (queue.plain(), queue.host(), queue.plain());
        let (_, job) = add(&mut plain, repo, "analyst");
        host.batch_execute("BEGIN").unwrap();
        assert_eq!(queue.claim(&mut host).job, Some(job));
        let freezing = locks_of(&mut freezer);
        let name = repo.to_owned();
        let freeze = thread::spawn(move || {
            let mut freeze = freezer.transaction().unwrap();
            let sql = "INSERT INTO repo_freeze (repo) VALUES ($1)";
            freeze.execute(sql, &[&name]).unwrap();
            let sql = "SELECT count(*) FROM jobs WHERE status = 'running' AND repo = $1";
            let running: i64 = freeze.query_one(sql, &[&name]).unwrap().get(0);
            freeze.commit().unwrap();
            running
        });
        until_it_waits(&mut plain, &freezing);
        host.batch_execute("COMMIT").unwrap();
        assert_eq!(freeze.join().unwrap(), 1);
    });
}

#[test]
fn no_job_is_given_away_beside_a_freeze_that_is_not_committed_yet() {
    each(|queue, repo| {
        let (mut plain, mut host) = (queue.plain(), queue.host());
        add(&mut plain, repo, "analyst");
        let mut freeze = plain.transaction().unwrap();
        let sql = "INSERT INTO repo_freeze (repo) VALUES ($1)";
        freeze.execute(sql, &[&repo]).unwrap();
        let during = queue.claim(&mut host);
        assert_eq!((during.job, during.busy), (None, true));
        freeze.commit().unwrap();
        let after = queue.claim(&mut host);
        assert_eq!((after.job, after.busy), (None, false));
    });
}

#[test]
fn a_task_that_is_being_opened_again_holds_the_later_one() {
    each(|queue, repo| {
        let (mut plain, mut host) = (queue.plain(), queue.host());
        let (earlier, job) = add(&mut plain, repo, "analyst");
        add(&mut plain, repo, "analyst");
        let end = "UPDATE jobs SET status = 'done' WHERE id = $1";
        plain.execute(end, &[&job]).unwrap();
        let set_stage = "UPDATE tasks SET stage = $2 WHERE id = $1";
        plain.execute(set_stage, &[&earlier, &"done"]).unwrap();
        let mut open = plain.transaction().unwrap();
        open.execute(set_stage, &[&earlier, &"review"]).unwrap();
        let during = queue.claim(&mut host);
        assert_eq!((during.job, during.busy), (None, true));
        open.commit().unwrap();
        let after = queue.claim(&mut host);
        assert_eq!((after.job, after.busy), (None, false));
    });
}

#[test]
fn two_workers_never_get_one_job() {
    each(|queue, repo| {
        for agent in ["analyst", "developer"] {
            let (mut plain, mut one, mut other) = (queue.plain(), queue.host(), queue.host());
            let (_, job) = add(&mut plain, repo, agent);
            one.batch_execute("BEGIN").unwrap();
            assert_eq!(queue.claim_for(&mut one, agent).job, Some(job));
            let during = queue.claim_for(&mut other, agent);
            assert_eq!((during.job, during.busy), (None, true));
            one.batch_execute("COMMIT").unwrap();
            let after = queue.claim_for(&mut other, agent);
            assert_eq!((after.job, after.busy), (None, false));
            plain
                .batch_execute("UPDATE tasks SET stage = 'done'")
                .unwrap();
        }
    });
}

#[test]
fn a_claim_that_waited_for_a_freeze_asks_the_clause_only_then() {
    each(|queue, repo| {
        let (mut plain, mut freezer, mut host) = (queue.plain(), queue.plain(), queue.host());
        add(&mut plain, repo, "analyst");
        let mut freeze = freezer.transaction().unwrap();
        let sql = "INSERT INTO repo_freeze (repo) VALUES ($1)";
        freeze.execute(sql, &[&repo]).unwrap();
        let missed = queue.claim(&mut host);
        assert!(missed.held.is_some());
        let claiming = locks_of(&mut host);
        thread::scope(|scope| {
            let claim = scope.spawn(|| queue.claim_by(&mut host, &[], missed.held, 10_000));
            until_it_waits(&mut plain, &claiming);
            freeze.commit().unwrap();
            let claimed = claim.join().unwrap();
            assert_eq!((claimed.job, claimed.busy), (None, false));
        });
    });
}

#[test]
fn a_wait_is_bounded_and_leaves_the_session_s_settings_alone() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut plain, mut writer, mut host) = (queue.plain(), queue.plain(), queue.host());
    add(&mut plain, "a", "analyst");
    let mut open = writer.transaction().unwrap();
    add(&mut open, "a", "analyst");
    host.batch_execute("SET lock_timeout = '7s'; SET timezone = 'Asia/Tokyo'")
        .unwrap();
    let missed = queue.claim(&mut host);
    let again = queue.claim_by(&mut host, &[], missed.held, 20);
    assert_eq!(
        (again.job, again.busy, again.held),
        (None, true, missed.held)
    );
    let settings = "SELECT current_setting('lock_timeout') || ' ' || current_setting('timezone')
        || ' ' || current_setting('synchronous_commit')";
    let settings: String = host.query_one(settings, &[]).unwrap().get(0);
    assert_eq!(settings, "7s Asia/Tokyo on");
    open.commit().unwrap();
    assert!(queue.claim(&mut host).job.is_some());
}

#[test]
fn a_lower_task_that_comes_after_a_higher_one_was_started_is_counted() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let (mut plain, mut host) = (queue.plain(), queue.host());
    plain
        .batch_execute(
            "INSERT INTO tasks (id, repo, stage) VALUES (70, 'a', 'analysis');
             INSERT INTO jobs (task_id, repo, agent) VALUES (70, 'a', 'analyst')",
        )
        .unwrap();
    assert_eq!(queue.claim(&mut host).task, Some(70));
    let late = "SELECT count(*) FROM serial_gate_late_task";
    for (id, stage, counted) in [(80, "analysis", 0), (60, "done", 0), (50, "analysis", 1)] {
        let sql = format!("INSERT INTO tasks (id, repo, stage) VALUES ({id}, 'a', '{stage}')");
        plain.batch_execute(&sql).unwrap();
        assert_eq!(count(&mut plain, late), counted);
    }
}
