//! A worker that is killed between every two steps of a cut, as by a power cut: the next one goes
//! on from there.

use std::process::Stdio;
use std::thread;

use crate::support::engine::Does;
use crate::support::look::{until, value};
use crate::support::worker::{Project, Worker, program};

/// The steps at which git runs for one cut: how they begin, and how they end.
const STEPS: [(&str, &str); 8] = [
    ("check-ref-format", "task/ORCH-1"),
    ("ls-remote", "task/ORCH-1"),
    ("ls-remote", "main"),
    ("init", ""),
    ("remote", ""),
    ("fetch", ""),
    ("rev-parse", ""),
    ("push", ""),
];

/// Kills the process that runs git at a step of a cut, before or after the step. Looks at the bases
/// before a cut are spared.
fn killer((begin, end): (&str, &str), when: &str) -> String {
    let kill = "kill -9 $PPID; exit 1";
    let (before, after) = match when {
        "before" => (kill, ""),
        _ => ("", kill),
    };
    format!(
        "export PATH=${{PATH#*:}}
         case \"$*\" in check-ref-format*) touch cutting;; esac
         case \"$*\" in {begin}*{end}) [ -e cutting ] && {{
            {before}
            git \"$@\"
            {after}
         }};; esac
         exec git \"$@\""
    )
}

/// Runs a worker until it is killed.
fn run_and_be_killed(project: &Project) {
    let gate = &project.gate;
    let path = format!(
        "{}:{}",
        gate.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let arguments = [
        "work", "--agent", "analyst", "--lease", "1s", "--max", "1", "--", "touch", "begun",
    ];
    let mut killed = gate
        .command(&arguments)
        .env("PATH", path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(
        killed.wait().unwrap().code(),
        None,
        "it was killed by a signal"
    );
}

#[test]
fn killed_between_any_two_steps_a_cut_goes_on_where_it_ended() {
    thread::scope(|scope| {
        for step in STEPS {
            for when in ["before", "after"] {
                scope.spawn(move || killed_at(step, when));
            }
        }
    });
}

fn killed_at(step: (&str, &str), when: &str) {
    let project = Project::new();
    let gate = &project.gate;
    gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
        .succeeds();
    program(gate, "bin/git", &killer(step, when));
    run_and_be_killed(&project);
    assert!(!gate.path("begun").exists());
    let pushed = project.tip("task/ORCH-1");
    assert_eq!(
        pushed.is_some(),
        (step.0, when) == ("push", "after"),
        "{when} {step:?}"
    );
    // What was pushed stays where it is, and what was not is cut from the base as it is now.
    let moved = project.commit("meanwhile");
    project
        .work(&["--max", "1"], &["touch", "begun"])
        .succeeds();
    let cut = project.tip("task/ORCH-1");
    assert_eq!(cut, pushed.or(Some(moved)), "{when} {step:?}");
    let recorded = value(
        gate,
        "SELECT gate_base_commit FROM tasks WHERE gate_cut_at IS NOT NULL",
    );
    assert_eq!(recorded, cut, "{when} {step:?}");
    let job = value(gate, "SELECT status || gate_attempt FROM jobs");
    assert_eq!(job.unwrap(), "done2", "{when} {step:?}");
}

/// Goes on until the process is killed.
const FOR_EVER: &str = "INSERT INTO reached SELECT 1;
    INSERT INTO reached SELECT max(i) FROM (
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT (i + 1) % 1000 FROM n WHERE i < 1000)
        SELECT i FROM n) AS endless";

#[test]
fn killed_before_or_after_anything_is_written_down_a_cut_goes_on_where_it_ended() {
    // Statements that hold the worker up for ever, so that it can be killed there, and what they
    // leave behind.
    for (statement, when, is_pushed) in [
        (
            "UPDATE OF gate_branch ON tasks",
            "NEW.gate_branch IS NOT NULL",
            false,
        ),
        (
            "UPDATE OF gate_cut_at ON tasks",
            "NEW.gate_cut_at IS NOT NULL",
            true,
        ),
        ("UPDATE OF status ON jobs", "NEW.status = 'done'", true),
    ] {
        let project = Project::new();
        let gate = &project.gate;
        gate.run(&["task", "add", "alpha", "--work-item", "ORCH-1"])
            .succeeds();
        let other = gate.program();
        other.run("CREATE TABLE reached (step BIGINT)");
        let event = format!("BEFORE {statement}");
        other.trigger("held_up", &event, Some(when), &Does::Run(FOR_EVER));
        let mut worker = Worker::start(gate, &["--lease", "2s", "--max", "1"], &["touch", "begun"]);
        until("it is held up", || {
            other.is_changed_by_another() && project.tip("task/ORCH-1").is_some() == is_pushed
        });
        thread::sleep(std::time::Duration::from_millis(200));
        worker.process.kill().unwrap();
        worker.process.wait().unwrap();
        let pushed = project.tip("task/ORCH-1");
        other.stop_others();
        other.drop_trigger("held_up");
        let moved = project.commit("meanwhile");
        project
            .work(&["--max", "1"], &["touch", "begun"])
            .succeeds();
        let cut = project.tip("task/ORCH-1");
        assert_eq!(cut, pushed.or(Some(moved)), "{statement}");
        assert_eq!(
            value(gate, "SELECT status FROM jobs").unwrap(),
            "done",
            "{statement}"
        );
    }
}
