//! How the service ends, and why it may not start.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use serde_json::json;

use super::until_one_waits;
use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::service::Service;

#[test]
fn told_to_stop_it_answers_those_who_wait_and_ends_well() {
    let service = Service::start();
    let (waited, ended) = thread::scope(|scope| {
        let waiting =
            scope.spawn(|| service.post("/v1/claim", &json!({"worker": "one", "wait": 50})));
        until_one_waits(&service);
        service.terminate();
        (waiting.join().unwrap().status, ())
    });
    assert_eq!((waited, ended), (204, ()));
    assert!(service.stop().success());
}

#[test]
fn a_request_that_never_comes_whole_does_not_keep_it() {
    let service = Service::start();
    let mut connection = TcpStream::connect(&service.address).unwrap();
    connection
        .write_all(b"POST /v1/claim HTTP/1.1\r\nhost: ")
        .unwrap();
    service.get("/healthz").is(200);
    assert!(service.stop().success());
}

#[test]
fn without_a_token_it_does_not_listen_to_other_machines() {
    let gate = Gate::new();
    let ran = gate.run(&["serve", "--listen", "0.0.0.0:0"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: `0.0.0.0:0` can be reached from other machines, and nobody has a token: make one with `serial-gate token add NAME --role operator`");
}

#[test]
fn without_a_queue_it_does_not_start() {
    let gate = Gate::empty();
    let ran = gate.run(&["serve", "--listen", "127.0.0.1:0"]).exits(1);
    let database = gate.path("serial-gate.db");
    let folder = database.parent().unwrap().display().to_string();
    let said = match Engine::under_test() {
        Engine::Sqlite => {
            "there is no database `serial-gate.db`: create it in this folder (`FOLDER`) with `serial-gate init`, or name another with `--db PATH`"
        }
        Engine::Postgres => {
            "`serial-gate.db` is not prepared for the serial gate: `serial-gate init` adds what is missing, or says why it cannot"
        }
    };
    assert_eq!(
        ran.stderr.replace(&folder, "FOLDER"),
        format!("error: {said}\n")
    );
}

#[test]
fn an_address_that_is_taken_is_named() {
    let service = Service::start();
    let ran = service
        .gate
        .run(&["serve", "--listen", &service.address])
        .exits(1);
    let told = ran.stderr.replace(&service.address, "ADDRESS");
    insta::assert_snapshot!(told, @r#"
    error: cannot listen on `ADDRESS`: name another with `--listen ADDRESS:PORT`
      because address already in use
    "#);
}
