//! The service is killed while workers claim and finish: nothing is lost and nothing is done twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Service};
use crate::harness::Gate;

const TASKS: i64 = 300;
const REPOS: i64 = 30;
const WORKERS: usize = 8;
const KILLS: usize = 5;

#[test]
fn killed_again_and_again_it_loses_no_job_and_ends_none_twice() {
    let gate = Gate::new();
    // What nobody heard of comes back soon.
    gate.write("serial-gate.toml", "lease = \"2s\"\n");
    let sqlite = gate.sqlite();
    sqlite
        .execute_batch(
            "CREATE TABLE ended (job INTEGER);
             CREATE TRIGGER ended AFTER UPDATE OF status ON jobs WHEN NEW.status = 'done'
             BEGIN INSERT INTO ended VALUES (NEW.id); END;
             CREATE TABLE too_early (job INTEGER);
             CREATE TRIGGER too_early AFTER UPDATE OF status ON jobs WHEN NEW.status = 'running'
                AND EXISTS (SELECT 1 FROM tasks WHERE repo = NEW.repo AND id < NEW.task_id AND stage != 'done')
             BEGIN INSERT INTO too_early VALUES (NEW.id); END;",
        )
        .unwrap();
    let mut service = Service::on(gate);
    for task in 0..TASKS {
        let repo = format!("repo-{}", task % REPOS);
        service.post("/tasks", &json!({"repo": repo})).is(201);
    }
    let count = |sql: &str| {
        sqlite
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let over = AtomicBool::new(false);
    let address = service.address.clone();
    scope(|scope| {
        for worker in 0..WORKERS {
            let worker = Worker {
                name: format!("worker-{worker}"),
                address: &address,
                over: &over,
            };
            scope.spawn(move || worker.work());
        }
        for _ in 0..KILLS {
            sleep(Duration::from_millis(300));
            service.kill_and_start_again();
        }
        for _ in 0..1_200 {
            if count("SELECT count(*) FROM tasks WHERE stage != 'done'") == 0 {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(count("SELECT count(*) FROM tasks WHERE stage != 'done'"), 0);
    assert_eq!(count("SELECT count(*) FROM ended"), TASKS);
    assert_eq!(count("SELECT count(DISTINCT job) FROM ended"), TASKS);
    assert_eq!(count("SELECT count(*) FROM too_early"), 0);
    let whole: String = sqlite
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}

struct Worker<'a> {
    name: String,
    address: &'a str,
    over: &'a AtomicBool,
}

impl Worker<'_> {
    fn work(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let claim = json!({"worker": self.name, "wait": 1});
            match super::ask(self.address, "POST", "/claim", &claim) {
                Ok(answer) if answer.status == 200 => self.finish(&answer.json()),
                Ok(_) => {}
                Err(_) => sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Whether the job was ended is asked until there is an answer, and so is the task.
    fn finish(&self, job: &Value) {
        let finish = format!("/jobs/{}/finish", job["id"]);
        let ended = self.insist("POST", &finish, &json!({"token": job["token"]}));
        if ended.status != 200 {
            // The answer to an earlier try may have been lost, or the lease ran out.
            let explain = format!("/jobs/{}/explain", job["id"]);
            let found = self.insist("GET", &explain, &json!({})).json();
            if found["job"]["status"] != "done" {
                return;
            }
        }
        let task = format!("/tasks/{}", job["task_id"]);
        self.insist("PATCH", &task, &json!({"stage": "done"}))
            .is(200);
    }

    fn insist(&self, method: &str, path: &str, body: &Value) -> Answer {
        loop {
            match super::ask(self.address, method, path, body) {
                Ok(answer) if answer.status != 503 => return answer,
                _ => sleep(Duration::from_millis(10)),
            }
        }
    }
}
