//! Claims under random writes, compared with the clause itself.

use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;

use super::{BY_ID, ELSEWHERE, LIMIT, Queue, RULE, add, count};

/// Rules that gate every agent but one, and that let jobs without an agent through.
const ALL_BUT_ONE: &str = "AND (jobs.agent = 'developer' OR NOT EXISTS (SELECT 1 FROM tasks t
    WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage <> 'done'))";
const NO_AGENT: &str = "AND (jobs.agent IS NULL OR jobs.agent <> 'analyst' OR NOT EXISTS (
    SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id
        AND t.stage <> 'done'))";

/// Numbers that look random, and are the same in each run.
pub(super) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let index = self.below(of.len() as u64) as usize;
        of[index]
    }
}

const REPOS: [&str; 5] = ["'a'", "'b'", "'c'", "''", "NULL"];
const STAGES: [&str; 4] = ["'analysis'", "'review'", "'done'", "NULL"];
const AGENTS: [&str; 4] = ["'analyst'", "'developer'", "''", "NULL"];
const STATUSES: [&str; 4] = ["'queued'", "'done'", "'failed'", "'running'"];

/// A write of another program.
fn write(random: &mut Random) -> String {
    let (repo, stage) = (random.one_of(&REPOS), random.one_of(&STAGES));
    let (agent, status) = (random.one_of(&AGENTS), random.one_of(&STATUSES));
    let id = random.below(40) + 1;
    let task = match random.below(12) {
        0 => String::from("NULL"),
        _ => (random.below(40) + 1).to_string(),
    };
    match random.below(100) {
        0..25 => format!("INSERT INTO tasks (repo, stage) VALUES ({repo}, {stage})"),
        25..52 => {
            format!("INSERT INTO jobs (task_id, repo, agent) VALUES ({task}, {repo}, {agent})")
        }
        52..66 => format!("UPDATE tasks SET stage = {stage} WHERE id = {id}"),
        66..71 => format!("UPDATE tasks SET repo = {repo} WHERE id = {id}"),
        71..74 => format!("DELETE FROM tasks WHERE id = {id}"),
        74..80 => format!(
            "UPDATE jobs SET status = {status}, repo = {repo}, agent = {agent}, task_id = {task}
             WHERE id = {id}"
        ),
        80..83 => format!("DELETE FROM jobs WHERE id = {id}"),
        83..88 if repo != "NULL" => format!("INSERT INTO repo_freeze (repo) VALUES ({repo})"),
        _ => format!(
            "UPDATE repo_freeze SET cleared_at = 'now' WHERE repo IS NOT DISTINCT FROM {repo}"
        ),
    }
}

/// Compares claims with the clause for a while, beside random writes by one program. Returns how
/// many claims there were, and how many of them got a job.
fn compare(rule: &str, collation: &str, claims: u32) -> Option<(u32, u32)> {
    let queue = Queue::with(rule, collation)?;
    let (mut plain, mut host) = (queue.plain(), queue.host());
    let mut random = Random(0x5eed_5eed_5eed);
    let mut got = 0;
    for claim in 0..claims {
        for _ in 0..random.below(12) {
            let sql = write(&mut random);
            plain.batch_execute(&sql).unwrap();
        }
        if claim % 60 == 59 {
            let table = random.one_of(&["tasks", "jobs", "repo_freeze"]);
            let sql = format!("TRUNCATE {table} RESTART IDENTITY");
            plain.batch_execute(&sql).unwrap();
        }
        let agents: &[&str] = match random.below(6) {
            0 => &[],
            1 => &["developer"],
            2 => &[""],
            3 => &["", "analyst", "developer"],
            4 => &["developer", "nobody", "developer"],
            _ => &["analyst"],
        };
        let expected = queue.first(&mut plain, agents);
        let claimed = queue.claim_by(&mut host, agents, None, 0);
        assert_eq!(
            (claimed.job, claimed.busy),
            (expected, false),
            "claim {claim} for {agents:?}"
        );
        got += u32::from(claimed.job.is_some());
    }
    let differences = "SELECT coalesce(sum(differences), 0)::bigint FROM serial_gate_index";
    assert_eq!(count(&mut plain, differences), 0);
    Some((claims, got))
}

#[test]
fn a_claim_gets_the_job_that_the_clause_lets_through_first() {
    let own = "\"C\"";
    let of_gate =
        [RULE, LIMIT, BY_ID, ELSEWHERE, "", ALL_BUT_ONE, NO_AGENT].map(|rule| (rule, own));
    let adopted = ["\"default\"", "\"de-x-icu\""].map(|collation| (RULE, collation));
    for (rule, collation) in of_gate.into_iter().chain(adopted) {
        if let Some((claims, got)) = compare(rule, collation, 400) {
            assert!(
                got > claims / 20,
                "{got} of {claims} claims got a job: {rule}"
            );
        }
    }
}

/// Writers and workers beside each other. Returns the jobs that were given away.
fn run(queue: &Queue, time: Duration) -> Vec<i64> {
    let end = Instant::now() + time;
    let writer = |seed: u64| {
        let mut plain = queue.plain();
        let mut random = Random(seed);
        while Instant::now() < end - time / 4 {
            let repo = format!("r{}", random.below(6));
            let mut change = plain.transaction().unwrap();
            add(&mut change, &repo, "analyst");
            thread::sleep(Duration::from_millis(random.below(10)));
            if random.below(10) == 0 {
                change.rollback().unwrap();
            } else {
                change.commit().unwrap();
            }
            if random.below(20) == 0 {
                let freeze = "INSERT INTO repo_freeze (repo) VALUES ($1)";
                plain.execute(freeze, &[&repo]).unwrap();
                thread::sleep(Duration::from_millis(20));
                let clear = "UPDATE repo_freeze SET cleared_at = 'now' WHERE repo = $1";
                plain.execute(clear, &[&repo]).unwrap();
            }
        }
    };
    let worker = || {
        let (mut plain, mut host) = (queue.plain(), queue.host());
        let mut given = Vec::new();
        let mut held = None;
        while Instant::now() < end {
            let claimed = queue.claim_by(&mut host, &["analyst"], held, 50);
            held = claimed.held.filter(|_| claimed.busy);
            let (Some(job), Some(task)) = (claimed.job, claimed.task) else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            given.push(job);
            assert_eq!(active_twice(&mut plain), 0);
            let done = "UPDATE tasks SET stage = 'done' WHERE id = $1";
            plain.execute(done, &[&task]).unwrap();
        }
        given
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (1..5)
            .map(|seed| scope.spawn(move || writer(seed)))
            .collect();
        let workers: Vec<_> = (0..6).map(|_| scope.spawn(worker)).collect();
        for writer in writers {
            writer.join().unwrap();
        }
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

/// How many repos have two started tasks that are not done.
fn active_twice(plain: &mut Client) -> i64 {
    count(
        plain,
        "SELECT count(*) FROM (SELECT 1 FROM jobs j JOIN tasks t ON t.id = j.task_id
         WHERE j.status = 'running' AND t.stage <> 'done' GROUP BY t.repo
         HAVING count(DISTINCT t.id) > 1) AS repos",
    )
}

#[test]
fn beside_many_writers_no_repo_has_two_active_tasks_and_nothing_is_forgotten() {
    let Some(queue) = Queue::under(RULE) else {
        return;
    };
    let mut given = run(&queue, Duration::from_secs(4));
    let all = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), all, "a job was given away twice");
    assert!(all > 50, "only {all} claims");
    let (mut plain, mut host) = (queue.plain(), queue.host());
    while let Some(task) = queue.claim(&mut host).task {
        let done = "UPDATE tasks SET stage = 'done' WHERE id = $1";
        plain.execute(done, &[&task]).unwrap();
    }
    assert_eq!(queue.first(&mut plain, &[]), None);
}
