//! Workers that wait for a job.

use std::thread;

use serde_json::json;

use super::{until, until_one_waits};
use crate::support::service::Service;

#[test]
fn a_worker_that_waits_gets_the_job_that_a_finished_task_lets_through() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    thread::scope(|scope| {
        let waiting =
            scope.spawn(|| service.post("/v1/claim", &json!({"worker": "two", "wait": 50})));
        until_one_waits(&service);
        service
            .request("PATCH", "/v1/tasks/1")
            .json(&json!({"stage": "done", "force": true, "reason": "merged"}))
            .send()
            .is(200);
        assert_eq!(waiting.join().unwrap().is(200).json()["id"], 2);
    });
}

#[test]
fn a_worker_that_waits_hears_of_another_programs_change() {
    let service = Service::start();
    thread::scope(|scope| {
        let waiting =
            scope.spawn(|| service.post("/v1/claim", &json!({"worker": "one", "wait": 50})));
        until_one_waits(&service);
        service.gate.run(&["task", "add", "alpha"]).succeeds();
        assert_eq!(waiting.join().unwrap().is(200).json()["worker"], "one");
    });
}

#[test]
fn a_worker_that_waits_in_vain_is_told_so() {
    let service = Service::start();
    service
        .post("/v1/claim", &json!({"worker": "one", "wait": 1}))
        .is(204);
}

#[test]
fn workers_of_an_agent_wait_for_its_jobs_and_hold_up_nobody_else() {
    let service = Service::start();
    let wait = |worker: &str, agent: &str| {
        let claim = json!({"worker": worker, "agent": agent, "wait": 50});
        service.post("/v1/claim", &claim).is(200).json()["id"].clone()
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| wait("one", "developer"));
        until(&service, "serial_gate_waiting_workers 1");
        let second = scope.spawn(|| wait("two", "analyst"));
        until(&service, "serial_gate_waiting_workers 2");
        service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
        assert_eq!(second.join().unwrap(), 1);
        let other = json!({"task_id": 1, "agent": "developer"});
        service.post("/v1/jobs", &other).is(201);
        assert_eq!(first.join().unwrap(), 2);
    });
    let nobody = json!({"worker": "one", "agent": ""});
    let detail = service.post("/v1/claim", &nobody).is(422).detail();
    assert_eq!(
        detail,
        "`agent` has 1 to 200 characters: leave it out for the jobs of all agents"
    );
}

#[test]
fn each_of_many_jobs_goes_to_one_of_many_workers() {
    let service = Service::start();
    for repo in 0..40 {
        service
            .post("/v1/tasks", &json!({"repo": format!("repo-{repo}")}))
            .is(201);
    }
    let mut claimed: Vec<i64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let service = &service;
                scope.spawn(move || {
                    let mut jobs = Vec::new();
                    loop {
                        let worker = json!({"worker": format!("worker-{worker}")});
                        let answer = service.post("/v1/claim", &worker);
                        if answer.status == 204 {
                            return jobs;
                        }
                        jobs.push(answer.is(200).json()["id"].as_i64().unwrap());
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    claimed.sort_unstable();
    assert_eq!(claimed, (1..=40).collect::<Vec<i64>>());
}

#[test]
fn the_job_of_a_worker_that_went_away_goes_to_another() {
    use std::io::Write;
    let service = Service::start();
    let body = r#"{"worker": "gone", "wait": 50}"#;
    let mut gone = std::net::TcpStream::connect(&service.address).unwrap();
    write!(
        gone,
        "POST /v1/claim HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    until_one_waits(&service);
    drop(gone);
    until(&service, "serial_gate_waiting_workers 0");
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let claimed = service
        .post("/v1/claim", &json!({"worker": "here"}))
        .is(200)
        .json();
    assert_eq!(
        (&claimed["worker"], &claimed["attempt"]),
        (&json!("here"), &json!(1))
    );
}

#[test]
fn a_worker_may_do_the_jobs_of_several_agents() {
    let service = Service::start();
    for agent in ["reviewer", "analyst", "developer"] {
        let task = json!({"repo": agent, "agent": agent});
        service.post("/v1/tasks", &task).is(201);
    }
    let claim = json!({"worker": "one", "agents": ["developer", "analyst", "tester"]});
    for job in [2, 3] {
        let claimed = service.post("/v1/claim", &claim).is(200).json();
        assert_eq!(claimed["id"], job);
    }
    let nothing = service.post("/v1/claim", &claim).is(204);
    assert_eq!(
        nothing.headers["serial-gate-note"],
        "no job has ever been for `tester`; known agents: `analyst`, `developer`, `reviewer`"
    );
    let both = json!({"worker": "one", "agent": "analyst", "agents": ["analyst"]});
    let detail = service.post("/v1/claim", &both).is(422).detail();
    assert_eq!(detail, "a claim has `agent` or `agents`, not both");
    for agents in [json!([]), json!([""])] {
        let claim = json!({"worker": "one", "agents": agents});
        service.post("/v1/claim", &claim).is(422);
    }
}

#[test]
fn a_worker_of_an_agent_that_no_job_ever_had_is_told_in_a_header() {
    let service = Service::start();
    let note = |agent: &str, wait: u32| {
        let claim = json!({"worker": "one", "agent": agent, "wait": wait});
        let answer = service.post("/v1/claim", &claim).is(204);
        assert_eq!(answer.text, "");
        let note = answer.headers.get("serial-gate-note");
        note.map(|note| note.to_str().unwrap().to_owned())
    };
    assert_eq!(
        note("analyst", 0).unwrap(),
        "no job has ever been for `analyst`, and there are no jobs yet"
    );
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    assert_eq!(
        note("analyts", 0).unwrap(),
        "no job has ever been for `analyts`; known agents: `analyst`"
    );
    assert_eq!(note("analyts", 1), note("analyts", 0));
    assert_eq!(note("analyst", 0), None);
    let unusual = note("prüfer\r\n", 0).unwrap();
    assert!(unusual.contains(r"`pr\u{fc}fer\r\n`"), "{unusual}");
    let long = "\u{1f980}".repeat(200);
    assert!(note(&long, 0).unwrap().len() < 2_100);
    // A worker of any agent misspells nothing.
    let answer = service.post("/v1/claim", &json!({"worker": "one"})).is(204);
    assert!(answer.headers.get("serial-gate-note").is_none());
}
