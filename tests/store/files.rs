//! The file under the path is another one by now: each way in which that happens, and each command
//! that runs for long. The service is in `service::files`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::look::{lines, until, value};
use crate::support::moved_files::{WAYS, back_up, beside, change, with_channel};
use crate::support::worker::Worker;
use crate::support::{Gate, Ran};

/// The lines that a process prints, while it runs.
struct Printed(Arc<Mutex<String>>);

impl Printed {
    fn of(from: impl std::io::Read + Send + 'static) -> Printed {
        let text = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&text);
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                to.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Printed(text)
    }

    fn has(&self, word: &str) -> bool {
        self.0.lock().unwrap().contains(word)
    }
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const MOVED: &str = "was replaced, renamed or removed";

#[test]
fn a_waiting_claim_gives_a_job_of_the_file_that_is_there_now() {
    for way in &WAYS {
        let gate = way.queue();
        gate.run(&["claim"]).succeeds();
        back_up(&gate);
        let waiting = waiting_claim(&gate);
        way.happens(&gate);
        change(&gate, &["task", "add", "gamma"]);
        let ran = Ran::from(waiting.wait_with_output().unwrap());
        // Who reads a file while it is copied over may read half of it.
        if ran.stderr.contains("is damaged") && way.name.contains("copied") {
            continue;
        }
        assert_eq!(ran.code, Some(0), "{}: {}", way.name, ran.stderr);
        let running = value(
            &gate,
            "SELECT status || gate_token FROM jobs WHERE repo = 'gamma'",
        );
        let token = ran.json()["token"].as_str().unwrap().to_owned();
        assert_eq!(running.unwrap(), format!("running{token}"), "{}", way.name);
    }
}

#[test]
fn a_watched_queue_is_the_one_that_is_there_now() {
    for way in &WAYS {
        let gate = way.queue();
        let mut watching = Running(gate.spawn(&["queue", "--watch"]));
        let printed = Printed::of(watching.0.stdout.take().unwrap());
        until("it shows the queue", || printed.has("alpha"));
        way.happens(&gate);
        change(&gate, &["task", "add", "gamma"]);
        until(way.name, || printed.has("gamma"));
    }
}

#[test]
fn a_waiting_worker_does_the_jobs_of_the_file_that_is_there_now() {
    for way in &WAYS {
        let gate = way.queue();
        let _worker = waiting_worker(&gate);
        way.happens(&gate);
        change(&gate, &["task", "add", "gamma"]);
        let of_gamma = "SELECT status FROM jobs WHERE repo = 'gamma'";
        until(way.name, || {
            value(&gate, of_gamma).as_deref() == Some("done")
        });
    }
}

#[test]
fn a_worker_ends_a_job_only_with_the_token_that_is_in_the_file() {
    for way in &WAYS {
        let gate = way.queue();
        let script = "echo $SERIAL_GATE_TOKEN >> tokens; until [ -e on ]; do sleep 0.05; done";
        let _worker = Worker::start(&gate, &[], &["sh", "-c", script]);
        until("its command runs", || {
            !lines(&gate.path("tokens")).is_empty()
        });
        way.happens(&gate);
        change(&gate, &["task", "add", "gamma", "--agent", "nobody"]);
        let token_in_file = || value(&gate, "SELECT gate_token FROM jobs WHERE id = 1");
        let is_held = || token_in_file().as_ref() == lines(&gate.path("tokens")).last();
        until("the job is held by the command that runs", is_held);
        gate.write("on", "");
        let is_done = || value(&gate, "SELECT status FROM jobs WHERE id = 1").unwrap() == "done";
        until(way.name, is_done);
        assert!(is_held(), "{}", way.name);
    }
}

/// A claim that waits: it has looked at the queue and found nothing.
fn waiting_claim(gate: &Gate) -> Child {
    let log = gate.path("decisions.jsonl");
    let waiting = gate.spawn(&[
        "claim",
        "--wait",
        "60",
        "--json",
        "--decision-log",
        "decisions.jsonl",
    ]);
    until("it waits", || !lines(&log).is_empty());
    waiting
}

/// A worker that waits: it has done the job of `alpha`.
fn waiting_worker(gate: &Gate) -> Worker {
    let worker = Worker::start(gate, &[], &["true"]);
    let job = "SELECT status FROM jobs WHERE id = 1";
    until("it has done a job", || {
        value(gate, job).as_deref() == Some("done")
    });
    back_up(gate);
    worker
}

#[test]
fn alerts_of_the_file_that_is_there_now_are_delivered() {
    for way in &WAYS {
        let gate = way.queue();
        let endpoint = with_channel(&gate);
        gate.run(&["freeze", "alpha", "--new", "--reason", "incident"])
            .succeeds();
        back_up(&gate);
        let _delivering = Running(gate.spawn(&["alerts", "deliver", "--watch"]));
        endpoint.wait_for(1);
        way.happens(&gate);
        change(&gate, &["freeze", "gamma", "--new", "--reason", "incident"]);
        let is_told = || {
            endpoint
                .requests()
                .iter()
                .any(|told| told.json()["repo"] == "gamma")
        };
        until(way.name, is_told);
    }
}

#[test]
fn a_log_that_was_removed_under_another_program_is_named_until_that_program_has_gone() {
    let gate = Gate::new();
    let other = gate.sqlite();
    let read = || other.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, i64>(0));
    read().unwrap();
    gate.run(&["task", "add", "alpha"]).succeeds();
    fs::remove_file(beside(&gate, "-wal")).unwrap();
    for verb in [&["queue"][..], &["claim"], &["task", "add", "alpha"]] {
        let refused = gate.run(verb).exits(1);
        assert!(
            refused.stderr.contains(
                "the log of `serial-gate.db` was removed while another process has the \
                    database open"
            ),
            "{}",
            refused.stderr
        );
    }
    drop(other);
    gate.run(&["task", "add", "beta"]).succeeds();
}

#[test]
fn while_the_file_is_away_commands_that_wait_end_and_say_so() {
    let gate = WAYS[0].queue();
    gate.run(&["claim"]).succeeds();
    let mut watching = gate.spawn(&["queue", "--watch"]);
    let printed = Printed::of(watching.stdout.take().unwrap());
    until("it shows the queue", || {
        printed.has("job 1 for `analyst` is running")
    });
    let waiting = waiting_claim(&gate);
    fs::rename(gate.database(), gate.path("away.db")).unwrap();
    for process in [watching, waiting] {
        let ran = Ran::from(process.wait_with_output().unwrap()).exits(1);
        assert!(ran.stderr.contains(MOVED), "{}", ran.stderr);
    }
}

#[test]
fn a_worker_says_that_the_file_is_away_and_goes_on_when_it_is_back() {
    let gate = WAYS[0].queue();
    let mut worker = waiting_worker(&gate);
    let logged = Printed::of(worker.process.stderr.take().unwrap());
    fs::rename(gate.database(), gate.path("away.db")).unwrap();
    until("it says so", || logged.has(MOVED));
    fs::rename(gate.path("away.db"), gate.database()).unwrap();
    change(&gate, &["task", "add", "gamma"]);
    let of_gamma = "SELECT status FROM jobs WHERE repo = 'gamma'";
    until("it goes on", || {
        value(&gate, of_gamma).as_deref() == Some("done")
    });
}

#[test]
fn a_worker_ends_its_job_once_the_file_is_back() {
    let gate = WAYS[0].queue();
    let script = "touch begun; until [ -e on ]; do sleep 0.05; done";
    let mut worker = Worker::start(&gate, &["--max", "1"], &["sh", "-c", script]);
    let logged = Printed::of(worker.process.stderr.take().unwrap());
    until("its command runs", || gate.path("begun").exists());
    fs::rename(gate.database(), gate.path("away.db")).unwrap();
    gate.write("on", "");
    until("it says so", || logged.has(MOVED));
    fs::rename(gate.path("away.db"), gate.database()).unwrap();
    until("its job is done", || {
        value(&gate, "SELECT status FROM jobs").as_deref() == Some("done")
    });
}

#[test]
fn a_sender_of_alerts_says_that_the_file_is_away_and_goes_on_when_it_is_back() {
    let gate = WAYS[0].queue();
    let endpoint = with_channel(&gate);
    gate.run(&["freeze", "alpha", "--new", "--reason", "incident"])
        .succeeds();
    let mut delivering = Running(gate.spawn(&["alerts", "deliver", "--watch"]));
    let logged = Printed::of(delivering.0.stderr.take().unwrap());
    endpoint.wait_for(1);
    fs::rename(gate.database(), gate.path("away.db")).unwrap();
    until("it says so", || logged.has(MOVED));
    fs::rename(gate.path("away.db"), gate.database()).unwrap();
    change(&gate, &["freeze", "gamma", "--new", "--reason", "incident"]);
    endpoint.wait_for(2);
}

#[test]
fn a_file_with_two_names_is_refused_by_name() {
    let gate = WAYS[0].queue();
    fs::hard_link(gate.database(), gate.path("second.db")).unwrap();
    for verb in [
        &["claim"][..],
        &["queue"],
        &["init"],
        &["task", "add", "beta"],
    ] {
        let ran = gate.run(verb).exits(1);
        assert!(
            ran.stderr.contains("has 2 names (hard links)"),
            "{}",
            ran.stderr
        );
    }
    fs::remove_file(gate.path("second.db")).unwrap();
    gate.run(&["claim"]).succeeds();
}

#[test]
fn doctor_tells_that_the_log_is_too_long_and_why() {
    let gate = Gate::new();
    let reader = gate.sqlite();
    reader.execute_batch("BEGIN; SELECT * FROM tasks").unwrap();
    let writer = gate.sqlite();
    writer
        .execute_batch(
            "CREATE TABLE other (data BLOB); INSERT INTO other VALUES (zeroblob(40000000))",
        )
        .unwrap();
    let told = gate.run(&["doctor"]).succeeds().stdout;
    assert!(
        told.contains("more than its usual 32: a program has been reading"),
        "{told}"
    );
    let bytes = gate.run(&["doctor", "--json"]).succeeds().json()["wal_bytes"].as_u64();
    assert!(bytes.unwrap() > 32 << 20, "{bytes:?}");
}

#[test]
fn doctor_says_nothing_of_a_log_of_usual_length() {
    let gate = WAYS[0].queue();
    let told = gate.run(&["doctor"]).succeeds().stdout;
    assert!(!told.contains("-wal"), "{told}");
}
