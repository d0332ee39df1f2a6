//! Random schedules of several sessions, and a serial order beside them that explains every claim.
//!
//! `SERIAL_GATE_TEST_OPERATIONS` says how many transactions there are. The order is that of the
//! commits: see `serial`. Each session changes only rows of its own, so the sessions cannot deadlock
//! without the gate, and any error fails the test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, GenericClient};

use super::agree::Random;
use super::serial::{Frozen, Given, LOG, Oracle, Seen};
use super::{Queue, RULE};

const SESSIONS: u64 = 6;
const REPOS: u64 = 8;

/// After so many transactions the log is gone through, and the queue is compared with the clause.
const EPOCH: u64 = 5_000;

fn operations() -> u64 {
    let times = std::env::var("SERIAL_GATE_TEST_OPERATIONS").ok();
    times.and_then(|times| times.parse().ok()).unwrap_or(EPOCH)
}

/// A session, and what it has to bring to an end.
struct Session<'a> {
    queue: &'a Queue,
    plain: Client,
    host: Client,
    random: Random,
    held: Option<i32>,
    running: Vec<(i64, i64)>,
    queued: Vec<i64>,
    opened: Vec<i64>,
    finished: Vec<i64>,
    freezes: Vec<(i64, String, Instant)>,
    seen: Seen,
}

impl Session<'_> {
    fn repo(&mut self) -> String {
        format!("r{}", self.random.below(REPOS))
    }

    /// One of a list, which loses it.
    fn one<T>(random: &mut Random, of: &mut Vec<T>) -> Option<T> {
        (!of.is_empty()).then(|| of.swap_remove(random.below(of.len() as u64) as usize))
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..28 => self.add(),
            28..66 => self.claim(),
            66..88 => self.finish(),
            88..91 => self.put_back(),
            91..93 => self.move_or_remove(),
            93..95 => self.open_again(),
            95..97 => self.close(),
            97..98 => self.freeze(),
            _ => self.unfreeze(),
        }
    }

    fn add(&mut self) {
        let repos = [self.repo(), self.repo()];
        let count = if self.random.below(10) == 0 { 2 } else { 1 };
        let agent = if self.random.below(4) == 0 {
            "developer"
        } else {
            "analyst"
        };
        let (pause, is_undone) = (self.random.below(8), self.random.below(12) == 0);
        let mut change = self.plain.transaction().unwrap();
        let mut jobs = Vec::new();
        for repo in repos.iter().take(count) {
            jobs.push(super::add(&mut change, repo, agent).1);
        }
        if pause < 2 {
            thread::sleep(Duration::from_millis(pause));
        }
        if is_undone {
            change.rollback().unwrap();
            return;
        }
        change.commit().unwrap();
        self.queued.extend(jobs);
        if self.queued.len() > 200 {
            self.queued.clear();
        }
    }

    fn claim(&mut self) {
        let agents: &[&str] = match self.random.below(6) {
            0 => &[],
            1 => &["developer"],
            2 => &["developer", "analyst"],
            _ => &["analyst"],
        };
        let begun = Instant::now();
        let claimed = self.queue.claim_by(&mut self.host, agents, self.held, 50);
        self.held = claimed.held.filter(|_| claimed.busy);
        if let (Some(job), Some(task), Some(fence)) = (claimed.job, claimed.task, claimed.fence) {
            self.running.push((job, task));
            let ended = Instant::now();
            self.seen.given.push(Given {
                job,
                fence,
                begun,
                ended,
            });
        }
    }

    fn finish(&mut self) {
        let Some((job, task)) = Session::one(&mut self.random, &mut self.running) else {
            return self.claim();
        };
        let mut change = self.plain.transaction().unwrap();
        end(&mut change, job, task);
        change.commit().unwrap();
        self.finished.push(task);
    }

    /// Another program puts a running job back.
    fn put_back(&mut self) {
        if let Some((job, _)) = Session::one(&mut self.random, &mut self.running) {
            let sql = "UPDATE jobs SET status = 'queued' WHERE id = $1";
            self.plain.execute(sql, &[&job]).unwrap();
        }
    }

    /// A queued job and its task go to another repo, or away.
    fn move_or_remove(&mut self) {
        let repo = self.repo();
        let Some(job) = Session::one(&mut self.random, &mut self.queued) else {
            return;
        };
        if self.random.below(2) == 0 {
            let sql = "WITH it AS (UPDATE jobs SET repo = $2 WHERE id = $1 AND status = 'queued'
                    RETURNING task_id)
                UPDATE tasks SET repo = $2 FROM it WHERE tasks.id = it.task_id";
            self.plain.execute(sql, &[&job, &repo]).unwrap();
        } else {
            let sql = "WITH it AS (DELETE FROM jobs WHERE id = $1 AND status = 'queued'
                    RETURNING task_id)
                DELETE FROM tasks USING it WHERE tasks.id = it.task_id";
            self.plain.execute(sql, &[&job]).unwrap();
        }
    }

    fn open_again(&mut self) {
        if let Some(task) = Session::one(&mut self.random, &mut self.finished) {
            let sql = "UPDATE tasks SET stage = 'review' WHERE id = $1";
            self.plain.execute(sql, &[&task]).unwrap();
            self.opened.push(task);
        }
    }

    fn close(&mut self) {
        if let Some(task) = Session::one(&mut self.random, &mut self.opened) {
            let sql = "UPDATE tasks SET stage = 'done' WHERE id = $1";
            self.plain.execute(sql, &[&task]).unwrap();
        }
    }

    fn freeze(&mut self) {
        let repo = self.repo();
        let sql = "INSERT INTO repo_freeze (repo) VALUES ($1) RETURNING id";
        let freeze = self.plain.query_one(sql, &[&repo]).unwrap().get(0);
        self.freezes.push((freeze, repo, Instant::now()));
    }

    fn unfreeze(&mut self) {
        if let Some((freeze, repo, from)) = Session::one(&mut self.random, &mut self.freezes) {
            let until = Instant::now();
            let sql = "UPDATE repo_freeze SET cleared_at = 'now' WHERE id = $1";
            self.plain.execute(sql, &[&freeze]).unwrap();
            self.seen.frozen.push(Frozen { repo, from, until });
        }
    }

    /// Brings to an end what would hold a repo for ever.
    fn end(mut self) -> Seen {
        while !self.running.is_empty() {
            self.finish();
        }
        while !self.opened.is_empty() {
            self.close();
        }
        while !self.freezes.is_empty() {
            self.unfreeze();
        }
        self.seen
    }
}

fn end(client: &mut impl GenericClient, job: i64, task: i64) {
    let sql = "UPDATE jobs SET status = 'done' WHERE id = $1";
    client.execute(sql, &[&job]).unwrap();
    let sql = "UPDATE tasks SET stage = 'done' WHERE id = $1";
    client.execute(sql, &[&task]).unwrap();
}

#[test]
fn every_claim_of_random_schedules_is_right_in_the_order_of_the_commits() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let mut plain = queue.plain();
    plain.batch_execute(LOG).unwrap();
    let (mut oracle, mut done) = (Oracle::default(), 0);
    let of_all = operations();
    while done < of_all {
        let epoch = EPOCH.min(of_all - done);
        let left = AtomicU64::new(epoch);
        let seen = Mutex::new(Vec::new());
        let session = |number: u64| {
            let mut session = Session {
                queue: &queue,
                plain: queue.plain(),
                host: queue.host(),
                random: Random(0x5eed_0001 + done * SESSIONS + number),
                held: None,
                running: Vec::new(),
                queued: Vec::new(),
                opened: Vec::new(),
                finished: Vec::new(),
                freezes: Vec::new(),
                seen: Seen::default(),
            };
            let next = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
                .is_ok()
            {
                session.step();
            }
            let seen_by_this = session.end();
            seen.lock().unwrap().push(seen_by_this);
        };
        thread::scope(|scope| {
            let session = &session;
            for number in 1..=SESSIONS {
                scope.spawn(move || session(number));
            }
        });
        oracle.read(&mut plain);
        oracle.compare(&seen.into_inner().unwrap());
        // Nothing is forgotten: alone, a claim gets what the clause lets through first.
        let mut alone = Seen::default();
        for _ in 0..5 {
            let begun = Instant::now();
            let first = queue.first(&mut plain, &[]);
            let claimed = queue.claim(&mut queue.host());
            assert_eq!((claimed.job, claimed.busy), (first, false));
            if let (Some(job), Some(task), Some(fence)) = (claimed.job, claimed.task, claimed.fence)
            {
                let ended = Instant::now();
                alone.given.push(Given {
                    job,
                    fence,
                    begun,
                    ended,
                });
                end(&mut plain, job, task);
            }
        }
        oracle.read(&mut plain);
        oracle.compare(&[alone]);
        done += epoch;
    }
    assert!(oracle.claims > of_all / 20, "only {} claims", oracle.claims);
}
