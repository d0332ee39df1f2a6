//! Changes in a group: one that is refused, or that ends the whole transaction, takes
//! no other with it.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use serial_gate::store::{Error, NewTask};

use super::until;
use crate::support::engine::Does;
use crate::support::look::count;
use crate::support::service::{Answer, Service};
use crate::support::{Gate, token};

/// The ways in which a trigger refuses a row.
const REFUSALS: [Does<'_>; 4] = [
    Does::RollBack("not this one"),
    Does::Refuse("not this one"),
    Does::Fail("not this one"),
    Does::Ignore,
];

/// A new task of a repo that a trigger refuses.
const BAD: (&str, &str) = ("BEFORE INSERT ON tasks", "NEW.repo = 'bad'");

fn refusing(refusal: &Does<'_>, (event, when): (&str, &str)) -> Gate {
    let gate = Gate::new();
    gate.program().trigger("no", event, Some(when), refusal);
    gate
}

/// Sends all requests while another program has the write lock, so that they form a group when
/// that program ends.
fn together(service: &Service, asked: &[(&str, Value)]) -> Vec<Answer> {
    let program = service.gate.program();
    program.begin_alone();
    thread::scope(|scope| {
        // It waits for the lock, and the others wait for it.
        let first = scope.spawn(|| service.post("/v1/tasks", &json!({"repo": "first"})));
        thread::sleep(Duration::from_millis(300));
        let asking: Vec<_> = asked
            .iter()
            .map(|(path, body)| scope.spawn(move || service.post(path, body)))
            .collect();
        thread::sleep(Duration::from_millis(300));
        program.run("COMMIT");
        first.join().unwrap().is(201);
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Tasks of many repos, three of them of the repo `bad`.
fn tasks() -> Vec<(&'static str, Value)> {
    let repo = |n: usize| match n {
        0 | 8 | 17 => "bad".to_owned(),
        _ => format!("repo-{n}"),
    };
    let task = |n: usize| json!({"repo": repo(n), "work_item": format!("item-{n}")});
    (0..18).map(|n| ("/v1/tasks", task(n))).collect()
}

fn texts(gate: &Gate, sql: &str) -> BTreeSet<String> {
    gate.program().all(sql).into_iter().collect()
}

#[track_caller]
fn check_tasks(when: (&str, &str)) {
    for refusal in &REFUSALS {
        let service = Service::with_log_file(refusing(refusal, when));
        let asked = tasks();
        let mut good = BTreeSet::new();
        for (answer, (_, task)) in together(&service, &asked).iter().zip(&asked) {
            if task["repo"] == "bad" {
                assert_eq!(answer.status, 503, "{refusal:?}: {}", answer.text);
            } else {
                assert_eq!(answer.status, 201, "{refusal:?}: {}", answer.text);
                good.insert(task["work_item"].as_str().unwrap().to_owned());
            }
        }
        // Its log is complete when it has ended.
        let gate = service.gate.clone();
        assert!(service.stop().success());
        let there = "SELECT work_item_id FROM tasks WHERE work_item_id IS NOT NULL";
        assert_eq!(texts(&gate, there), good, "{refusal:?}");
        let jobs = count(&gate, "jobs");
        assert_eq!(jobs, good.len() as i64 + 1, "{refusal:?}");
        let log = fs::read_to_string(gate.path("service.log")).unwrap();
        let reason = match refusal {
            Does::Ignore => "trigger",
            _ => "not this one",
        };
        let told = log.lines().filter(|line| line.contains("a request failed"));
        let told: Vec<&str> = told.collect();
        assert_eq!(told.len(), 3, "{refusal:?}: {log}");
        assert!(
            told.iter().all(|line| line.contains(reason)),
            "{refusal:?}: {log}"
        );
    }
}

#[test]
fn a_task_that_a_trigger_refuses_takes_no_other_with_it() {
    check_tasks(BAD);
}

#[test]
fn a_task_whose_job_a_trigger_refuses_takes_no_other_with_it() {
    check_tasks(("BEFORE INSERT ON jobs", "NEW.repo = 'bad'"));
}

#[test]
fn a_claim_that_a_trigger_refuses_takes_no_other_with_it() {
    const JOBS: i64 = 10;
    for refusal in &REFUSALS {
        let when = (
            "BEFORE UPDATE OF status ON jobs",
            "NEW.status = 'running' AND NEW.repo = 'bad'",
        );
        let service = Service::on(refusing(refusal, when));
        for n in 0..JOBS {
            let task = json!({"repo": format!("repo-{n}")});
            service.post("/v1/tasks", &task).is(201);
        }
        service.post("/v1/tasks", &json!({"repo": "bad"})).is(201);
        let claim = |n: i64| ("/v1/claim", json!({"worker": format!("worker-{n}")}));
        let mut asked: Vec<_> = (0..=JOBS).map(claim).collect();
        asked.extend(
            tasks()
                .into_iter()
                .filter(|(_, task)| task["repo"] != "bad"),
        );
        // Each of the others gets its own. The claim that is left over is refused, unless a task
        // has come by then.
        let answers = together(&service, &asked);
        let program = service.gate.program();
        let mut refused = 0;
        for (answer, (path, _)) in answers.iter().zip(&asked) {
            match (*path, answer.status) {
                ("/v1/claim", 503) => refused += 1,
                ("/v1/claim", 200) => {
                    let job = answer.json();
                    let token = token(&job);
                    let is_there = program.maybe::<i64>(format!(
                        "SELECT 1 FROM jobs
                         WHERE id = {} AND status = 'running' AND gate_token = '{token}'",
                        job["id"]
                    ));
                    assert!(is_there.is_some(), "{refusal:?}: {job}");
                }
                ("/v1/tasks", 201) => {
                    let id = answer.json()["task_id"].as_i64().unwrap();
                    let task = format!("SELECT 1 FROM tasks WHERE id = {id}");
                    assert!(
                        program.maybe::<i64>(task).is_some(),
                        "{refusal:?}: task {id}"
                    );
                }
                (path, status) => panic!("{refusal:?}: {status} for {path}: {}", answer.text),
            }
        }
        assert!(refused <= 1, "{refusal:?}: {refused}");
        let running = "SELECT repo FROM jobs WHERE status = 'running'";
        assert!(
            !texts(&service.gate, running).contains("bad"),
            "{refusal:?}"
        );
    }
}

#[test]
fn a_claim_is_not_undone_by_what_cannot_be_written_down_after_it() {
    let gate = Gate::new();
    let event = "BEFORE INSERT ON serial_gate_shadow";
    gate.program()
        .trigger("no", event, None, &Does::RollBack("no"));
    gate.run(&["policy", "shadow", "built-in", "--reason", "r"])
        .succeeds();
    let service = Service::on(gate);
    for _ in 0..2 {
        service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    }
    let job = service
        .post("/v1/claim", &json!({"worker": "one"}))
        .is(200)
        .json();
    let finish = format!("/v1/jobs/{}/finish", job["id"]);
    service
        .post(&finish, &json!({"token": job["token"]}))
        .is(200);
}

fn task(repo: &str) -> NewTask<'_> {
    NewTask {
        repo,
        work_item: None,
        stage: "analysis",
        agent: "analyst",
        label: None,
    }
}

#[test]
fn a_group_that_was_ended_takes_no_more_changes() {
    let gate = refusing(&Does::RollBack("no"), BAD);
    let mut store = gate.store();
    let now = jiff::Timestamp::now();
    store.open_group();
    store.add_task(now, task("good")).unwrap();
    store.add_task(now, task("bad")).unwrap_err();
    let late = store.add_task(now, task("late"));
    assert!(matches!(late, Err(Error::GroupEnded)), "{late:?}");
    assert!(matches!(store.close_group(), Err(Error::GroupEnded)));
    store.add_task(now, task("alone")).unwrap();
    let there = texts(&gate, "SELECT repo FROM tasks");
    assert_eq!(there, BTreeSet::from(["alone".to_owned()]));
}

#[test]
fn of_the_workers_that_wait_the_first_get_the_jobs_although_a_change_beside_them_is_refused() {
    for refusal in &REFUSALS {
        let gate = refusing(refusal, BAD);
        let service = Service::on(gate);
        thread::scope(|scope| {
            let mut waiting = Vec::new();
            for n in 0..8 {
                let claim = json!({"worker": format!("worker-{n}"), "wait": 60});
                let service = &service;
                waiting.push(scope.spawn(move || service.post("/v1/claim", &claim)));
                until(service, &format!("serial_gate_waiting_workers {}", n + 1));
            }
            // Together with the request that waits for the lock, there are four jobs.
            let asked =
                ["alpha", "bad", "beta", "gamma"].map(|repo| ("/v1/tasks", json!({"repo": repo})));
            let answers = together(&service, &asked);
            assert_eq!(answers[1].status, 503, "{refusal:?}");
            let others = waiting.split_off(4);
            for one in waiting {
                one.join().unwrap().is(200);
            }
            // At its end, it answers the others.
            service.terminate();
            for one in others {
                one.join().unwrap().is(204);
            }
        });
    }
}
