//! Clients that take connections and memory and give nothing back.
//!
//! The service runs under a low limit on open files here, so that few connections are many.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::json;

use super::{until, until_with};
use crate::support::engine::{Engine, Program};
use crate::support::service::Service;
use crate::support::service::access_token;
use crate::support::{Gate, programs};

/// This leaves 30 places, and 10 for `/healthz` and `/readyz`.
const FEW_FILES: &str = "-n 200";
const PLACES: usize = 30;

fn with_few_files() -> (Service, String) {
    let gate = Gate::new();
    let token = access_token(&gate, "ops", "operator");
    (Service::with_open_files(gate, FEW_FILES), token)
}

/// A number of connections, each of which has sent this.
fn connections(service: &Service, count: usize, sent: &str) -> Vec<TcpStream> {
    let connect = |_| {
        let mut connection = service.connect();
        // The service may have closed it by now.
        let _ = connection.write_all(sent.as_bytes());
        connection
    };
    (0..count).map(connect).collect()
}

#[test]
fn whatever_strangers_begin_and_do_not_end_shuts_nobody_out() {
    for sent in [
        "",
        "GET /queue HTTP/1.1\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /",
        "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\ntoken=",
        "POST /login HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\ntoken",
        "POST /v1/claim HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sgt_1_x\r\ncontent-length: 100000\r\n\r\n{",
    ] {
        let (service, token) = with_few_files();
        service.gate.run(&["task", "add", "alpha"]).succeeds();
        let strangers = connections(&service, 10 * PLACES, sent);
        service.get("/healthz").is(200);
        let claim = service.request("POST", "/v1/claim").token(&token);
        claim.json(&json!({"worker": "one"})).send().is(200);
        drop(strangers);
    }
}

#[test]
fn a_claim_that_waits_is_not_cut_to_make_room() {
    let (service, token) = with_few_files();
    let claim = json!({"worker": "one", "wait": 300});
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            service
                .request("POST", "/v1/claim")
                .token(&token)
                .json(&claim)
                .send()
        });
        until_with(&service, Some(&token), "serial_gate_waiting_workers 1");
        let strangers = connections(&service, 10 * PLACES, "");
        service.gate.run(&["task", "add", "alpha"]).succeeds();
        waiting.join().unwrap().is(200);
        drop(strangers);
    });
}

#[test]
fn when_all_places_are_in_use_it_still_says_that_it_lives() {
    let (service, token) = with_few_files();
    let body = json!({"worker": "one", "wait": 300}).to_string();
    let claim = format!(
        "POST /v1/claim HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut waiting = Vec::new();
    for count in 1..PLACES {
        waiting.extend(connections(&service, 1, &claim));
        let line = format!("serial_gate_waiting_workers {count}");
        until_with(&service, Some(&token), &line);
    }
    // Takes the place of the connection that has just asked.
    let follow = format!(
        "GET /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    waiting.extend(connections(&service, 1, &follow));
    let mut status = [0; 12];
    waiting.last().unwrap().read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let closing = |path: &str| {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        service.raw(head)
    };
    for probe in ["/healthz", "/readyz"] {
        let answer = closing(probe);
        assert!(answer.starts_with("HTTP/1.1 200"), "{probe}: {answer}");
    }
    let refused = closing("/queue");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("all connections are in use"), "{refused}");
    assert!(
        refused
            .to_ascii_lowercase()
            .contains("\r\nretry-after: 1\r\n"),
        "{refused}"
    );
    drop(waiting);
    until_with(&service, Some(&token), "serial_gate_waiting_workers 0");
    assert!(closing("/queue").starts_with("HTTP/1.1 200"));
}

#[test]
#[cfg(target_os = "linux")]
fn its_own_limit_on_open_files_is_raised_as_far_as_it_may() {
    let gate = Gate::new();
    let service = Service::with_open_files(gate, "-Sn 256");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.process())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).collect();
    let hard: u64 = numbers[1].parse().unwrap_or(u64::MAX);
    assert_eq!(numbers[0], hard.min(65_536).to_string(), "{line}");
}

#[test]
fn a_low_limit_on_open_files_is_said_at_the_start() {
    let gate = Gate::new();
    let log = gate.path("service.log");
    let mut process = gate
        .command_after("ulimit -n 300", &["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    // The warning comes before the line with the address.
    let mut told = [0; 1];
    process
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut told)
        .unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let said = std::fs::read_to_string(log).unwrap();
    assert!(
        said.contains("connections at once, because this process may have 300 open files"),
        "{said}"
    );
    assert!(said.contains("LimitNOFILE="), "{said}");
}

#[test]
fn those_who_read_nothing_of_large_answers_are_cut() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let large = "x".repeat(16_000_000);
    let program = service.gate.program();
    program.run(format!("UPDATE tasks SET work_item_id = '{large}'"));
    let ask = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let readers = connections(&service, 6, ask);
    until(
        &service,
        "serial_gate_connections_ended_total{reason=\"read_nothing\"} 6",
    );
    drop(readers);
    service.get("/healthz").is(200);
}

/// A program that keeps everybody from reading.
enum Holder {
    Process(Child),
    Session(Box<Program>),
}

impl Holder {
    /// None if there is no program that could.
    fn of(gate: &Gate) -> Option<Holder> {
        if Engine::under_test() == Engine::Postgres {
            let program = gate.program();
            let tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()";
            let tables = program.all::<String>(tables).join(", ");
            program.run(format!(
                "BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"
            ));
            return Some(Holder::Session(Box::new(program)));
        }
        let shm = gate.path("serial-gate.db-shm");
        let mut holder = Command::new("python3")
            .args(["-c", HOLD_LOCKS, shm.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut stdout = holder.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 5]).unwrap();
        Some(Holder::Process(holder))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        match self {
            Holder::Process(holder) => {
                holder.kill().unwrap();
                holder.wait().unwrap();
            }
            Holder::Session(program) => _ = program.run("ROLLBACK"),
        }
    }
}

/// Holds the locks of a database's readers, which only a program other than SQLite does for long.
const HOLD_LOCKS: &str = "
import fcntl, sys
file = open(sys.argv[1], 'r+b')
fcntl.lockf(file, fcntl.LOCK_EX, 8, 120)
print('held', flush=True)
sys.stdin.read()
";

#[test]
fn beside_a_locked_database_it_still_says_that_it_lives() {
    for has_tokens in [true, false] {
        let gate = Gate::new();
        let token = has_tokens.then(|| access_token(&gate, "ops", "operator"));
        let service = Service::on(gate);
        let Some(holder) = Holder::of(&service.gate) else {
            return programs::missing("there is no `python3`", "the database is not locked");
        };
        let bearer = token.map_or(String::new(), |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let ask = format!("GET /queue HTTP/1.1\r\nhost: localhost\r\n{bearer}\r\n");
        // More than there are threads.
        let waiting = connections(&service, 64, &ask);
        for path in ["/healthz", "/dashboard.js", "/openapi.json", "/login"] {
            service.get(path).is(200);
        }
        let detail = service.get("/readyz").is(503).detail();
        assert!(detail.contains("the queue is busy"), "{detail}");
        // Requests that wait for the database get an error in the end.
        let mut answer = [0; 12];
        (&waiting[0]).read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 503");
        drop(holder);
    }
}

#[test]
fn with_too_few_open_files_it_does_not_start_and_says_why() {
    let gate = Gate::new();
    let binary = env!("CARGO_BIN_EXE_serial-gate");
    let line = format!("ulimit -n 64 && {binary} serve --listen 127.0.0.1:0");
    let ran = gate.run_in_shell(&line).exits(1);
    assert_eq!(
        ran.stderr,
        "error: this process may have 64 open files, and the service needs 192: raise `ulimit -Hn`, or `LimitNOFILE=` of its systemd unit\n"
    );
}
