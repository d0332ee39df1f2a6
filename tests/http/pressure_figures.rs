//! What the service costs and how it answers under pressure: figures without a pass or fail.
//!
//! `cargo test --release --locked --test tests -- --ignored --nocapture figures_`

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::support::Gate;
use crate::support::bombs::{admitted, compilers_of};
use crate::support::service::Service;
use crate::support::service::access_token;

const MEASURED: Duration = Duration::from_secs(10);

fn memory(service: &Service) -> u64 {
    memory_of(format!("/proc/{}/status", service.process()).as_ref()).unwrap()
}

/// The memory of a process in MB. `None` if it is gone.
fn memory_of(status: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    format!("p50 {:?}, p99 {:?} of {}", at(50), at(99), times.len())
}

/// Claims and asks for `/healthz` for a while, each time over a new connection, while something
/// else goes on.
fn measure(what: &str, service: &Service, token: &str, pressure: impl FnOnce() + Send) {
    let is_over = AtomicBool::new(false);
    let time = |ask: &dyn Fn() -> bool| {
        let mut times = Vec::new();
        let mut failed = 0;
        while !is_over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            match ask() {
                true => times.push(begun.elapsed()),
                false => failed += 1,
            }
            thread::sleep(Duration::from_millis(5));
        }
        format!("{}, {failed} failed", percentiles(times))
    };
    let mut most = 0;
    let (health, claims) = thread::scope(|scope| {
        let health = scope.spawn(|| {
            let head = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            time(&|| answers(service, head).is_some_and(|answer| answer.contains(" 200 ")))
        });
        let claims = scope.spawn(|| {
            let body = json!({"worker": "one"}).to_string();
            let head = format!(
                "POST /v1/claim HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            time(&|| answers(service, &head).is_some_and(|answer| answer.contains(" 200 ")))
        });
        let pressed = scope.spawn(pressure);
        let begun = Instant::now();
        while begun.elapsed() < MEASURED || !pressed.is_finished() {
            most = most.max(memory(service));
            thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::Relaxed);
        (health.join().unwrap(), claims.join().unwrap())
    });
    println!("{what}: at most {most} MB\n  /healthz {health}\n  claims   {claims}");
}

fn answers(service: &Service, head: &str) -> Option<String> {
    let mut connection = TcpStream::connect(&service.address).ok()?;
    connection
        .set_read_timeout(Some(Duration::from_secs(30)))
        .ok()?;
    connection.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
#[ignore = "it measures for a minute"]
fn figures_under_pressure() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let gate = Gate::new();
    let token = access_token(&gate, "ops", "operator");
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
                INSERT INTO tasks (repo, stage) SELECT 'repo-' || i, 'analysis' FROM n;
                INSERT INTO jobs (task_id, repo, agent, status) SELECT id, repo, 'analyst', 'queued' FROM tasks;";
    gate.program().run(many);
    let service = Service::with_open_files(gate, "-Sn 1024");
    println!("at rest: {} MB", memory(&service));
    measure("nothing else", &service, &token, || ());
    for count in [1_100, 10_000] {
        let connections = std::sync::Mutex::new(Vec::new());
        measure(
            &format!("{count} silent connections"),
            &service,
            &token,
            || {
                let opened = (0..count).filter_map(|_| TcpStream::connect(&service.address).ok());
                connections.lock().unwrap().extend(opened);
                thread::sleep(MEASURED);
            },
        );
    }
    for path in ["/v1/events", "/queue", "/"] {
        let connections = std::sync::Mutex::new(Vec::new());
        measure(
            &format!("200 that read nothing of {path}"),
            &service,
            &token,
            || {
                for _ in 0..200 {
                    let Some(mut connection) = TcpStream::connect(&service.address).ok() else {
                        continue;
                    };
                    let head = format!(
                        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
                    );
                    let _ = connection.write_all(head.as_bytes());
                    connections.lock().unwrap().push(connection);
                }
                thread::sleep(MEASURED);
            },
        );
    }
    measure("100 uploads of 16 MiB at once", &service, &token, || {
        thread::scope(|scope| {
            for _ in 0..100 {
                let (service, token) = (&service, &token);
                scope.spawn(move || {
                    let Some(mut connection) = TcpStream::connect(&service.address).ok() else { return };
                    let head = format!(
                        "POST /v1/policy/check HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        16 << 20
                    );
                    let _ = connection.write_all(head.as_bytes());
                    let _ = connection.write_all(&vec![0; 16 << 20]);
                    let _ = connection.set_read_timeout(Some(Duration::from_secs(60)));
                    let _ = connection.read_to_end(&mut Vec::new());
                });
            }
        });
    });
    println!("afterwards: {} MB", memory(&service));
}

#[test]
#[ignore = "it compiles for minutes"]
fn figures_beside_bombs() {
    let gate = Gate::new();
    let token = access_token(&gate, "ops", "operator");
    let settings = [
        "policy",
        "settings",
        "--reason",
        "a generation to roll back to",
    ];
    for rules in [
        r#"{"gated_agents":["a"]}"#,
        r#"{"gated_agents":["analyst"]}"#,
    ] {
        gate.run(&[&settings[..], &["--rules", rules]].concat())
            .succeeds();
    }
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
                INSERT INTO tasks (repo, stage) SELECT 'repo-' || i, 'analysis' FROM n;
                INSERT INTO jobs (task_id, repo, agent, status) SELECT id, repo, 'analyst', 'queued' FROM tasks;";
    gate.program().run(many);
    let service = Service::with_open_files(gate, "-n 1024");
    measure("nothing else", &service, &token, || ());
    let mut generation = 2;
    for (what, bomb) in admitted() {
        let (mut most, mut back, mut checked) = (0, Duration::ZERO, String::new());
        measure(what, &service, &token, || {
            thread::scope(|scope| {
                let check = scope.spawn(|| post(&service, &token, "/v1/policy/check", &bomb));
                thread::sleep(Duration::from_millis(300));
                let begun = Instant::now();
                let body = json!({"reason": "now", "generation": generation}).to_string();
                post(&service, &token, "/v1/policy/rollback", body.as_bytes());
                back = begun.elapsed();
                generation = 5 - generation;
                while !check.is_finished() {
                    for compiler in compilers_of(service.process()) {
                        most = most.max(memory_of(&compiler.join("status")).unwrap_or(0));
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                checked = check.join().unwrap();
            });
        });
        println!(
            "  {} bytes, the compiler had at most {most} MB, rollback {back:?}\n  {checked}",
            bomb.len()
        );
    }
    let (_, slow) = admitted().swap_remove(0);
    let (address, held) = (service.address.clone(), token.clone());
    thread::spawn(move || post_to(&address, &held, "/v1/policy/check", &slow));
    thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    service.stop();
    println!("SIGTERM beside the first: {:?}", begun.elapsed());
}

fn post(service: &Service, token: &str, path: &str, body: &[u8]) -> String {
    post_to(&service.address, token, path, body)
}

/// The status, how long it took, and the beginning of what the check found last.
fn post_to(address: &str, token: &str, path: &str, body: &[u8]) -> String {
    let begun = Instant::now();
    let mut connection = TcpStream::connect(address).unwrap();
    let kind = if path.ends_with("check") {
        "application/wasm"
    } else {
        "application/json"
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut answer = Vec::new();
    let _ = connection.write_all(head.as_bytes());
    let _ = connection.write_all(body);
    let _ = connection.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let found = body.rsplit("\"found\":").next().unwrap_or_default();
    let found: String = found.chars().take(160).collect();
    let status = head.lines().next().unwrap_or_default();
    format!("{status} after {:?}: {found}", begun.elapsed())
}
