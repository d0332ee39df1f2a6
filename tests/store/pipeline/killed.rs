//! A process that is killed between every two statements of a move, and while each of them runs.

use std::thread::sleep;
use std::time::Duration;

use super::{claim, finish, gate, jobs, stage};
use crate::support::Gate;
use crate::support::engine::{Does, Engine, Program};
use crate::support::look::until;

/// Everything that a move writes, in its order.
const STATEMENTS: [(&str, &str); 10] = [
    ("BEFORE UPDATE OF status ON jobs", "NEW.status = 'done'"),
    ("AFTER UPDATE OF status ON jobs", "NEW.status = 'done'"),
    (
        "BEFORE UPDATE OF stage ON tasks",
        "NEW.stage = 'development'",
    ),
    (
        "AFTER UPDATE OF stage ON tasks",
        "NEW.stage = 'development'",
    ),
    (
        "BEFORE INSERT ON serial_gate_audit",
        "NEW.action = 'task stage'",
    ),
    (
        "AFTER INSERT ON serial_gate_audit",
        "NEW.action = 'task stage'",
    ),
    ("BEFORE INSERT ON jobs", "NEW.agent = 'developer'"),
    ("AFTER INSERT ON jobs", "NEW.agent = 'developer'"),
    (
        "BEFORE UPDATE OF gate_answer ON jobs",
        "NEW.gate_answer IS NOT NULL",
    ),
    (
        "AFTER UPDATE OF gate_answer ON jobs",
        "NEW.gate_answer IS NOT NULL",
    ),
];

/// A statement that takes long, in a trigger.
fn slow(program: &Program) -> &'static str {
    match program {
        Program::Sqlite(_) => {
            program.run("CREATE TABLE many (n INTEGER); CREATE TABLE counted (n INTEGER)");
            program.run(
                "INSERT INTO many WITH RECURSIVE n(n) AS (
                    SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 4000) SELECT n FROM n",
            );
            "INSERT INTO counted SELECT count(*) FROM many a, many b, many c"
        }
        Program::Postgres(_) => "PERFORM pg_sleep(60)",
    }
}

/// Whether the slow statement runs.
fn is_slow(gate: &Gate, program: &Program) -> bool {
    match program {
        Program::Sqlite(_) => {
            let other = gate.sqlite();
            other.busy_timeout(Duration::ZERO).unwrap();
            let is_locked = other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err();
            // It is the last one that takes long.
            sleep(Duration::from_millis(50));
            is_locked
        }
        Program::Postgres(_) => {
            program.one::<i64>(format!(
                "SELECT count(*) FROM pg_stat_activity WHERE {SLEEPS}"
            )) > 0
        }
    }
}

/// Of a server's connections, the one that is in the slow statement.
const SLEEPS: &str = "wait_event = 'PgSleep' AND strpos(query, current_schema()) > 0";

/// A server would go on with the statement of a killed program until it wants to answer.
fn end_the_slow_one(program: &Program) {
    if let Program::Postgres(_) = program {
        let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity";
        let ended: Vec<String> = program.all(format!("{end} WHERE {SLEEPS}"));
        assert_eq!(ended, ["t"]);
    }
}

/// Kills the end of job 1, whose task is in `before`, as the statement runs. Afterwards the same end
/// leaves the task in `after`.
fn kill(
    gate: &Gate,
    (event, when): (&str, &str),
    end: &[&str],
    [before, after]: [(&str, &str); 2],
) {
    let job = claim(gate, "analyst");
    let program = gate.program();
    let takes_long = slow(&program);
    program.trigger("slow", event, Some(when), &Does::Run(takes_long));
    let whole = [&["job", "finish", "1", "--token", &job.1], end].concat();
    let mut killed = gate.spawn(&whole);
    until("the statement runs", || is_slow(gate, &program));
    killed.kill().unwrap();
    killed.wait().unwrap();
    end_the_slow_one(&program);
    until("the statement has ended", || !is_slow(gate, &program));
    let found = || (stage(gate), jobs(gate));
    let owned = |(stage, jobs): (&str, &str)| (stage.to_owned(), jobs.to_owned());
    assert_eq!(found(), owned(before), "{event}");
    program.drop_trigger("slow");
    finish(gate, &job, end).succeeds();
    assert_eq!(found(), owned(after), "{event}");
    assert!(program.is_whole());
}

#[test]
fn whatever_a_move_had_written_the_task_is_in_one_stage_with_one_job() {
    for statement in Engine::every(2, STATEMENTS) {
        let before = ("analysis", "analyst running");
        let after = ("development", "analyst done, developer queued");
        kill(&gate(&[]), statement, &[], [before, after]);
    }
}

#[test]
fn whatever_a_job_had_cancelled_that_sends_its_task_elsewhere_the_task_is_in_one_stage() {
    for event in [
        "BEFORE UPDATE OF status ON jobs",
        "AFTER UPDATE OF status ON jobs",
    ] {
        let gate = gate(&[]);
        gate.run(&["job", "add", "1", "analyst"]).succeeds();
        let statement = (event, "NEW.status = 'cancelled'");
        let before = ("analysis", "analyst running, analyst queued");
        let after = ("review", "analyst done, analyst cancelled, reviewer queued");
        kill(&gate, statement, &["--stage", "review"], [before, after]);
    }
}
