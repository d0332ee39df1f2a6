//! Requests that wait for long: what they receive, and that a revoked token ends their wait.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::thread;

use serde_json::json;

use super::until_one_waits;
use crate::support::Gate;
use crate::support::service::Service;
use crate::support::service::access_token;

use std::io::Write;

/// A stream of events whose head was read.
fn follow(service: &Service, token: Option<&str>) -> (BufReader<TcpStream>, String) {
    let bearer = token.map_or(String::new(), |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    let mut connection = service.connect();
    // The end of the stream is then the end of the connection.
    let request =
        format!("GET /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{bearer}\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    (reader, head)
}

fn until_it_says(stream: &mut impl BufRead, text: &str) {
    let mut said = String::new();
    while !said.contains(text) {
        assert!(stream.read_line(&mut said).unwrap() > 0, "{said}");
    }
}

#[test]
fn events_flow_through_a_proxy_that_keeps_answers_back() {
    let service = Service::start();
    let (mut stream, head) = follow(&service, None);
    let head = head.to_ascii_lowercase();
    for line in [
        "content-type: text/event-stream",
        "cache-control: no-cache, no-transform",
        "x-accel-buffering: no",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    until_it_says(&mut stream, ":");
    until_it_says(&mut stream, "event: change");
    service.gate.run(&["task", "add", "alpha"]).succeeds();
    until_it_says(&mut stream, "event: change");
}

#[test]
fn a_revoked_token_ends_a_stream_of_events() {
    let gate = Gate::new();
    let [gone, stays] = ["gone", "stays"].map(|name| access_token(&gate, name, "reader"));
    let service = Service::on(gate);
    let (mut ended, _) = follow(&service, Some(&gone));
    let (mut goes_on, _) = follow(&service, Some(&stays));
    until_it_says(&mut ended, "event: change");
    until_it_says(&mut goes_on, "event: change");
    service.gate.run(&["token", "revoke", "gone"]).succeeds();
    // To its end.
    ended.read_to_string(&mut String::new()).unwrap();
    service.gate.run(&["task", "add", "alpha"]).succeeds();
    until_it_says(&mut goes_on, "event: change");
}

#[test]
fn a_revoked_token_ends_a_claim_that_waits_and_the_job_is_anothers() {
    let gate = Gate::new();
    let [gone, ops] = ["gone", "ops"].map(|name| access_token(&gate, name, "operator"));
    let service = Service::on(gate);
    let claim = json!({"worker": "one", "wait": 300});
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            service
                .request("POST", "/v1/claim")
                .token(&gone)
                .json(&claim)
                .send()
        });
        super::until_with(&service, Some(&ops), "serial_gate_waiting_workers 1");
        service.gate.run(&["token", "revoke", "gone"]).succeeds();
        let refused = waiting.join().unwrap().is(401);
        assert!(
            refused
                .detail()
                .contains("was revoked while this request waited"),
            "{}",
            refused.text
        );
    });
    service.gate.run(&["task", "add", "alpha"]).succeeds();
    let other = service
        .request("POST", "/v1/claim")
        .token(&ops)
        .json(&json!({"worker": "two"}));
    assert_eq!(other.send().is(200).json()["id"], 1);
}

#[test]
fn the_first_token_ends_the_waiting_of_those_who_have_none() {
    let service = Service::start();
    let (mut stream, _) = follow(&service, None);
    until_it_says(&mut stream, "event: change");
    let claim = json!({"worker": "one", "wait": 300});
    thread::scope(|scope| {
        let waiting = scope.spawn(|| service.post("/v1/claim", &claim));
        until_one_waits(&service);
        access_token(&service.gate, "ops", "operator");
        waiting.join().unwrap().is(401);
    });
    stream.read_to_string(&mut String::new()).unwrap();
}
