//! What the service adds to a claim: claims over HTTP and by command, and workers that wait.
//!
//! `cargo bench --bench service` builds the binary and writes `bench/results/service.md`. The
//! clients are threads of this process, on the same processors as the service. Callers rely on
//! this: every measured claim got a job.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a bench fails by panicking, and says how far it is"
)]

mod client;
mod server;

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::Value;
use serial_gate_bench::{Report, Times, duration, ratio};

use client::Client;
use server::{Server, add_jobs, queue};

/// Measure claims over HTTP, and workers that wait
#[derive(Parser)]
struct Arguments {
    /// Small sizes: some seconds
    #[arg(long)]
    quick: bool,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    bench: bool,
}

const CONNECTIONS: [usize; 3] = [1, 16, 256];
const WAITING: usize = 256;

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let (rounds, jobs, releases, idle) = match arguments.quick {
        true => (2, 256, 20, 2),
        false => (10, 5_120, 2_000, 30),
    };
    let program = server::build();
    let folder = tempfile::tempdir()?;
    let mut report = Report::new(
        "service",
        "What the service adds to a claim",
        "WAL, `durability = \"full\"` unless a table says otherwise; the clients are threads of \
         one process, on the same processors as the service",
    )?;
    report.paragraph("## Claims")?;
    report.paragraph(&format!(
        "Rounds of {jobs} claims on one database, in turns: by `serial-gate claim --max {jobs}`, \
         one process that opens the database, and by `POST /v1/claim` over a number of connections. \
         Each connection sends its next request when it has the answer to the last. *Claim and \
         finish* sends `POST /v1/jobs/ID/finish` after each claim. Times are for one request, \
         or for the pair.",
    ))?;
    for (durability, name) in [("full", "claims.db"), ("normal", "claims-normal.db")] {
        report.paragraph(&format!("With `--durability {durability}`:"))?;
        let path = folder.path().join(name);
        claims(&mut report, &program, &path, durability, rounds, jobs)?;
    }

    report.paragraph("## Workers that wait")?;
    let path = folder.path().join("waiting.db");
    let released = releases_of(&program, &path, releases);
    report.paragraph(&format!(
        "{WAITING} workers wait, each for its next job (`\"wait\": 300`). The time from the \
         request that ends a task until a worker has the next task's job, measured {} \
         times: p50 {}, p99 {}.",
        released.count(),
        duration(released.p50()),
        duration(released.p99()),
    ))?;
    let path = folder.path().join("idle.db");
    let share = idle_share(&program, &path, Duration::from_secs(idle));
    report.paragraph(&format!(
        "{WAITING} workers wait for {idle} s on an idle queue: the service uses {:.2} % of a \
         processor.",
        share * 100.0
    ))?;
    report.write()
}

fn claims(
    report: &mut Report,
    program: &Path,
    path: &Path,
    durability: &str,
    rounds: usize,
    jobs: usize,
) -> io::Result<()> {
    queue(path);
    let server = Server::start(program, path, durability);
    let mut by_command = Vec::new();
    let mut by_http: Vec<[(Vec<Duration>, Duration); 2]> =
        CONNECTIONS.iter().map(|_| Default::default()).collect();
    // The first warms up.
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        add_jobs(path, jobs * (1 + 2 * CONNECTIONS.len()));
        let took = command(program, path, durability, jobs);
        if round > 0 {
            by_command.push(took);
        }
        for (connections, kinds) in CONNECTIONS.iter().zip(&mut by_http) {
            for (kind, (times, whole)) in kinds.iter_mut().enumerate() {
                let (taken, time) = crowd(&server.address, *connections, jobs, kind == 1);
                if round > 0 {
                    *whole += time;
                    times.extend(taken);
                }
            }
        }
    }
    let per_claim = by_command.iter().sum::<Duration>() / u32::try_from(rounds * jobs).unwrap();
    let per_second =
        |whole: Duration| format!("{:.0}", (rounds * jobs) as f64 / whole.as_secs_f64());
    let mut rows = vec![vec![
        "`claim --max`".to_owned(),
        per_second(by_command.iter().sum()),
        "–".into(),
        duration(per_claim),
        "–".into(),
        "1.00".into(),
    ]];
    for (connections, kinds) in CONNECTIONS.iter().zip(by_http) {
        for (name, (times, whole)) in ["claim", "claim and finish"].iter().zip(kinds) {
            let each = whole / u32::try_from(rounds * jobs).unwrap();
            let times = Times::of(*name, times);
            rows.push(vec![
                format!(
                    "{name}, {connections} connection{}",
                    if *connections == 1 { "" } else { "s" }
                ),
                per_second(whole),
                duration(times.p50()),
                duration(each),
                duration(times.p99()),
                ratio(each, per_claim),
            ]);
        }
    }
    report.table(
        &[
            "",
            "per second",
            "p50",
            "mean, all together",
            "p99",
            "÷ `claim --max`",
        ],
        &rows,
    )
}

/// The time of a whole process that claims.
fn command(program: &Path, path: &Path, durability: &str, jobs: usize) -> Duration {
    let begun = Instant::now();
    let ran = Command::new(program)
        .arg("--db")
        .arg(path)
        .args([
            "claim",
            "--worker",
            "bench",
            "--json",
            "--durability",
            durability,
            "--max",
            &jobs.to_string(),
        ])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let took = begun.elapsed();
    assert_eq!(
        ran.stdout.iter().filter(|byte| **byte == b'\n').count(),
        jobs
    );
    took
}

/// Claims over a number of open connections: the time of each claim, and of all together.
fn crowd(
    address: &str,
    connections: usize,
    jobs: usize,
    finish: bool,
) -> (Vec<Duration>, Duration) {
    let mut clients: Vec<Client> = (0..connections).map(|_| Client::new(address)).collect();
    // The service has accepted each connection, so that no request waits for that.
    for client in &mut clients {
        client.json("GET", "/healthz", "");
    }
    let ready = Barrier::new(connections + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    let claim = r#"{"worker": "bench"}"#;
                    let one = |_| {
                        let begun = Instant::now();
                        let job = client.json("POST", "/v1/claim", claim);
                        if finish {
                            let path = format!("/v1/jobs/{}/finish", job["id"]);
                            client.json(
                                "POST",
                                &path,
                                &format!(r#"{{"token": {}}}"#, job["token"]),
                            );
                        }
                        begun.elapsed()
                    };
                    (0..jobs / connections).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        ready.wait();
        let begun = Instant::now();
        let times = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect();
        (times, begun.elapsed())
    })
}

/// How long it takes from a task's end to the next one's claim, while many wait.
fn releases_of(program: &Path, path: &Path, releases: usize) -> Times {
    queue(path);
    let server = Server::start(program, path, "full");
    let (claimed, jobs) = mpsc::channel();
    for n in 0..WAITING {
        let (claimed, address) = (claimed.clone(), server.address.clone());
        thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                let mut client = Client::new(&address);
                let claim = format!(r#"{{"worker": "worker-{n}", "wait": 300}}"#);
                // Until the service ends.
                while let Some((200, job)) = client.ask("POST", "/v1/claim", &claim) {
                    let now = Instant::now();
                    let job: Value = serde_json::from_slice(job).unwrap();
                    if claimed.send((now, job)).is_err() {
                        return;
                    }
                }
            })
            .unwrap();
    }
    let mut client = Client::new(&server.address);
    let add = r#"{"repo": "alpha"}"#;
    client.json("POST", "/v1/tasks", add);
    let (_, mut job) = jobs.recv().unwrap();
    let mut times = Vec::new();
    for _ in 0..releases {
        client.json("POST", "/v1/tasks", add);
        let path = format!("/v1/jobs/{}/finish", job["id"]);
        client.json("POST", &path, &format!(r#"{{"token": {}}}"#, job["token"]));
        // By then the worker that got the job waits again.
        thread::sleep(Duration::from_millis(2));
        let path = format!("/v1/tasks/{}", job["task_id"]);
        let sent = Instant::now();
        client.json("PATCH", &path, r#"{"stage": "done"}"#);
        let (got, next) = jobs.recv().unwrap();
        times.push(got - sent);
        job = next;
    }
    Times::of("", times)
}

/// Which share of a processor the service uses while many wait and nothing happens.
fn idle_share(program: &Path, path: &Path, time: Duration) -> f64 {
    queue(path);
    let server = Server::start(program, path, "full");
    for n in 0..WAITING {
        let address = server.address.clone();
        thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                let claim = format!(r#"{{"worker": "worker-{n}", "wait": 300}}"#);
                // Until the service ends.
                Client::new(&address).ask("POST", "/v1/claim", &claim);
            })
            .unwrap();
    }
    thread::sleep(Duration::from_secs(1));
    let before = server.processor_time();
    thread::sleep(time);
    (server.processor_time() - before).as_secs_f64() / time.as_secs_f64()
}
