//! Times that a clock ahead has written: nothing waits for them, nothing is given away at once
//! because of them, and `doctor` reports them.
//!
//! Most tests pass the time in, or write it by SQL; one runs the real binary years ahead.

use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serial_gate::queue::Queue;
use serial_gate::store::{Actor, Ahead, from_sql_time};

use crate::support::look::value;
use crate::support::programs::required;
use crate::support::redacted::{without_numbers, without_times};
use crate::support::{Gate, token};

const MINUTE: Duration = Duration::from_secs(60);
const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> Timestamp {
    from_sql_time("2026-01-01 12:00:00").unwrap()
}

fn after(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn claim(queue: &mut Queue, now: Timestamp, lease: Duration) -> Option<i64> {
    let claimed = queue.claim(now, "worker", lease).unwrap();
    claimed.map(|job| job.id)
}

fn execute(gate: &Gate, sql: &str) {
    gate.program().run(sql);
}

/// A queue with one job, which was claimed for half an hour by a worker whose clock was years
/// ahead.
fn claimed_in_2037() -> (Gate, Queue) {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let mut queue = gate.queue();
    let then = from_sql_time("2037-01-01 00:00:00").unwrap();
    assert_eq!(claim(&mut queue, then, HALF_AN_HOUR), Some(1));
    (gate, queue)
}

#[test]
fn a_job_that_was_claimed_by_a_clock_years_ahead_is_back_one_lease_after_the_next_claim() {
    let (_gate, mut queue) = claimed_in_2037();
    assert_eq!(claim(&mut queue, now(), MINUTE), None);
    assert_eq!(claim(&mut queue, after(29), MINUTE), None);
    assert_eq!(claim(&mut queue, after(30), MINUTE), Some(1));
}

#[test]
fn a_worker_that_is_heard_of_keeps_the_job_whose_lease_was_shortened() {
    let (gate, mut queue) = claimed_in_2037();
    let token = value(&gate, "SELECT gate_token FROM jobs").unwrap();
    assert_eq!(claim(&mut queue, now(), MINUTE), None);
    gate.run(&["job", "heartbeat", "1", "--token", &token])
        .succeeds();
    assert_eq!(claim(&mut queue, after(31), MINUTE), None);
}

#[test]
fn a_job_that_was_put_off_by_a_clock_years_ahead_is_tried_after_its_delay() {
    let (gate, mut queue) = claimed_in_2037();
    execute(
        &gate,
        "UPDATE jobs SET gate_worker = NULL, gate_token = NULL, gate_put_off = 1, gate_lease = \
         3600",
    );
    assert_eq!(claim(&mut queue, now(), MINUTE), None);
    assert_eq!(claim(&mut queue, after(59), MINUTE), None);
    assert_eq!(claim(&mut queue, after(60), MINUTE), Some(1));
}

#[test]
fn a_lease_end_that_is_not_a_time_is_over_one_lease_after_the_next_claim() {
    for odd in [
        "'zzz'",
        "x'00'",
        "'now'",
        "'2460000'",
        "'9999-12-31 23:59:59'",
    ] {
        let (gate, mut queue) = claimed_in_2037();
        execute(&gate, &format!("UPDATE jobs SET gate_lease_until = {odd}"));
        assert_eq!(claim(&mut queue, now(), MINUTE), None, "{odd}");
        assert_eq!(claim(&mut queue, after(30), MINUTE), Some(1), "{odd}");
    }
}

#[test]
fn a_lease_of_unknown_length_becomes_one_of_the_host_that_sees_it() {
    for odd in ["NULL", "'long'", "-5", "1.5"] {
        let (gate, mut queue) = claimed_in_2037();
        execute(&gate, &format!("UPDATE jobs SET gate_lease = {odd}"));
        assert_eq!(claim(&mut queue, now(), HALF_AN_HOUR), None, "{odd}");
        assert_eq!(claim(&mut queue, after(29), MINUTE), None, "{odd}");
        assert_eq!(claim(&mut queue, after(30), MINUTE), Some(1), "{odd}");
    }
}

#[test]
fn a_lease_longer_than_this_hosts_own_is_left_as_it_is() {
    let longest = Duration::from_secs(u64::MAX);
    for lease in [Duration::from_secs(8 * 60 * 60), 400 * DAY, longest] {
        let gate = Gate::new();
        gate.run(&["task", "add", "alpha"]).succeeds();
        let mut queue = gate.queue();
        assert_eq!(claim(&mut queue, now(), lease), Some(1));
        let until = || value(&gate, "SELECT gate_lease_until FROM jobs");
        let before = until();
        // The clock of a right host may be a little behind.
        let behind = now() - SignedDuration::from_secs(59);
        assert_eq!(claim(&mut queue, behind, MINUTE), None);
        assert_eq!(claim(&mut queue, after(479), MINUTE), None);
        assert_eq!(until(), before);
    }
}

#[test]
fn a_working_command_with_a_long_lease_keeps_its_job_beside_claims_with_a_short_one() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let claim_beside = "serial-gate claim --lease 1m; test $? = 3";
    let work = [
        "work", "--agent", "analyst", "--lease", "8h", "--max", "1", "--", "sh", "-c",
    ];
    let path = format!(
        "PATH={}:$PATH; {claim_beside}",
        std::path::Path::new(env!("CARGO_BIN_EXE_serial-gate"))
            .parent()
            .unwrap()
            .display()
    );
    gate.run(&[&work[..], &[&path]].concat()).succeeds();
    assert_eq!(value(&gate, "SELECT status FROM jobs"), Some("done".into()));
    assert_eq!(
        value(&gate, "SELECT count(*) FROM serial_gate_audit"),
        Some("0".into())
    );
}

#[test]
fn the_shortened_lease_is_in_the_audit_and_in_the_log() {
    let (gate, _queue) = claimed_in_2037();
    let ran = gate.run(&["claim"]).exits(3);
    insta::assert_snapshot!(without_times(&ran.stderr), @" WARN the lease of job 1 ended at \
        (time), which no right clock can have written: it ends at (time) now");
    let entries = gate.run(&["audit", "--json"]).succeeds().json_lines();
    let entry = &entries[0];
    let fields = ["who", "action", "repo", "subject", "before", "why"].map(|field| &entry[field]);
    insta::assert_snapshot!(serde_json::to_string(&fields).unwrap(), @r#"["serial-gate","lease shortened","alpha","job 1","2037-01-01 00:30:00","no right clock can have written it"]"#);
    assert_eq!(
        entry["after"].as_str().map(Into::into),
        value(&gate, "SELECT gate_lease_until FROM jobs")
    );
    gate.run(&["claim"]).exits(3);
    assert_eq!(
        value(&gate, "SELECT count(*) FROM serial_gate_audit"),
        Some("1".into()),
        "it is shortened once"
    );
}

#[test]
fn a_lease_that_a_trigger_keeps_is_no_reason_to_fail_a_claim_and_not_in_the_audit() {
    let (gate, mut queue) = claimed_in_2037();
    gate.run(&["task", "add", "beta"]).succeeds();
    execute(
        &gate,
        "CREATE TRIGGER keep BEFORE UPDATE OF gate_lease_until ON jobs WHEN old.id = 1
         BEGIN SELECT raise(IGNORE); END",
    );
    assert_eq!(claim(&mut queue, now(), MINUTE), Some(2));
    assert_eq!(
        value(&gate, "SELECT count(*) FROM serial_gate_audit"),
        Some("0".into())
    );
}

#[test]
fn a_queue_without_odd_leases_is_looked_at_without_the_write_lock() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let mut queue = gate.queue();
    assert_eq!(claim(&mut queue, now(), DAY), Some(1));
    assert_eq!(claim(&mut queue, now(), MINUTE), None);
    let other = gate.program();
    other.begin_alone();
    // It would wait for the lock, and fail in the end.
    assert_eq!(claim(&mut queue, now(), MINUTE), None);
}

#[test]
fn a_refused_token_is_in_the_audit_whatever_a_clock_has_written_there_before() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim"]).succeeds();
    let refused = || {
        gate.run(&["job", "finish", "1", "--token", "other"])
            .exits(1)
    };
    refused();
    execute(
        &gate,
        "UPDATE serial_gate_audit SET at = '2037-01-01 00:00:00'",
    );
    refused();
    let count = || value(&gate, "SELECT count(*) FROM serial_gate_audit").unwrap();
    assert_eq!(count(), "2");
    refused();
    assert_eq!(count(), "2", "one row a minute");
}

#[test]
fn failures_that_a_clock_ahead_has_written_do_not_count_towards_a_rollback() {
    let gate = Gate::new();
    gate.run(&[
        "policy", "settings", "--repos", "alpha", "--new", "--reason", "r",
    ])
    .succeeds();
    let mut queue = gate.queue();
    let store = queue.store();
    let active = store.generation(2).unwrap();
    let mut fail = |at: Timestamp| {
        let actor = Actor {
            now: at,
            who: "tests",
            why: "a test",
        };
        store.failed_in_use(&active, 2, at - SignedDuration::from_mins(10), actor)
    };
    assert_eq!(fail(after(60 * 24 * 4_000)).unwrap(), None);
    assert_eq!(fail(now()).unwrap(), None, "this is the first one");
    assert_eq!(fail(after(1)).unwrap(), Some(1));
}

#[test]
fn a_clock_that_is_put_back_does_not_end_the_comparison_of_candidates() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let mut queue = gate.queue();
    assert_eq!(claim(&mut queue, after(1), MINUTE), Some(1));
    assert_eq!(claim(&mut queue, after(1), MINUTE), None);
    let ahead = from_sql_time("2037-01-01 00:00:00").unwrap();
    assert!(!queue.reconcile(ahead).unwrap());
    let create = value(
        &gate,
        "SELECT sql FROM sqlite_schema WHERE name = 'serial_gate_tasks_changed'",
    )
    .unwrap();
    execute(
        &gate,
        &format!(
            "DROP TRIGGER serial_gate_tasks_changed; UPDATE tasks SET stage = 'done' WHERE id = 1; \
             {create}"
        ),
    );
    assert!(queue.reconcile(after(1)).unwrap());
}

#[test]
fn a_clock_that_is_put_back_does_not_end_the_looks_of_a_shadow() {
    let gate = Gate::new();
    gate.run(&["policy", "shadow", "built-in", "--reason", "r"])
        .succeeds();
    let mut queue = gate.queue();
    let looks = |queue: &mut Queue| {
        queue
            .store()
            .shadow_record()
            .unwrap()
            .map(|record| record.looks)
    };
    let ahead = from_sql_time("2037-01-01 00:00:00").unwrap();
    assert_eq!(claim(&mut queue, ahead, MINUTE), None);
    assert_eq!(looks(&mut queue), Some(1));
    assert_eq!(claim(&mut queue, now(), MINUTE), None);
    assert_eq!(looks(&mut queue), Some(2));
    assert_eq!(claim(&mut queue, now(), MINUTE), None);
    assert_eq!(looks(&mut queue), Some(2), "a second has not passed");
}

/// Each kind of time that cannot be.
fn gate_of_odd_times() -> Gate {
    let gate = Gate::new();
    for repo in ["alpha", "beta", "gamma", "delta", "epsilon"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    for _ in 0..4 {
        gate.run(&["claim"]).succeeds();
    }
    gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
        .succeeds();
    execute(
        &gate,
        "UPDATE jobs SET gate_lease_until = '2037-01-01 00:30:00' WHERE id = 1;
         UPDATE jobs SET gate_lease_until = 'soon', gate_lease = NULL WHERE id = 2;
         UPDATE jobs SET gate_claimed_at = '2037-01-01 00:00:00' WHERE id = 3;
         UPDATE jobs SET gate_claimed_at = '2037-01-01 00:00:00', gate_lease_until = NULL WHERE id \
         = 4;
         UPDATE jobs SET created_at = '2037-01-01 00:00:00' WHERE id = 5;
         UPDATE repo_freeze SET frozen_at = '2037-01-01 00:00:00';
         INSERT INTO serial_gate_channel VALUES ('webhook', '2037-01-01 00:00:00');
         INSERT INTO serial_gate_delivery (alert, channel, state, attempts, due_at, lease_until) \
         VALUES
            (1, 'telegram', 'pending', 1, '2037-01-01 00:00:00', NULL),
            (1, 'webhook', 'pending', 1, '2026-01-01 00:00:00', '2037-01-01 00:00:00');",
    );
    gate
}

#[test]
fn doctor_tells_of_each_impossible_time_and_what_becomes_of_it() {
    let gate = gate_of_odd_times();
    let ran = gate.run(&["doctor", "--lease", "10m"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"");
    insta::assert_snapshot!(without_present(&ran.stdout), @r#"
    5 tasks: `analysis` 5; 5 jobs: `running` 4, `queued` 1; queued for: `analyst` 1
    times that no correct clock can have written:
    WHAT                           TIME (UTC)           WHAT HAPPENS
    lease of job 1                 2037-01-01 00:30:00  back in the queue 30m after the next claim, unless its worker reports
    lease of job 2                 soon                 back in the queue 10m after the next claim, unless its worker reports
    running job 3                  2037-01-01 00:00:00  back in the queue at (time), unless its worker reports
    running job 4                  2037-01-01 00:00:00  it has no lease: `job requeue 4` puts it back
    channel webhook                2037-01-01 00:00:00  ignored: alerts are still sent
    alert 1 to telegram            2037-01-01 00:00:00  ignored: `serve` or `alerts deliver` sends it
    alert 1 to webhook             2037-01-01 00:00:00  ignored: `serve` or `alerts deliver` sends it
    queued job 5                   2037-01-01 00:00:00  counted as waiting since it was first seen at the head of its repo: set its `created_at` to the present
    freeze (number) of alpha  2037-01-01 00:00:00  it holds until it is cleared
    1 repo compared, all heads are right
    "#);
}

/// Without the times of this run.
fn without_present(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(" at 20") {
        Some((before, after)) => {
            format!("{before} at (time){}", &after["00-00-00 00:00:00".len()..])
        }
        None => line.to_owned(),
    });
    without_numbers(&lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn doctor_tells_programs_the_same() {
    let gate = gate_of_odd_times();
    let found = gate.run(&["doctor", "--json"]).exits(1).json();
    let mut times = found["times_ahead"].clone();
    if let Some(until) = times[2]["lease_until"].as_str() {
        assert!(from_sql_time(until).is_some(), "{until}");
        times[2]["lease_until"] = "(time)".into();
    }
    let lines = times.as_array().unwrap().iter().map(ToString::to_string);
    let lines: Vec<String> = lines.collect();
    insta::assert_snapshot!(without_numbers(&lines.join("\n")), @r#"
    {"job":1,"of":"lease","seconds":1800,"time":"2037-01-01 00:30:00"}
    {"job":2,"of":"lease","seconds":null,"time":"soon"}
    {"job":3,"lease_until":"(time)","of":"claim","time":"2037-01-01 00:00:00"}
    {"job":4,"lease_until":null,"of":"claim","time":"2037-01-01 00:00:00"}
    {"channel":"webhook","of":"channel","time":"2037-01-01 00:00:00"}
    {"alert":1,"channel":"telegram","of":"delivery","time":"2037-01-01 00:00:00"}
    {"alert":1,"channel":"webhook","of":"delivery","time":"2037-01-01 00:00:00"}
    {"job":5,"of":"job","repo":"epsilon","time":"2037-01-01 00:00:00"}
    {"freeze":(number),"of":"freeze","repo":"alpha","time":"2037-01-01 00:00:00"}
    "#);
    assert_eq!(found["more_times_ahead"], false);
    assert_eq!(found["sound"], false);
}

#[test]
fn doctor_reads_the_times_of_other_programs_in_their_own_forms() {
    let gate = Gate::new();
    for (number, time) in [
        "'2026-01-01T09:00:00Z'",
        "'2026-01-01T13:30:00+02:00'",
        "1767258000000",
        "'soon'",
        "NULL",
        "'2026-01-01T12:00:00-02:00'",
        "1767276000",
    ]
    .iter()
    .enumerate()
    {
        execute(
            &gate,
            &format!(
                "INSERT INTO jobs (id, repo, agent, created_at) VALUES ({number}, 'alpha', \
                 'analyst', {time});
                 INSERT INTO repo_freeze (repo, frozen_at) VALUES ('alpha', {time});"
            ),
        );
    }
    let mut store = gate.store();
    let found = store.times_ahead(now(), MINUTE, DAY).unwrap().found;
    let times: Vec<&str> = found.iter().map(|ahead| ahead.time.as_str()).collect();
    let ahead = ["2026-01-01 14:00:00", "2026-01-01 14:00:00"];
    assert_eq!(times, [ahead, ahead].concat(), "{found:?}");
}

#[test]
fn times_that_stop_mattering_are_no_failure_of_doctor() {
    let gate = gate_of_odd_times();
    execute(&gate, "UPDATE jobs SET created_at = datetime('now')");
    gate.run(&["doctor"]).succeeds();
}

#[test]
fn doctor_still_tells_of_a_lease_that_was_shortened_until_the_worker_is_heard_of() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let claimed = gate.run(&["claim", "--json"]).succeeds().json();
    execute(
        &gate,
        "UPDATE jobs SET gate_lease_until = '2037-01-01 00:30:00'",
    );
    gate.run(&["claim"]).exits(3);
    let told = gate.run(&["doctor"]).succeeds().stdout;
    insta::assert_snapshot!(without_present(&told), @r#"
    1 task: `analysis` 1; 1 job: `running` 1
    times that no correct clock can have written:
    WHAT           TIME (UTC)           WHAT HAPPENS
    running job 1  2037-01-01 00:30:00  back in the queue at (time), unless its worker reports
    the claim index is empty, so there is nothing to compare
    "#);
    gate.run(&[
        "job",
        "heartbeat",
        "1",
        "--token",
        &token(&claimed),
        "--lease",
        "1h",
    ])
    .succeeds();
    let told = gate.run(&["doctor"]).succeeds().stdout;
    insta::assert_snapshot!(told, @r#"
    1 task: `analysis` 1; 1 job: `running` 1
    the claim index is empty, so there is nothing to compare
    "#);
}

#[test]
fn doctor_shows_ten_of_a_kind_and_says_that_there_are_more() {
    let gate = Gate::new();
    for _ in 0..11 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    execute(&gate, "UPDATE jobs SET created_at = '2037-01-01 00:00:00'");
    let told = gate.run(&["doctor"]).exits(1).stdout;
    assert_eq!(told.matches("queued job").count(), 10, "{told}");
    assert!(told.contains("there are more"), "{told}");
}

#[test]
fn a_short_difference_between_two_clocks_is_nothing_to_tell_of() {
    let gate = gate_of_odd_times();
    execute(
        &gate,
        "UPDATE jobs SET created_at = '2026-01-01 12:00:59', gate_claimed_at = '2026-01-01 \
         12:00:59',
            gate_lease_until = '2026-01-01 12:30:59', gate_lease = 1800;
         UPDATE repo_freeze SET frozen_at = '2026-01-01 12:00:59';
         UPDATE serial_gate_channel SET held_until = '2026-01-02 12:00:59';
         UPDATE serial_gate_delivery SET due_at = '2026-01-02 12:00:59', lease_until = NULL;",
    );
    let mut store = gate.store();
    let found = store.times_ahead(now(), MINUTE, DAY).unwrap();
    assert_eq!(found.found, []);
    let before = now() - SignedDuration::from_secs(2);
    let found = store.times_ahead(before, MINUTE, DAY).unwrap().found;
    let leases = found
        .iter()
        .filter(|time| matches!(time.of, Ahead::Lease { .. }));
    assert_eq!((leases.count(), found.len()), (4, 9), "{found:?}");
}

/// The real binary under a clock that is ahead, where there is a program that does that.
#[test]
fn a_job_that_was_claimed_in_2037_by_the_real_binary_is_told_of_and_comes_back() {
    let variable = "SERIAL_GATE_TEST_FAKETIME";
    let Some(faketime) = required(variable, "no job is claimed in 2037") else {
        return;
    };
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let run_at = |time: &str, arguments: &[&str]| {
        let plain = gate.command(arguments);
        let mut command = Command::new(&faketime);
        command.arg(time).arg(plain.get_program()).args(arguments);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(gate.path(""));
        crate::support::Ran::from(command.output().unwrap())
    };
    let claim = ["claim", "--lease", "30m", "--json"];
    assert_eq!(
        run_at("2037-01-01 00:00:00", &claim).succeeds().json()["id"],
        1
    );
    gate.run(&claim).exits(3);
    let told = gate.run(&["doctor"]).succeeds().stdout;
    assert!(
        told.contains("running job 1  2037-01-01 00:00:00"),
        "{told}"
    );
    assert_eq!(run_at("31 minutes", &claim).succeeds().json()["id"], 1);
}
