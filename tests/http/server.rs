//! The service on a server: what it does while the server is away, and while nothing happens.

use std::time::Duration;

use serde_json::json;

use super::until;
use crate::support::look::until as until_so;
use crate::support::own_server::OwnServer;
use crate::support::service::Service;
use crate::support::{Gate, programs};

/// A queue in its own server, which is started.
fn queue_on(server: &OwnServer) -> Gate {
    server.start();
    let url = ("SERIAL_GATE_DB", server.url().into());
    let gate = Gate::empty().with_environment(vec![url]);
    gate.run(&["init"]).succeeds();
    gate
}

#[test]
fn while_the_server_is_away_it_is_not_ready_and_afterwards_it_goes_on() {
    let Some(server) = OwnServer::new() else {
        return programs::missing("there is no `pg_ctl`", "no server goes away");
    };
    let service = Service::on(queue_on(&server));
    assert!(service.is_ready());
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    for _ in 0..2 {
        server.stop();
        service.get("/readyz").is(503);
        service.get("/healthz").is(200);
        service.post("/v1/tasks", &json!({"repo": "alpha"})).is(503);
        service.post("/v1/claim", &json!({"worker": "w"})).is(503);
        server.start();
        until_so("it is ready again", || service.is_ready());
        service.post("/v1/tasks", &json!({"repo": "beta"})).is(201);
        service.post("/v1/claim", &json!({"worker": "w"})).is(200);
    }
}

#[test]
fn a_worker_that_waits_gets_a_job_after_the_server_was_away() {
    let Some(server) = OwnServer::new() else {
        return programs::missing("there is no `pg_ctl`", "no server goes away");
    };
    let service = Service::on(queue_on(&server));
    std::thread::scope(|scope| {
        let service = &service;
        let waiting = scope.spawn(move || {
            let claim = json!({"worker": "w", "wait": 50});
            loop {
                // It may be told that the server is away, and asks again.
                let answer = service.post("/v1/claim", &claim);
                match answer.status {
                    503 => std::thread::sleep(Duration::from_millis(50)),
                    _ => return answer,
                }
            }
        });
        until(service, "serial_gate_waiting_workers 1");
        server.stop();
        std::thread::sleep(Duration::from_millis(200));
        server.start();
        until_so("it is ready again", || service.is_ready());
        service.gate.run(&["task", "add", "alpha"]).succeeds();
        waiting.join().unwrap().is(200);
    });
}

#[test]
fn a_service_with_workers_that_wait_changes_nothing_while_nothing_happens() {
    // Others use the server of all tests.
    let Some(server) = OwnServer::new() else {
        return programs::missing("there is no `pg_ctl`", "nothing is idle");
    };
    let gate = queue_on(&server);
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let service = Service::on(gate);
    std::thread::scope(|scope| {
        for n in 0..3 {
            let claim = json!({"worker": format!("w-{n}"), "wait": 60});
            let service = &service;
            scope.spawn(move || service.post("/v1/claim", &claim));
        }
        until(&service, "serial_gate_waiting_workers 3");
        std::thread::sleep(Duration::from_secs(3));
        let before = server.transactions();
        std::thread::sleep(Duration::from_secs(5));
        let after = server.transactions();
        println!("{before:?}, five seconds later {after:?}");
        // The comparison of heads notes now and then how far it has come.
        assert!(after.0 - before.0 <= 5, "{before:?} {after:?}");
        service.terminate();
    });
}
