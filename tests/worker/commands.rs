//! What a command receives, and how its job ends.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::support::Gate;
use crate::support::look::{lines, status, until, value};
use crate::support::worker::{Worker, program};

fn work(gate: &Gate, options: &[&str], shell: &str) -> crate::support::Ran {
    let arguments = [
        &["work", "--agent", "analyst"],
        options,
        &["--", "sh", "-c", shell],
    ]
    .concat();
    gate.run(&arguments)
}

#[test]
fn a_command_finds_its_job_in_its_environment_and_on_its_standard_input() {
    let gate = Gate::new();
    gate.run(&[
        "task",
        "add",
        "alpha",
        "--work-item",
        "ORCH-1; rm -rf \"$HOME\"",
    ])
    .succeeds();
    work(&gate, &["--max", "1"], "env > environment; cat > input").succeeds();
    let environment = lines(&gate.path("environment"));
    for line in [
        "SERIAL_GATE_JOB=1",
        "SERIAL_GATE_TASK=1",
        "SERIAL_GATE_WORK_ITEM=ORCH-1; rm -rf \"$HOME\"",
        "SERIAL_GATE_REPO=alpha",
        "SERIAL_GATE_AGENT=analyst",
        "SERIAL_GATE_ATTEMPT=1",
    ] {
        assert!(
            environment.contains(&line.to_owned()),
            "{line}: {environment:?}"
        );
    }
    let input: Value = serde_json::from_str(&lines(&gate.path("input")).concat()).unwrap();
    assert_eq!((&input["id"], &input["branch"]), (&1.into(), &Value::Null));
}

#[test]
fn a_command_may_ask_the_queue_that_its_job_is_of() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let gate_binary = env!("CARGO_BIN_EXE_serial-gate");
    let shell = format!("cd / && {gate_binary} job add $SERIAL_GATE_TASK developer");
    work(&gate, &["--max", "1"], &shell).succeeds();
    assert_eq!(
        value(&gate, "SELECT agent FROM jobs WHERE id = 2").unwrap(),
        "developer"
    );
}

/// Whoever has the address of a server can do more there than the job's token allows.
#[test]
fn a_command_is_told_no_address_of_a_server() {
    let gate = Gate::new();
    gate.write("serial-gate.toml", "");
    gate.run(&["task", "add", "alpha"]).succeeds();
    work(&gate, &["--max", "1"], "env > environment").succeeds();
    let environment = lines(&gate.path("environment"));
    assert!(environment.iter().any(|line| line == "SERIAL_GATE_JOB=1"));
    let address = |line: &&String| line.contains("postgres://") || line.starts_with("PGPASS");
    assert_eq!(environment.iter().find(address), None);
}

#[test]
fn a_job_ends_as_its_command_does() {
    let gate = Gate::new();
    for repo in ["alpha", "beta", "gamma"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    let shell = "case $SERIAL_GATE_REPO in beta) exit 3;; gamma) kill -9 $$;; esac";
    let ran = work(&gate, &["--max", "3", "--json"], shell).succeeds();
    assert_eq!(ran.json()["failed"], 2);
    assert_eq!(
        [1, 2, 3].map(|job| status(&gate, job)),
        ["done", "failed", "failed"]
    );
    let error = |job| {
        value(
            &gate,
            &format!("SELECT gate_error FROM jobs WHERE id = {job}"),
        )
    };
    insta::assert_snapshot!(error(2).unwrap(), @"the command exited with 3");
    insta::assert_snapshot!(error(3).unwrap(), @"the command ended with signal: 9 (SIGKILL)");
    let alerts = "SELECT subject FROM serial_gate_alert WHERE kind = 'job_failed' ORDER BY 1";
    assert_eq!(gate.program().all::<i64>(alerts), [2, 3]);
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let shell = "sleep 600 & echo $! > child; trap '' TERM; wait; wait; wait";
    work(
        &gate,
        &["--max", "1", "--timeout", "1s"],
        &format!("exec 2>/dev/null; {shell}"),
    )
    .succeeds();
    assert_eq!(status(&gate, 1), "failed");
    let child: i32 = lines(&gate.path("child"))[0].parse().unwrap();
    until("its child is gone", || {
        test_kill_process(Pid::from_raw(child).unwrap()).is_err()
    });
}

#[test]
fn a_command_is_kept_by_heartbeats_for_longer_than_a_lease() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    work(&gate, &["--max", "1", "--lease", "1s"], "sleep 3").succeeds();
    assert_eq!(
        value(&gate, "SELECT status || gate_attempt FROM jobs").unwrap(),
        "done1"
    );
}

#[test]
fn a_command_whose_claim_is_lost_is_ended_and_its_job_is_another_worker_s() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let worker = Worker::start(
        &gate,
        &["--max", "1", "--lease", "1s"],
        &["sh", "-c", "touch begun; sleep 600"],
    );
    until("it has begun", || gate.path("begun").exists());
    gate.run(&["job", "requeue", "1"]).succeeds();
    gate.run(&["claim", "--worker", "other"]).succeeds();
    let ran = worker.ended().succeeds();
    insta::assert_snapshot!(ran.stdout, @"0 jobs done, 0 failed, 1 given up");
    assert_eq!(
        value(&gate, "SELECT status || gate_worker FROM jobs").unwrap(),
        "runningother"
    );
}

#[test]
fn told_to_end_it_finishes_what_it_does_and_takes_nothing_more() {
    let gate = Gate::new();
    for repo in ["alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    let shell = "touch begun; until [ -e on ]; do sleep 0.05; done";
    let worker = Worker::start(&gate, &[], &["sh", "-c", shell]);
    until("it has begun", || gate.path("begun").exists());
    worker.tell(Signal::TERM);
    gate.write("on", "");
    let ran = worker.ended().succeeds();
    insta::assert_snapshot!(ran.stdout, @"1 job done, 0 failed, 0 given up");
    assert_eq!([1, 2].map(|job| status(&gate, job)), ["done", "queued"]);
}

#[test]
fn told_twice_it_ends_its_commands_and_puts_their_jobs_back() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let worker = Worker::start(&gate, &[], &["sh", "-c", "touch begun; exec sleep 600"]);
    until("it has begun", || gate.path("begun").exists());
    worker.tell(Signal::TERM);
    worker.tell(Signal::INT);
    let ran = worker.ended().succeeds();
    insta::assert_snapshot!(ran.stdout, @"0 jobs done, 0 failed, 1 given up");
    assert_eq!(status(&gate, 1), "queued");
}

#[test]
fn a_command_that_is_ended_together_with_its_worker_has_not_failed() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let command = ["sh", "-c", "echo $$ > begun; exec sleep 600"];
    let worker = Worker::start(&gate, &[], &command);
    until("it has begun", || !lines(&gate.path("begun")).is_empty());
    let command: i32 = lines(&gate.path("begun"))[0].parse().unwrap();
    worker.tell(Signal::TERM);
    // It takes no more jobs from here on.
    std::thread::sleep(std::time::Duration::from_millis(200));
    kill_process(Pid::from_raw(command).unwrap(), Signal::TERM).unwrap();
    let ran = worker.ended().succeeds();
    insta::assert_snapshot!(ran.stdout, @"0 jobs done, 0 failed, 1 given up");
    assert_eq!(status(&gate, 1), "queued");
}

#[test]
fn a_job_that_is_put_back_is_given_up_soon_whatever_its_lease() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let command = ["sh", "-c", "touch begun; exec sleep 600"];
    let worker = Worker::start(&gate, &["--max", "1", "--lease", "1h"], &command);
    until("it has begun", || gate.path("begun").exists());
    gate.run(&["job", "requeue", "1"]).succeeds();
    let ran = worker.ended().succeeds();
    insta::assert_snapshot!(ran.stdout, @"0 jobs done, 0 failed, 1 given up");
}

#[test]
fn what_a_job_runs_is_not_told_the_secrets_of_the_alerts() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let ran = gate
        .command(&[
            "work",
            "--agent",
            "analyst",
            "--max",
            "1",
            "--",
            "sh",
            "-c",
            "env > environment",
        ])
        .env("SERIAL_GATE_TELEGRAM_TOKEN", "a secret")
        .env("SERIAL_GATE_WEBHOOK_SECRET", "a secret")
        .env("SERIAL_GATE_KEY_PASSWORD", "a secret")
        .env("SERIAL_GATE_WEBHOOK_URL", "https://example.com/a secret")
        .output()
        .unwrap();
    assert!(ran.status.success());
    let told = lines(&gate.path("environment"));
    assert!(
        !told.is_empty() && !told.iter().any(|line| line.contains("a secret")),
        "{told:?}"
    );
}

#[test]
fn several_jobs_are_done_at_a_time() {
    let gate = Gate::new();
    for repo in ["alpha", "beta", "gamma"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    // Each waits for all three, so one after the other they would never end.
    let shell = "touch at-$SERIAL_GATE_REPO; until [ -e at-alpha -a -e at-beta -a -e at-gamma ]; do sleep 0.05; done";
    work(
        &gate,
        &["--max", "3", "--parallel", "3", "--timeout", "60s"],
        shell,
    )
    .succeeds();
    let workers = value(
        &gate,
        "SELECT count(DISTINCT gate_worker) FROM jobs WHERE status = 'done'",
    );
    assert_eq!(workers.unwrap(), "3");
}

#[test]
fn a_command_that_is_not_there_costs_no_job() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let ran = gate
        .run(&["work", "--agent", "analyst", "--", "./nowhere"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: cannot start `./nowhere`: there is no such file: correct its path; no job was lost");
    assert_eq!(status(&gate, 1), "queued");
    // Without a job, too.
    let idle = gate.run(&["work", "--agent", "developer", "--", "nosuch-command"]);
    insta::assert_snapshot!(idle.exits(1).stderr, @"error: cannot start `nosuch-command`: no folder of `PATH` has it: install it, or name its path; no job was lost");
    // Nor a file without a `#!` line.
    let path = program(&gate, "no-program", "");
    std::fs::write(&path, "nonsense").unwrap();
    gate.run(&["work", "--agent", "analyst", "--", "./no-program"])
        .exits(1);
    assert_eq!(status(&gate, 1), "queued");
}

#[test]
fn a_job_of_another_agent_is_left_alone() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha", "--agent", "developer"])
        .succeeds();
    gate.run(&["task", "add", "beta"]).succeeds();
    work(&gate, &["--max", "1"], "true").succeeds();
    assert_eq!([1, 2].map(|job| status(&gate, job)), ["queued", "done"]);
}
