//! Components that are sent to be checked: each waits for its turn before it is received.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::Gate;
use crate::support::service::Service;
use crate::support::service::access_token;

const LENGTH: usize = 16 << 20;
/// How many are received at a time, and how many may wait.
const PLACES: usize = 2;
const WAITING: usize = 16;

fn head(length: usize, more: &str) -> String {
    format!(
        "POST /v1/policy/check HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n"
    )
}

/// Sends the head and waits for its turn: from then on it has a place, until its body is there.
fn begin(service: &Service) -> TcpStream {
    let mut upload = service.connect();
    let head = head(LENGTH, "expect: 100-continue\r\n");
    upload.write_all(head.as_bytes()).unwrap();
    assert_eq!(status(&mut upload), "HTTP/1.1 100");
    upload
}

/// How many bytes the service takes before it stops reading.
fn send_until_it_stops(upload: &mut TcpStream) -> usize {
    upload
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut sent = 0;
    let part = vec![0; 64 << 10];
    while sent < LENGTH {
        match upload.write(&part) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

/// The beginning of an answer.
fn status(upload: &mut TcpStream) -> String {
    let mut status = [0; 12];
    upload.read_exact(&mut status).unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

#[test]
fn an_upload_is_received_when_it_is_its_turn() {
    let service = Service::start();
    let first: Vec<TcpStream> = (0..PLACES).map(|_| begin(&service)).collect();
    let mut waits = service.connect();
    waits.write_all(head(LENGTH, "").as_bytes()).unwrap();
    let sent = send_until_it_stops(&mut waits);
    assert!(sent < LENGTH, "it was received whole");
    drop(first);
    // Now it is received to its end, and is not a policy.
    waits.set_write_timeout(None).unwrap();
    waits.write_all(&vec![0; LENGTH - sent]).unwrap();
    assert_eq!(status(&mut waits), "HTTP/1.1 200");
}

#[test]
fn too_many_that_wait_are_told_to_come_back_and_can_read_that() {
    let service = Service::start();
    let first: Vec<TcpStream> = (0..PLACES).map(|_| begin(&service)).collect();
    let mut answers: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut upload = service.connect();
            upload.write_all(head(LENGTH, "").as_bytes()).unwrap();
            upload
        })
        .collect();
    let mut refused = 0;
    for upload in &mut answers {
        upload
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut status = [0; 12];
        if upload.read_exact(&mut status).is_ok() {
            assert_eq!(&status, b"HTTP/1.1 503");
            refused += 1;
            // A client that goes on sending is not cut off before it has read the answer.
            upload.write_all(&vec![0; LENGTH]).unwrap();
            let mut rest = String::new();
            upload
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            upload.read_to_string(&mut rest).unwrap();
            assert!(rest.contains("wait to be checked already"), "{rest}");
            assert!(
                rest.to_ascii_lowercase()
                    .contains("\r\nretry-after: 10\r\n"),
                "{rest}"
            );
        }
    }
    assert_eq!(refused, 40 - WAITING);
    drop(first);
}

#[test]
fn what_is_refused_is_not_asked_for() {
    let gate = Gate::new();
    let reader = access_token(&gate, "dashboard", "reader");
    let service = Service::on(gate);
    for (bearer, expected) in [
        (String::new(), "HTTP/1.1 401"),
        (
            format!("authorization: Bearer {reader}\r\n"),
            "HTTP/1.1 403",
        ),
    ] {
        let mut upload = service.connect();
        let more = format!("expect: 100-continue\r\n{bearer}");
        upload.write_all(head(LENGTH, &more).as_bytes()).unwrap();
        assert_eq!(status(&mut upload), expected);
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_send_when_it_is_its_turn() {
    let service = Service::start();
    let first: Vec<TcpStream> = (0..PLACES).map(|_| begin(&service)).collect();
    let mut waits = service.connect();
    waits
        .write_all(head(LENGTH, "expect: 100-continue\r\n").as_bytes())
        .unwrap();
    waits
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(
        waits.read(&mut [0; 1]).is_err(),
        "it was told before its turn"
    );
    drop(first);
    waits
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    assert_eq!(status(&mut waits), "HTTP/1.1 100");
    waits.write_all(&vec![0; LENGTH]).unwrap();
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_component_that_is_too_long_is_refused_before_it_is_received() {
    let service = Service::start();
    let mut upload = service.connect();
    upload
        .write_all(head((32 << 20) + 1, "expect: 100-continue\r\n").as_bytes())
        .unwrap();
    assert_eq!(status(&mut upload), "HTTP/1.1 413");
}
