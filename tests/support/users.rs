//! Users who do things at random, and what was acknowledged to them. All of it must be in the
//! database, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use rusqlite::{Connection, ToSql};
use serde_json::{Value, json};

use super::service::{Service, ask_with_token};
use super::{Gate, Ran, token};

/// Numbers that only look random: the same for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }
}

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

/// What was acknowledged since the database was last replaced. An entry is removed before a user
/// undoes it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// How often the database was replaced.
    pub replaced: u64,
    pub tasks: BTreeMap<i64, String>,
    pub tasks_done: BTreeSet<i64>,
    /// Every claim.
    pub given: Vec<Given>,
    /// The valid claims.
    pub live: BTreeMap<i64, Given>,
    /// The claims whose job was requeued.
    pub void: Vec<Given>,
    pub ended: BTreeMap<i64, &'static str>,
    pub freezes: BTreeMap<i64, String>,
    pub cleared: BTreeSet<i64>,
    pub access: BTreeSet<String>,
    pub revoked: BTreeSet<String>,
    pub generations: BTreeMap<i64, String>,
    pub deploys: BTreeSet<String>,
}

/// One user.
pub struct User {
    gate: Gate,
    address: String,
    /// The token of an operator.
    access: String,
    pub told: Arc<Mutex<Told>>,
    /// Held while something is undone.
    pub undoing: Arc<RwLock<()>>,
    /// Only this user uses it.
    name: String,
    random: Random,
    /// Options of every command.
    pub options: &'static [&'static str],
    /// If the service may be gone or the database replaced, the result of a failed call is unknown.
    pub is_patient: bool,
    held: Vec<Given>,
    frozen: Option<i64>,
    count: u64,
}

const REPOS: u64 = 12;

impl User {
    pub fn new(service: &Service, access: &str, name: &str, seed: u64) -> User {
        User {
            gate: service.gate.clone(),
            address: service.address.clone(),
            access: access.to_owned(),
            told: Arc::default(),
            undoing: Arc::default(),
            name: name.to_owned(),
            random: Random::new(seed),
            options: &[],
            is_patient: false,
            held: Vec::new(),
            frozen: None,
            count: 0,
        }
    }

    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Does something and waits for the answer.
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

    /// Does something that is on the disk at any durability.
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
        let asked = self.asked();
        let added = if self.random.below(4) == 0 {
            self.run(&["task", "add", &repo, "--json"])
        } else {
            self.post("/v1/tasks", &json!({"repo": repo}), 201)
        };
        let Some(added) = added else { return };
        let id = added["task_id"].as_i64().unwrap();
        self.hears(asked, |told| {
            told.tasks.insert(id, repo);
        });
    }

    pub fn claim(&mut self) {
        let asked = self.asked();
        let claimed = if self.random.below(4) == 0 {
            let ran = self.command(&["claim", "--json"]);
            assert!(
                self.is_patient || matches!(ran.code, Some(0 | 3)),
                "{}",
                ran.stderr
            );
            ran.json_lines().pop()
        } else {
            let body = json!({"worker": self.name});
            ask_with_token(&self.address, &self.access, "POST", "/v1/claim", &body)
                .ok()
                .filter(|answer| answer.status == 200)
                .map(|answer| answer.json())
        };
        let Some(claimed) = claimed else { return };
        let given = Given::from(&claimed);
        self.told().given.push(given.clone());
        self.hears(asked, |told| {
            told.live.insert(given.job, given.clone());
        });
        self.held.push(given);
    }

    fn take_one_held(&mut self) -> Option<Given> {
        if self.held.is_empty() {
            return None;
        }
        let which = self.random.below(self.held.len() as u64) as usize;
        Some(self.held.swap_remove(which))
    }

    fn end(&mut self, how: &str, status: &'static str) {
        let Some(given) = self.take_one_held() else {
            return;
        };
        let asked = self.asked();
        let path = format!("/v1/jobs/{}/{how}", given.job);
        let body = json!({"token": given.token});
        if self.post(&path, &body, 200).is_none() {
            return;
        }
        self.hears(asked, |told| {
            told.ended.insert(given.job, status);
        });
        // The next task of its repo may start.
        let path = format!("/v1/tasks/{}", given.task);
        if self
            .ask("PATCH", &path, &json!({"stage": "done"}), 200)
            .is_some()
        {
            self.hears(asked, |told| {
                told.tasks_done.insert(given.task);
            });
        }
    }

    fn put_back(&mut self) {
        let Some(given) = self.take_one_held() else {
            return;
        };
        let undoing = Arc::clone(&self.undoing);
        let _undoing = undoing.read().unwrap();
        let asked = self.asked();
        let of_another = self
            .told()
            .live
            .remove(&given.job)
            .is_none_or(|live| live != given);
        // After a restore it may be another user's.
        if of_another {
            return;
        }
        let path = format!("/v1/jobs/{}/requeue", given.job);
        if self.post(&path, &json!({"reason": "again"}), 200).is_some() {
            self.hears(asked, |told| told.void.push(given));
        }
    }

    fn freeze_or_unfreeze(&mut self) {
        let repo = format!("of-{}", self.name);
        let asked = self.asked();
        match self.frozen.take() {
            None => {
                let body = json!({"repo": repo, "new": true, "reason": "bad deploy"});
                let Some(frozen) = self.post("/v1/freezes", &body, 200) else {
                    return;
                };
                let number = frozen["freeze_id"].as_i64().unwrap();
                self.hears(asked, |told| {
                    told.freezes.insert(number, repo);
                });
                self.frozen = Some(number);
            }
            Some(number) => {
                let undoing = Arc::clone(&self.undoing);
                let _undoing = undoing.read().unwrap();
                let asked = self.asked();
                self.told().freezes.retain(|_, frozen| *frozen != repo);
                let body = json!({"repo": repo, "reason": "fine", "freeze_id": number});
                let answer = self.post("/serial-gate/unfreeze", &body, 200);
                // After a restore there may be none.
                if answer.is_some_and(|answer| answer["cleared"] != 0) {
                    self.hears(asked, |told| {
                        told.cleared.insert(number);
                    });
                }
            }
        }
    }

    fn deploy(&mut self) {
        let asked = self.asked();
        let deploy = format!("{}-{}", self.name, self.count);
        let verdict = match self.random.below(2) {
            0 => "healthy",
            _ => "degraded",
        };
        let repo = format!("deployed-by-{}", self.name);
        let body = json!({"repo": repo, "deploy": deploy, "verdict": verdict});
        let Some(answer) = self.post("/v1/deploys", &body, 201) else {
            return;
        };
        self.hears(asked, |told| {
            if let Some(number) = answer["freeze_id"].as_i64() {
                told.freezes.insert(number, repo);
            }
            told.deploys.insert(deploy);
        });
    }

    fn give_or_take_access(&mut self) {
        let mine = format!("{}-", self.name);
        let undoing = Arc::clone(&self.undoing);
        let _undoing = undoing.read().unwrap();
        let asked = self.asked();
        let is_mine = |name: &&String| name.starts_with(&mine);
        let known = self.told().access.iter().find(is_mine).cloned();
        match known {
            Some(name) => {
                self.told().access.remove(&name);
                let ran = self.command(&["token", "revoke", &name]);
                if self.is_done(&ran) {
                    self.hears(asked, |told| {
                        told.revoked.insert(name);
                    });
                }
            }
            None => {
                let name = format!("{mine}{}", self.count);
                let verb = ["token", "add", &name, "--role", "worker", "--json"];
                if self.run(&verb).is_some() {
                    self.hears(asked, |told| {
                        told.access.insert(name);
                    });
                }
            }
        }
    }

    fn change_settings(&mut self) {
        let asked = self.asked();
        let rules = format!(
            r#"{{"gated_agents":["analyst","{}-{}"]}}"#,
            self.name, self.count
        );
        let verb = [
            "policy", "settings", "--rules", &rules, "--reason", "r", "--json",
        ];
        let ran = self.command(&verb);
        // Another user changed the settings while the command checked these.
        if ran.stderr.contains("changed in the meantime") || !self.is_done(&ran) {
            return;
        }
        let number = ran.json()["generation"].as_i64().unwrap();
        self.hears(asked, |told| {
            told.generations.insert(number, rules);
        });
    }

    /// The number of the current database.
    fn asked(&self) -> u64 {
        self.told().replaced
    }

    /// Keeps an answer, unless the database was replaced since the request.
    fn hears(&self, asked: u64, what: impl FnOnce(&mut Told)) {
        let mut told = self.told();
        if told.replaced == asked {
            what(&mut told);
        }
    }

    fn post(&self, path: &str, body: &Value, status: u16) -> Option<Value> {
        self.ask("POST", path, body, status)
    }

    fn ask(&self, method: &str, path: &str, body: &Value, status: u16) -> Option<Value> {
        let answer = ask_with_token(&self.address, &self.access, method, path, body);
        if self.is_patient {
            let answer = answer.ok().filter(|answer| answer.status == status)?;
            return Some(answer.json());
        }
        Some(answer.unwrap().is(status).json())
    }

    fn command(&self, words: &[&str]) -> Ran {
        self.gate.run(&[self.options, words].concat())
    }

    fn run(&self, words: &[&str]) -> Option<Value> {
        let ran = self.command(words);
        self.is_done(&ran).then(|| ran.json())
    }

    #[track_caller]
    fn is_done(&self, ran: &Ran) -> bool {
        assert!(self.is_patient || ran.code == Some(0), "{}", ran.stderr);
        ran.code == Some(0)
    }
}

/// Freezes, tokens of access, generations and verdicts on deploys.
#[track_caller]
pub fn check_what_holds_or_lets_in(told: &Told, sqlite: &Connection) {
    let is_there = |sql: &str, parameters: &[&dyn ToSql]| {
        sqlite
            .prepare_cached(sql)
            .unwrap()
            .exists(parameters)
            .unwrap()
    };
    for (number, repo) in &told.freezes {
        let sql =
            "SELECT 1 FROM repo_freeze WHERE gate_number = ?1 AND repo = ?2 AND cleared_at IS NULL";
        assert!(is_there(sql, &[number, repo]), "freeze {number} is missing");
    }
    for number in &told.cleared {
        let sql = "SELECT 1 FROM repo_freeze WHERE gate_number = ?1 AND cleared_at IS NOT NULL";
        assert!(is_there(sql, &[number]), "freeze {number} holds again");
    }
    for name in &told.access {
        let sql = "SELECT 1 FROM serial_gate_access WHERE name = ?1 AND revoked_at IS NULL";
        assert!(is_there(sql, &[name]), "the token of {name} is missing");
    }
    for name in &told.revoked {
        let sql = "SELECT 1 FROM serial_gate_access WHERE name = ?1 AND revoked_at IS NOT NULL";
        assert!(is_there(sql, &[name]), "the token of {name} is good again");
    }
    for (number, rules) in &told.generations {
        let sql = "SELECT 1 FROM serial_gate_generation \
                   WHERE id = ?1 AND json_extract(settings, '$.rules') = ?2";
        assert!(
            is_there(sql, &[number, rules]),
            "generation {number} is missing"
        );
    }
    for deploy in &told.deploys {
        let sql = "SELECT 1 FROM serial_gate_deploy WHERE deploy = ?1";
        assert!(
            is_there(sql, &[deploy]),
            "the verdict on {deploy} is missing"
        );
    }
}

/// Tasks, and the claims and ends of jobs.
#[track_caller]
pub fn check_claims(told: &Told, sqlite: &Connection) {
    for (id, repo) in &told.tasks {
        let found: Result<String, _> =
            sqlite.query_row("SELECT repo FROM tasks WHERE id = ?1", [id], |row| {
                row.get(0)
            });
        assert_eq!(found.as_ref(), Ok(repo), "task {id}");
    }
    for id in &told.tasks_done {
        let sql = "SELECT stage FROM tasks WHERE id = ?1";
        let stage: String = sqlite.query_row(sql, [id], |row| row.get(0)).unwrap();
        assert_eq!(stage, "done", "task {id}");
    }
    let is_there = |sql: &str, job: i64, value: &dyn ToSql| {
        let mut query = sqlite.prepare_cached(sql).unwrap();
        query.exists([&job as &dyn ToSql, value]).unwrap()
    };
    let token = "SELECT 1 FROM jobs WHERE id = ?1 AND gate_token = ?2";
    let fence = "SELECT 1 FROM jobs WHERE id = ?1 AND gate_fence = ?2";
    for given in told.live.values() {
        let is_whole =
            is_there(token, given.job, &given.token) && is_there(fence, given.job, &given.fence);
        assert!(is_whole, "the claim is missing: {given:?}");
    }
    for (job, status) in &told.ended {
        let sql = "SELECT 1 FROM jobs WHERE id = ?1 AND status = ?2";
        assert!(is_there(sql, *job, status), "job {job} is not {status}");
    }
    for given in &told.void {
        assert!(!is_there(token, given.job, &given.token), "{given:?}");
    }
}

#[track_caller]
pub fn check_integrity(sqlite: &Connection) {
    let whole: String = sqlite
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}
