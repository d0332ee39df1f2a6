//! Other queues on SQLite, compared with ours: enqueue, claim and finish jobs, in turns, with the
//! same fsync settings.
//!
//! `cargo bench --bench peers` builds the programs in `peers/`, which takes some minutes and needs
//! Python 3, and writes `bench/results/peers.md`. CI does not run it. The other queues neither keep
//! an order within a repo nor freeze one. The difference to ours switched off is the gate's price.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a bench fails by panicking, and says how far it is"
)]

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use rusqlite::Connection;
use serial_gate::gate::{Overrides, Rule, default_settings};
use serial_gate::queue::{Options, Queue};
use serial_gate::store::{Actor, Database, Durability, Ending, NewTask};
use serial_gate_bench::{Contest, Report, Times, duration, ratio};

/// Compare enqueue, claim and finish with other queues on SQLite
#[derive(Parser)]
struct Arguments {
    /// Small sizes: some seconds
    #[arg(long)]
    quick: bool,
    /// Jobs in each round [default: 500]
    #[arg(long)]
    jobs: Option<u32>,
    /// Rounds [default: 30]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// How long the two halves of a round took.
type Halves = [Duration; 2];

/// The repos that our jobs are spread over.
const REPOS: u32 = 100;

/// The others: a name for the table, the version, and what a reader of the figures must know.
const PEERS: [(&str, &str); 4] = [
    (
        "effectum",
        "effectum 0.7.0 (Rust), through its worker, one job at a time. Its statement for WAL has \
         no effect (`journal` for `journal_mode`), so the bench sets the mode first. Retries, \
         priorities, heartbeats; one process only.",
    ),
    (
        "apalis-sqlite",
        "apalis-sqlite 1.0.0 (Rust), its worker's queries without the worker, one job at a time: \
         fetch, lock and acknowledge. Its `setup` switches syncing off; the bench sets it to \
         NORMAL. Retries, priorities, many workers.",
    ),
    (
        "huey",
        "huey 3.5.4 (Python), with an execution that does nothing. It offers FULL or no syncing; \
         the bench sets NORMAL on its connection. A claim deletes the job, so a job is lost with \
         its worker, and to finish writes nothing.",
    ),
    (
        "litequeue",
        "litequeue 0.9 (Python). Messages with a status; no retries, no leases.",
    ),
];

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let jobs = arguments
        .jobs
        .unwrap_or(if arguments.quick { 50 } else { 500 });
    let rounds = arguments
        .rounds
        .unwrap_or(if arguments.quick { 3 } else { 30 });
    let programs = prepare();
    let folder = tempfile::tempdir()?;
    let file = |name: &str| {
        let path = folder.path().join(name);
        // The file keeps the mode, for those that cannot set it.
        let sqlite = Connection::open(&path).unwrap();
        sqlite.pragma_update(None, "journal_mode", "WAL").unwrap();
        path
    };

    let mut contestants: Vec<(String, Box<dyn FnMut() -> Halves>)> = Vec::new();
    for (name, enabled) in [("serial gate", true), ("serial gate, switched off", false)] {
        let mut queue = ours(&file(&format!("{enabled}.db")), enabled);
        contestants.push((name.into(), Box::new(move || run_ours(&mut queue, jobs))));
    }
    for ((name, _), program) in PEERS.iter().zip(programs) {
        let mut peer = Peer::start(program, &file(name));
        contestants.push(((*name).into(), Box::new(move || peer.run(jobs))));
    }

    let halves: Vec<RefCell<Vec<Halves>>> =
        contestants.iter().map(|_| RefCell::default()).collect();
    let mut contest = Contest::new();
    for ((name, mut run), halves) in contestants.into_iter().zip(&halves) {
        contest.enter(name, move || {
            let took = run().map(|half| half / jobs);
            halves.borrow_mut().push(took);
            took.iter().sum()
        });
    }
    let times = contest.run(rounds as usize, Duration::MAX);
    for (name, _) in PEERS {
        let sqlite = Connection::open(folder.path().join(name)).unwrap();
        let mode: String = sqlite
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal", "{name}");
    }
    write_report(&times, &halves, jobs)
}

fn write_report(times: &[Times], halves: &[RefCell<Vec<Halves>>], jobs: u32) -> io::Result<()> {
    let mut report = Report::new(
        "peers",
        "Other queues on SQLite",
        "WAL, `synchronous=NORMAL` for all: a commit is synced when the log is checkpointed",
    )?;
    report.paragraph(&format!(
        "A round is {jobs} jobs on one file: enqueued one by one, then claimed and finished one by \
         one. The contestants take turns. Times are medians over the rounds, for one job; the last \
         column is the slowest round's."
    ))?;
    let ours = times.first().map(Times::p50).unwrap_or_default();
    let rows: Vec<Vec<String>> = times
        .iter()
        .zip(halves)
        .map(|(whole, halves)| {
            // The first round was the warm-up.
            let halves: Vec<Halves> = halves.take().into_iter().skip(1).collect();
            let half = |at: fn(&Halves) -> Duration| {
                duration(Times::of("", halves.iter().map(at).collect()).p50())
            };
            vec![
                whole.name.clone(),
                half(|[enqueue, _]| *enqueue),
                half(|[_, work_off]| *work_off),
                duration(whole.p50()),
                ratio(whole.p50(), ours),
                duration(whole.p99()),
            ]
        })
        .collect();
    let head = [
        "",
        "enqueue",
        "claim and finish",
        "both",
        "÷ serial gate",
        "slowest round",
    ];
    report.table(&head, &rows)?;
    report.paragraph(&format!(
        "How to read the figures:\n\n\
         - serial gate: the library, in {REPOS} repos, each with a line of tasks. To enqueue adds \
         a task and its job in one transaction. To finish is two transactions, the job's and the \
         task's; then the repo's next job may be claimed.\n{}\n\n\
         The others neither keep an order within a repo nor freeze one after a bad deploy; an \
         orchestrator on top of them would have to. The difference to ours switched off is the \
         gate's price. Each has another version of SQLite, and two are written in another \
         language: the figures show what a user gets, and not whose SQL is better.",
        PEERS
            .map(|(name, what)| format!("- {name}: {what}"))
            .join("\n")
    ))?;
    report.write()
}

fn ours(path: &Path, enabled: bool) -> Queue {
    let actor = Actor {
        now: Timestamp::now(),
        who: "bench",
        why: "to measure",
    };
    Queue::init(path, &default_settings(), actor).unwrap();
    let overrides = Overrides {
        enabled: Some(enabled),
        ..Overrides::default()
    };
    let database = Database::new(path.into(), Durability::Normal);
    Queue::open(database, Rule::Active(overrides), Options::default()).unwrap()
}

fn run_ours(queue: &mut Queue, jobs: u32) -> Halves {
    let begun = Instant::now();
    for job in 0..jobs {
        let task = NewTask {
            repo: &format!("repo-{}", job % REPOS),
            work_item: None,
            stage: "analysis",
            agent: "analyst",
            label: None,
        };
        queue.store().add_task(Timestamp::now(), task).unwrap();
    }
    let enqueued = Instant::now();
    for _ in 0..jobs {
        let lease = Duration::from_secs(60);
        let job = queue
            .claim(Timestamp::now(), "bench", lease)
            .unwrap()
            .unwrap();
        let actor = Actor {
            now: Timestamp::now(),
            who: "bench",
            why: "",
        };
        queue.end_job(actor, job.claim(), Ending::Done).unwrap();
        queue
            .store()
            .set_stage(Timestamp::now(), &[job.task_id.unwrap()], "done")
            .unwrap();
    }
    [enqueued - begun, enqueued.elapsed()]
}

/// Another queue's program.
struct Peer {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(mut program: Command, file: &Path) -> Peer {
        let spawned = program
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{program:?}: {error}"));
        Peer {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn run(&mut self, jobs: u32) -> Halves {
        writeln!(self.questions, "{jobs}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let (enqueue, work_off) = line.trim().split_once(' ').expect("two numbers");
        [enqueue, work_off].map(|nanos| Duration::from_nanos(nanos.parse().unwrap()))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Builds the others' programs, in the order of [`PEERS`].
fn prepare() -> [Command; 4] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let [effectum, apalis] = ["effectum", "apalis"].map(|name| build(&folder.join(name)));
    let python = folder.join(".venv/bin/python");
    if !python.exists() {
        finish(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(folder.join(".venv")),
        );
    }
    let mut install = Command::new(&python);
    finish(
        install
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(folder.join("requirements.txt")),
    );
    let [huey, litequeue] = ["huey_peer.py", "litequeue_peer.py"].map(|script| {
        let mut command = Command::new(&python);
        command.arg(folder.join(script));
        command
    });
    [
        Command::new(effectum),
        Command::new(apalis),
        huey,
        litequeue,
    ]
}

/// Builds a package outside the workspace.
fn build(folder: &Path) -> PathBuf {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--quiet"])
        .current_dir(folder);
    // Not the target folder of this bench.
    finish(cargo.env("CARGO_TARGET_DIR", folder.join("target")));
    let name = folder.file_name().unwrap().to_string_lossy();
    folder.join("target/release").join(format!("peer-{name}"))
}

fn finish(command: &mut Command) {
    eprintln!("{command:?}");
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}");
}
