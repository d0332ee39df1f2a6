//! Somebody who uses a queue at random, and what was acknowledged to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::Random;
use crate::harness::token;
use crate::service::{Answer, Service};

/// A claim that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub job: i64,
    pub task: i64,
    pub token: String,
    pub fence: i64,
}

impl From<&Value> for Given {
    fn from(claimed: &Value) -> Given {
        Given {
            job: claimed["id"].as_i64().unwrap(),
            task: claimed["task_id"].as_i64().unwrap(),
            token: token(claimed),
            fence: claimed["fence"].as_i64().unwrap(),
        }
    }
}

/// What was acknowledged. Before somebody undoes a thing, it is taken out of here.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub tasks: BTreeMap<i64, String>,
    /// Each claim that was ever given out.
    pub given: Vec<Given>,
    /// Those that are good.
    pub live: BTreeMap<i64, Given>,
    /// Those whose job was put back.
    pub void: Vec<Given>,
    pub tasks_done: BTreeSet<i64>,
    pub ended: BTreeMap<i64, &'static str>,
    pub freezes: BTreeMap<i64, String>,
    pub cleared: BTreeSet<i64>,
    pub access: BTreeSet<String>,
    pub revoked: BTreeSet<String>,
    pub generations: BTreeMap<i64, String>,
    pub deploys: BTreeSet<String>,
}

/// Somebody.
pub struct User<'a> {
    pub service: &'a Service,
    /// Of an operator.
    pub access: &'a str,
    pub told: Arc<Mutex<Told>>,
    /// Nobody else has it.
    pub name: String,
    pub random: Random,
    /// Options of every command.
    pub options: &'static [&'static str],
    held: Vec<Given>,
    frozen: Option<i64>,
    count: u64,
}

const REPOS: u64 = 12;

impl<'a> User<'a> {
    pub fn new(service: &'a Service, access: &'a str, name: &str, seed: u64) -> User<'a> {
        User {
            service,
            access,
            told: Arc::default(),
            name: name.to_owned(),
            random: Random::new(seed),
            options: &[],
            held: Vec::new(),
            frozen: None,
            count: 0,
        }
    }

    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Does something, and hears that it is done.
    pub fn step(&mut self) {
        match self.random.below(40) {
            0..=10 => self.add_task(),
            11..=21 => self.claim(),
            22..=29 => self.end("finish", "done"),
            30 => self.end("fail", "failed"),
            31 | 32 => self.put_back(),
            _ => self.step_that_holds_or_lets_in(),
        }
    }

    /// Does something that is on the disk in any case.
    pub fn step_that_holds_or_lets_in(&mut self) {
        self.count += 1;
        match self.random.below(8) {
            0..=2 => self.freeze_or_unfreeze(),
            3 | 4 => self.deploy(),
            5 | 6 => self.give_or_take_access(),
            _ => self.change_settings(),
        }
    }

    pub fn add_task(&mut self) {
        let repo = format!("repo-{}", self.random.below(REPOS));
        let added = if self.random.below(4) == 0 {
            self.run(&["task", "add", &repo, "--json"])
        } else {
            self.post("/tasks", &json!({"repo": repo})).is(201).json()
        };
        let id = added["task_id"].as_i64().expect("a task");
        self.told().tasks.insert(id, repo);
    }

    pub fn claim(&mut self) {
        let claimed = if self.random.below(4) == 0 {
            let ran = self.command(&["claim", "--json"]);
            assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.stderr);
            ran.json_lines().pop()
        } else {
            let answer = self.post("/claim", &json!({"worker": self.name}));
            Some(answer)
                .filter(|answer| answer.status == 200)
                .map(|answer| answer.json())
        };
        let Some(claimed) = claimed else { return };
        let given = Given::from(&claimed);
        let mut told = self.told();
        told.given.push(given.clone());
        told.live.insert(given.job, given.clone());
        drop(told);
        self.held.push(given);
    }

    fn take_one_held(&mut self) -> Option<Given> {
        if self.held.is_empty() {
            return None;
        }
        let which = self.random.below(self.held.len() as u64) as usize;
        Some(self.held.swap_remove(which))
    }

    pub fn end(&mut self, how: &str, status: &'static str) {
        let Some(given) = self.take_one_held() else {
            return;
        };
        let path = format!("/jobs/{}/{how}", given.job);
        self.post(&path, &json!({"token": given.token})).is(200);
        self.told().ended.insert(given.job, status);
        // The next one of its repo may start.
        let path = format!("/tasks/{}", given.task);
        let asked = self.service.request("PATCH", &path).token(self.access);
        asked.json(&json!({"stage": "done"})).send().is(200);
        self.told().tasks_done.insert(given.task);
    }

    fn put_back(&mut self) {
        let Some(given) = self.take_one_held() else {
            return;
        };
        self.told().live.remove(&given.job);
        let path = format!("/jobs/{}/requeue", given.job);
        self.post(&path, &json!({"reason": "again"})).is(200);
        self.told().void.push(given);
    }

    fn freeze_or_unfreeze(&mut self) {
        let repo = format!("of-{}", self.name);
        match self.frozen.take() {
            None => {
                let body = json!({"repo": repo, "reason": "bad deploy"});
                let told = self.post("/serial-gate/freeze", &body).is(200).json();
                let number = told["freeze_id"].as_i64().unwrap();
                self.told().freezes.insert(number, repo);
                self.frozen = Some(number);
            }
            Some(number) => {
                self.told().freezes.remove(&number);
                let body = json!({"repo": repo, "reason": "fine", "freeze_id": number});
                self.post("/serial-gate/unfreeze", &body).is(200);
                self.told().cleared.insert(number);
            }
        }
    }

    fn deploy(&mut self) {
        let deploy = format!("{}-{}", self.name, self.count);
        let verdict = if self.random.below(2) == 0 {
            "healthy"
        } else {
            "degraded"
        };
        let repo = format!("deployed-by-{}", self.name);
        let body = json!({"repo": repo, "deploy": deploy, "verdict": verdict});
        let told = self.post("/deploys", &body).is(201).json();
        if let Some(number) = told["freeze_id"].as_i64() {
            self.told().freezes.insert(number, repo);
        }
        self.told().deploys.insert(deploy);
    }

    fn give_or_take_access(&mut self) {
        let mine = format!("{}-", self.name);
        let known = self
            .told()
            .access
            .iter()
            .find(|name| name.starts_with(&mine))
            .cloned();
        match known {
            Some(name) => {
                self.told().access.remove(&name);
                self.command(&["token", "revoke", &name]).succeeds();
                self.told().revoked.insert(name);
            }
            None => {
                let name = format!("{mine}{}", self.count);
                self.run(&["token", "add", &name, "--role", "worker", "--json"]);
                self.told().access.insert(name);
            }
        }
    }

    fn change_settings(&mut self) {
        let rules = format!(
            r#"{{"gated_agents":["analyst","{}-{}"]}}"#,
            self.name, self.count
        );
        let verb = [
            "policy", "settings", "--rules", &rules, "--reason", "r", "--json",
        ];
        let ran = self.command(&verb);
        // Another user has changed them while the command looked at these.
        if ran.stderr.contains("came meanwhile") {
            return;
        }
        let changed = ran.succeeds().json();
        let number = changed["generation"].as_i64().unwrap();
        self.told().generations.insert(number, rules);
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let asked = self.service.request("POST", path).token(self.access);
        asked.json(body).send()
    }

    fn command(&self, words: &[&str]) -> crate::harness::Ran {
        self.service.gate.run(&[self.options, words].concat())
    }

    fn run(&self, words: &[&str]) -> Value {
        self.command(words).succeeds().json()
    }
}
