//! The service is killed again and again while workers claim and finish and an operator freezes:
//! nothing is lost, nothing is done twice, and nothing is reported that did not happen.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Gate;
use crate::support::endpoint::{Answer as Answers, Endpoint};
use crate::support::engine::{Does, Program};
use crate::support::service::ask;
use crate::support::service::{Answer, Service};

const WORKERS: usize = 50;
const REPOS: usize = 40;
const KILLS: u32 = 10;
const BETWEEN: Duration = Duration::from_secs(3);

#[test]
fn killed_again_and_again_it_loses_nothing_and_does_nothing_twice() {
    // The first alerts are refused, cut off and put off.
    let endpoint = Endpoint::new(&[
        Answers::Status(500),
        Answers::Drop,
        Answers::TooMany(1),
        Answers::Status(503),
    ]);
    let gate = Gate::new();
    // A claim without an answer comes back soon.
    gate.write(
        "serial-gate.toml",
        format!(
            "lease = \"2s\"\n[alerts]\ntries = 100\n[alerts.webhook]\nurl = \"{}/hook\"\nsecret_file = \"secret\"\n",
            endpoint.url
        ),
    );
    gate.write("secret", "a shared secret");
    let program = gate.program();
    program.run("CREATE TABLE ended (job INTEGER); CREATE TABLE too_early (job INTEGER)");
    for (name, status, sql) in [
        ("ends", "done", "INSERT INTO ended VALUES (NEW.id)"),
        (
            "comes_early",
            "running",
            "INSERT INTO too_early SELECT NEW.id WHERE EXISTS (SELECT 1 FROM tasks
             WHERE repo = NEW.repo AND id < NEW.task_id AND stage <> 'done')",
        ),
    ] {
        let when = format!("NEW.status = '{status}'");
        let event = "AFTER UPDATE OF status ON jobs";
        program.trigger(name, event, Some(&when), &Does::Run(sql));
    }
    let mut service = Service::on(gate);
    let crowd = Crowd {
        address: service.address.clone(),
        adding: AtomicBool::new(true),
        over: AtomicBool::new(false),
        added: Mutex::default(),
        frozen: Mutex::default(),
    };
    for n in 0..WORKERS {
        crowd.add_task(n % REPOS);
    }
    scope(|scope| {
        for n in 0..WORKERS {
            let crowd = &crowd;
            scope.spawn(move || crowd.work(n));
        }
        scope.spawn(|| crowd.freeze_and_unfreeze());
        for _ in 0..KILLS {
            sleep(BETWEEN);
            service.kill_and_start_again();
        }
        crowd.adding.store(false, Ordering::Relaxed);
        until_none(&program, "SELECT count(*) FROM tasks WHERE stage <> 'done'");
        crowd.over.store(true, Ordering::Relaxed);
    });
    crowd.check_jobs(&program);
    crowd.check_alerts(&program, &endpoint);
    assert!(program.is_whole());
}

/// The users of the service.
struct Crowd {
    address: String,
    adding: AtomicBool,
    over: AtomicBool,
    /// The tasks whose adding was answered.
    added: Mutex<BTreeSet<i64>>,
    /// The freezes that were answered.
    frozen: Mutex<BTreeSet<i64>>,
}

impl Crowd {
    /// Adds a task. Without an answer, it may exist or not.
    fn add_task(&self, repo: usize) {
        let task = json!({"repo": format!("repo-{repo}")});
        if let Ok(answer) = ask(&self.address, "POST", "/v1/tasks", &task)
            && answer.status == 201
        {
            let id = answer.json()["task_id"].as_i64().unwrap();
            self.added.lock().unwrap().insert(id);
        }
    }

    fn work(&self, n: usize) {
        let claim = json!({"worker": format!("worker-{n}"), "wait": 1});
        while !self.over.load(Ordering::Relaxed) {
            match ask(&self.address, "POST", "/v1/claim", &claim) {
                Ok(answer) if answer.status == 200 => {
                    self.finish(&answer.json());
                    if self.adding.load(Ordering::Relaxed) {
                        self.add_task(n % REPOS);
                    }
                }
                Ok(_) => {}
                Err(_) => sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Ends the job, and then the task, and repeats each request until there is an answer.
    fn finish(&self, job: &Value) {
        let finish = format!("/v1/jobs/{}/finish", job["id"]);
        let ended = self.insist("POST", &finish, &json!({"token": job["token"]}));
        if ended.status != 200 {
            // The answer to an earlier try may have been lost, or the lease expired.
            let explain = format!("/v1/jobs/{}/explain", job["id"]);
            let found = self.insist("GET", &explain, &json!({})).json();
            if found["job"]["status"] != "done" {
                return;
            }
        }
        let task = format!("/v1/tasks/{}", job["task_id"]);
        self.insist("PATCH", &task, &json!({"stage": "done"}))
            .is(200);
    }

    fn freeze_and_unfreeze(&self) {
        let (mut freeze, mut unfreeze) = (0, 0);
        while self.adding.load(Ordering::Relaxed) {
            // Not a worker's repo: a lost answer would hold its tasks for long.
            let body = json!({"repo": "closed", "new": true, "reason": format!("reason {freeze}"), "who": "ops"});
            freeze += 1;
            match ask(&self.address, "POST", "/v1/freezes", &body) {
                Ok(answer) if answer.status == 200 => {
                    let id = answer.json()["freeze_id"].as_i64().unwrap();
                    self.frozen.lock().unwrap().insert(id);
                }
                _ => sleep(Duration::from_millis(10)),
            }
            let body =
                json!({"repo": "closed", "reason": format!("fine {unfreeze}"), "who": "ops"});
            unfreeze += 1;
            let _ = ask(&self.address, "POST", "/serial-gate/unfreeze", &body);
            sleep(Duration::from_millis(50));
        }
    }

    fn insist(&self, method: &str, path: &str, body: &Value) -> Answer {
        loop {
            match ask(&self.address, method, path, body) {
                Ok(answer) if answer.status != 503 => return answer,
                _ => sleep(Duration::from_millis(10)),
            }
        }
    }

    fn check_jobs(&self, program: &Program) {
        let added = self.added.lock().unwrap();
        let tasks: BTreeSet<i64> = ids(program, "SELECT id FROM tasks WHERE stage = 'done'");
        assert!(tasks.is_superset(&added), "a task was lost");
        let count = |sql: &str| count(program, sql);
        let jobs = count("SELECT count(*) FROM jobs");
        assert_eq!(count("SELECT count(*) FROM ended"), jobs, "ended twice");
        assert_eq!(count("SELECT count(DISTINCT job) FROM ended"), jobs);
        assert_eq!(count("SELECT count(*) FROM too_early"), 0);
        println!(
            "{jobs} jobs, {} of {} tasks answered",
            added.len(),
            tasks.len()
        );
        // A server is used by the tests beside this one, too.
        assert!(jobs > 100, "{jobs}");
    }

    fn check_alerts(&self, program: &Program, endpoint: &Endpoint) {
        until_none(
            program,
            "SELECT count(*) FROM serial_gate_alert a WHERE NOT EXISTS (
                SELECT 1 FROM serial_gate_delivery d WHERE d.alert = a.id AND d.state = 'sent')",
        );
        let frozen = self.frozen.lock().unwrap();
        let freezes: BTreeSet<i64> = ids(program, "SELECT gate_number FROM repo_freeze");
        let told: Vec<(i64, String)> = endpoint
            .requests()
            .iter()
            .map(|request| request.json())
            .filter(|alert| alert["kind"] == "freeze")
            .map(|alert| (alert["subject"].as_i64().unwrap(), alert["key"].to_string()))
            .collect();
        let told_of: BTreeSet<i64> = told.iter().map(|(freeze, _)| *freeze).collect();
        assert!(freezes.is_superset(&frozen), "a freeze was lost");
        assert_eq!(told_of, freezes, "each freeze is told, and no other");
        let keys: BTreeSet<_> = told.iter().collect();
        assert_eq!(keys.len(), freezes.len(), "one key for each");
        println!(
            "{} freezes, {} alerts of them arrived",
            freezes.len(),
            told.len()
        );
        assert!(freezes.len() > 20, "{}", freezes.len());
    }
}

fn until_none(program: &Program, sql: &str) {
    for _ in 0..2_400 {
        if count(program, sql) == 0 {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{} are left: {sql}", count(program, sql));
}

fn count(program: &Program, sql: &str) -> i64 {
    program.one(sql)
}

fn ids(program: &Program, sql: &str) -> BTreeSet<i64> {
    program.all(sql).into_iter().collect()
}
