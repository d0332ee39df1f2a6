//! The service as a process: the real binary, built for release, on a queue in a folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;
use serial_gate::gate::default_settings;
use serial_gate::queue::Queue;
use serial_gate::store::Actor;

/// Builds the binary, in the target folder of this bench.
pub fn build() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).unwrap();
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            "serial-gate",
            "--bin",
            "serial-gate",
        ])
        .env("CARGO_TARGET_DIR", folder.parent().unwrap());
    eprintln!("{cargo:?}");
    assert!(cargo.status().unwrap().success());
    folder.join("serial-gate")
}

/// A prepared queue with no rows.
pub fn queue(path: &Path) {
    let actor = Actor {
        now: Timestamp::now(),
        who: "bench",
        why: "to measure",
    };
    Queue::init(path, &default_settings(), actor).unwrap();
}

/// Adds jobs that may be claimed, in 100 repos with one unfinished task each. Every other job is
/// gated.
pub fn add_jobs(path: &Path, jobs: usize) {
    let sqlite = Connection::open(path).unwrap();
    sqlite.busy_timeout(Duration::from_secs(30)).unwrap();
    sqlite
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
             INSERT INTO tasks (id, repo, stage)
             SELECT i + 1, 'repo-' || i, 'development' FROM n WHERE true
             ON CONFLICT DO NOTHING;
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs} - 1)
             INSERT INTO jobs (task_id, repo, agent)
             SELECT i / 2 % 100 + 1, 'repo-' || (i / 2 % 100), iif(i % 2, 'analyst', 'developer')
             FROM n;"
        ))
        .unwrap();
}

/// A service that runs.
pub struct Server {
    process: Child,
    _stdout: BufReader<ChildStdout>,
    pub address: String,
}

impl Server {
    pub fn start(program: &Path, db: &Path, durability: &str) -> Server {
        let mut process = Command::new(program)
            .arg("--db")
            .arg(db)
            .args([
                "--durability",
                durability,
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--json",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        Server {
            process,
            _stdout: stdout,
            address: answer["listening"].as_str().unwrap().into(),
        }
    }

    /// The processor time that it has used; a tick of Linux is a hundredth of a second.
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
