//! The rows that every contestant decides over, and the answer that they must agree on.
//!
//! Owns the queue's shape: an unfinished task for each job, one repo for 100 tasks, every tenth job
//! a developer's, every fifth repo frozen.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serial_gate::gate::default_settings;
use serial_gate::queue::Queue;
use serial_gate::store::Actor;

pub struct Rows {
    pub tasks: Vec<Task>,
    pub jobs: Vec<Job>,
    pub freezes: Vec<Freeze>,
}

pub struct Task {
    pub id: i64,
    pub repo: String,
    pub stage: &'static str,
}

pub struct Job {
    pub id: i64,
    pub task: i64,
    pub repo: String,
    pub agent: &'static str,
}

/// A freeze that nobody has cleared.
pub struct Freeze {
    pub id: i64,
    pub repo: String,
}

/// What holds a job; it may be claimed if nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub job: i64,
    pub earlier_task: Option<i64>,
    pub freeze: Option<i64>,
}

impl Rows {
    pub fn new(jobs: i64) -> Rows {
        let repos = (jobs + 99) / 100;
        let repo = |n: i64| format!("repo-{}", n % repos);
        let stage = |n: i64| match n <= repos {
            true => "development",
            false => "analysis",
        };
        let agent = |n: i64| match n % 10 {
            0 => "developer",
            _ => "analyst",
        };
        Rows {
            tasks: (1..=jobs)
                .map(|id| Task {
                    id,
                    repo: repo(id),
                    stage: stage(id),
                })
                .collect(),
            jobs: (1..=jobs)
                .map(|id| Job {
                    id,
                    task: id,
                    repo: repo(id),
                    agent: agent(id),
                })
                .collect(),
            freezes: (0..repos)
                .filter(|n| n % 5 == 3)
                .map(|id| Freeze { id, repo: repo(id) })
                .collect(),
        }
    }

    /// A prepared queue with these rows.
    pub fn write(&self, path: &Path) {
        let actor = Actor {
            now: Timestamp::now(),
            who: "bench",
            why: "to measure",
        };
        Queue::init(path, &default_settings(), actor).unwrap();
        let mut sqlite = Connection::open(path).unwrap();
        let transaction = sqlite.transaction().unwrap();
        for Task { id, repo, stage } in &self.tasks {
            let sql = "INSERT INTO tasks (id, work_item_id, repo, stage) VALUES (?1, ?2, ?3, ?4)";
            let work_item = format!("ORCH-{id}");
            let row = params![id, work_item, repo, stage];
            transaction.execute(sql, row).unwrap();
        }
        for Job {
            id,
            task,
            repo,
            agent,
        } in &self.jobs
        {
            let sql = "INSERT INTO jobs (id, task_id, repo, agent) VALUES (?1, ?2, ?3, ?4)";
            transaction
                .execute(sql, params![id, task, repo, agent])
                .unwrap();
        }
        for Freeze { id, repo } in &self.freezes {
            let sql = "INSERT INTO repo_freeze (id, repo, reason) VALUES (?1, ?2, 'deploy')";
            transaction.execute(sql, params![id, repo]).unwrap();
        }
        transaction.commit().unwrap();
    }
}
