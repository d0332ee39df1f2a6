//! Ambiguous heads of requests.

use crate::support::Gate;
use crate::support::service::Service;
use crate::support::service::access_token;

/// The answer to a request with these lines.
fn ask(service: &Service, lines: &[&str]) -> String {
    let head = format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n"));
    service.raw(head)
}

#[track_caller]
fn is_refused(answer: &str, status: u16, why: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
    assert!(answer.contains(why), "{answer}");
}

#[test]
fn a_request_has_one_host_which_is_one() {
    let service = Service::start();
    for (lines, why) in [
        (&["GET /healthz HTTP/1.1"][..], "there is no `Host` line"),
        (
            &[
                "GET /healthz HTTP/1.1",
                "host: localhost",
                "host: localhost",
            ],
            "there are 2 `host` lines: send one",
        ),
        (
            &[
                "GET /healthz HTTP/1.1",
                "Host: localhost",
                "HOST: evil.example",
            ],
            "there are 2 `host` lines",
        ),
        (
            &["GET /healthz HTTP/1.1", "host:"],
            "the `Host` is not a name",
        ),
        (
            &["GET /healthz HTTP/1.1", "host: localhost, evil.example"],
            "the `Host` is not a name",
        ),
        (
            &["GET /healthz HTTP/1.1", "host: evil.example@localhost"],
            "the `Host` is not a name",
        ),
        (
            &["GET /healthz HTTP/1.1", "host: localhost:70700"],
            "the `Host` is not a name",
        ),
        (
            &["GET /healthz HTTP/1.1", "host: localhost/queue"],
            "the `Host` is not a name",
        ),
        (
            &["GET /healthz HTTP/1.1", "host: lo\u{e4}calhost"],
            "the `Host` is not a name",
        ),
        (
            &[
                "GET http://evil.example/healthz HTTP/1.1",
                "host: localhost",
            ],
            "names another host",
        ),
        (
            &[
                "GET http://localhost:1/healthz HTTP/1.1",
                "host: localhost:2",
            ],
            "names another host",
        ),
    ] {
        is_refused(&ask(&service, lines), 400, why);
    }
}

#[test]
fn a_request_with_one_host_is_answered() {
    let service = Service::start();
    for lines in [
        &["GET /healthz HTTP/1.1", "host: localhost"][..],
        &["GET /healthz HTTP/1.1", "host: [::1]:7070"],
        &["GET /healthz HTTP/1.1", "host: Gate.example.com:443"],
        &["GET http://localhost/healthz HTTP/1.1", "host: LOCALHOST"],
        &["GET /healthz HTTP/1.0"],
    ] {
        let answer = ask(&service, lines);
        assert!(answer.contains(" 200 OK"), "{lines:?}: {answer}");
    }
}

#[test]
fn a_header_that_decides_something_is_there_once() {
    let gate = Gate::new();
    let reader = access_token(&gate, "dashboard", "reader");
    let service = Service::on(gate);
    let bearer = format!("authorization: Bearer {reader}");
    let first = ["GET /queue HTTP/1.1", "host: localhost"];
    for (more, why) in [
        (
            [bearer.as_str(), bearer.as_str()],
            "there are 2 `authorization` lines",
        ),
        (
            [bearer.as_str(), "authorization: Basic eDp5"],
            "there are 2 `authorization` lines",
        ),
        (
            ["origin: http://localhost", "origin: https://evil.example"],
            "there are 2 `origin` lines",
        ),
        (
            ["sec-fetch-site: same-origin", "sec-fetch-site: cross-site"],
            "there are 2 `sec-fetch-site` lines",
        ),
        (
            ["content-type: application/json", "content-type: text/plain"],
            "there are 2 `content-type` lines",
        ),
    ] {
        is_refused(&ask(&service, &[first, more].concat()), 400, why);
    }
}

#[test]
fn a_length_that_could_be_two_is_refused_or_ends_the_connection() {
    let service = Service::start();
    let hidden = "0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let first = "POST /v1/claim HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for lines in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2, 2",
        "content-length: +2",
        "transfer-encoding: gzip",
    ] {
        let answer = service.raw(format!("{first}{lines}\r\n\r\n{{}}"));
        is_refused(&answer, 400, "");
    }
    let length = hidden.len();
    for lines in [
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
    ] {
        let answer = service.raw(format!("{first}{lines}\r\n\r\n{hidden}"));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[test]
fn an_expectation_that_cannot_be_met_is_refused() {
    let service = Service::start();
    let lines = ["GET /healthz HTTP/1.1", "host: localhost", "expect: tea"];
    is_refused(
        &ask(&service, &lines),
        417,
        "only `Expect: 100-continue` is supported",
    );
}

#[test]
fn a_body_has_one_encoding_which_every_proxy_reads_alike() {
    let service = Service::start();
    for lines in [
        &["transfer-encoding: gzip, chunked"][..],
        &["transfer-encoding: chunked", "transfer-encoding: chunked"],
        &["transfer-encoding: chunked, chunked"],
    ] {
        let head = [
            "POST /v1/tasks HTTP/1.1",
            "host: localhost",
            "content-type: application/json",
        ];
        let answer = ask(&service, &[&head[..], lines].concat());
        assert!(answer.starts_with("HTTP/1.1 400"), "{lines:?}: {answer}");
    }
}
