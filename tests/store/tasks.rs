//! The end of a task: what happens to its jobs, who may end it while one of them is running, and
//! the way back.

use serde_json::{Value, json};

use super::end_leases;
use crate::support::engine::Does;
use crate::support::look::{status, until, value};
use crate::support::service::Service;
use crate::support::worker::Worker;
use crate::support::{Gate, Ran, token};

/// A queue with task 1 of `alpha`: its jobs 1 and 2 are queued.
fn gate() -> Gate {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    gate
}

/// Claims the first job of an agent; its token.
#[track_caller]
fn claim(gate: &Gate, agent: &str) -> String {
    let job = gate.run(&["claim", "--agent", agent, "--worker", "b1", "--json"]);
    token(&job.succeeds().json())
}

fn statuses(gate: &Gate) -> String {
    value(
        gate,
        "SELECT string_agg(status, ',') FROM (SELECT status FROM jobs ORDER BY id) AS ordered",
    )
    .unwrap()
}

/// The stage of a task, and its outcome.
fn end_of(gate: &Gate, task: i64) -> String {
    let cancelled = "(SELECT 'cancelled' FROM serial_gate_cancelled_task WHERE task = tasks.id)";
    let sql =
        format!("SELECT stage || ' ' || coalesce({cancelled}, '-') FROM tasks WHERE id = {task}");
    value(gate, &sql).unwrap()
}

/// Every way in which a task ends by a command, with the outcome.
const ENDS: [(&[&str], &str); 3] = [
    (&["task", "done", "1"], "done -"),
    (&["task", "cancel", "1"], "done cancelled"),
    (&["task", "stage", "1", "done"], "done -"),
];

#[test]
fn a_task_that_ends_takes_its_queued_jobs_with_it() {
    for (verb, end) in ENDS {
        let gate = gate();
        gate.run(verb).succeeds();
        assert_eq!(statuses(&gate), "cancelled,cancelled", "{verb:?}");
        assert_eq!(end_of(&gate, 1), end, "{verb:?}");
        gate.run(&["claim"]).exits(3);
    }
}

#[test]
fn a_task_ends_whose_job_another_program_cancelled() {
    for (verb, end) in ENDS {
        let gate = gate();
        claim(&gate, "analyst");
        let sql = "UPDATE jobs SET status = 'cancelled' WHERE id = 1";
        gate.program().run(sql);
        gate.run(verb).succeeds();
        assert_eq!(end_of(&gate, 1), end, "{verb:?}");
        assert_eq!(statuses(&gate), "cancelled,cancelled", "{verb:?}");
    }
}

#[test]
fn a_task_that_is_named_twice_ends_once() {
    for verb in ["done", "cancel"] {
        let gate = gate();
        let said = gate.run(&["task", verb, "1", "1"]).succeeds().stdout;
        assert_eq!(said.lines().count(), 1, "{said}");
        let audit = "SELECT CAST(count(*) AS TEXT) FROM serial_gate_audit WHERE subject = 'task 1'";
        assert_eq!(value(&gate, audit).unwrap(), "1", "{verb}");
    }
}

#[test]
fn jobs_that_have_ended_stay_as_they_ended() {
    let gate = gate();
    gate.do_a_job();
    let token = claim(&gate, "developer");
    gate.run(&["job", "fail", "2", "--token", &token])
        .succeeds();
    gate.run(&["task", "cancel", "1"]).succeeds();
    assert_eq!(statuses(&gate), "done,failed");
}

#[test]
fn a_running_job_keeps_its_task_from_ending_and_the_message_says_what_to_do() {
    for (verb, _) in ENDS {
        let gate = gate();
        claim(&gate, "analyst");
        let ran = gate.run(verb).exits(1);
        assert_eq!(
            ran.stderr,
            "error: task 1 cannot end while its job 1 is running on worker `b1`: wait for it, or \
             cancel it: add `--force --reason TEXT`, or, as its worker, `--token TOKEN`\n"
        );
        assert_eq!(statuses(&gate), "running,queued");
        assert_eq!(end_of(&gate, 1), "analysis -");
    }
}

#[test]
fn a_job_that_another_program_started_keeps_its_task_from_ending_as_well() {
    let gate = gate();
    let sqlite = gate.program();
    sqlite.run("UPDATE jobs SET status = 'running' WHERE id = 2");
    let ran = gate.run(&["task", "done", "1"]).exits(1);
    assert!(
        ran.stderr
            .contains("its job 2 is running in another program:"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_holder_of_the_only_running_job_ends_its_task_and_goes_on() {
    for (verb, end) in ENDS {
        let gate = gate();
        let token = claim(&gate, "analyst");
        gate.run(&[verb, &["--token", &token]].concat()).succeeds();
        assert_eq!(statuses(&gate), "running,cancelled", "{verb:?}");
        assert_eq!(end_of(&gate, 1), end);
        gate.run(&["job", "heartbeat", "1", "--token", &token])
            .succeeds();
        gate.run(&["job", "finish", "1", "--token", &token])
            .succeeds();
    }
}

#[test]
fn one_of_two_holders_cannot_end_the_task_of_both() {
    let gate = gate();
    let (first, second) = (claim(&gate, "analyst"), claim(&gate, "developer"));
    for (token, other) in [(&first, "job 2"), (&second, "job 1")] {
        let ran = gate.run(&["task", "done", "1", "--token", token]).exits(1);
        assert!(ran.stderr.contains(other), "{}", ran.stderr);
    }
    assert_eq!(statuses(&gate), "running,running");
}

#[test]
fn a_token_that_is_not_the_running_job_s_ends_nothing() {
    let gate = gate();
    gate.run(&["task", "add", "beta"]).succeeds();
    let (own, of_another_task) = (claim(&gate, "analyst"), claim(&gate, "analyst"));
    for token in ["", "x", "0", &own[..own.len() - 1], &of_another_task] {
        gate.run(&["task", "done", "1", "--token", token]).exits(1);
    }
    assert_eq!(statuses(&gate), "running,queued,running");
}

#[test]
fn a_token_of_nobody_ends_no_task_and_is_in_the_audit() {
    let gate = gate();
    claim(&gate, "analyst");
    end_leases(&gate);
    for _ in 0..2 {
        let ran = gate
            .run(&["task", "done", "1", "--token", "of-nobody"])
            .exits(1);
        assert!(
            ran.stderr.contains("is not the one of a job of task 1"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(statuses(&gate), "running,queued");
    let refused =
        "SELECT string_agg(subject, ',') FROM serial_gate_audit WHERE action = 'token refused'";
    assert_eq!(value(&gate, refused).as_deref(), Some("task 1"));
}

#[test]
fn a_worker_whose_lease_ran_out_is_not_in_the_way_of_the_end() {
    let gate = gate();
    let lapsed = claim(&gate, "analyst");
    end_leases(&gate);
    let holder = claim(&gate, "developer");
    gate.run(&["task", "done", "1", "--token", &holder])
        .succeeds();
    assert_eq!(statuses(&gate), "cancelled,running");
    gate.run(&["job", "heartbeat", "1", "--token", &lapsed])
        .exits(1);
}

#[test]
fn by_force_and_with_a_reason_running_jobs_are_cancelled() {
    for (verb, end) in ENDS {
        let gate = gate();
        let tokens = [claim(&gate, "analyst"), claim(&gate, "developer")];
        gate.run(&[verb, &["--force", "--reason", "wrong approach"]].concat())
            .succeeds();
        assert_eq!(statuses(&gate), "cancelled,cancelled", "{verb:?}");
        assert_eq!(end_of(&gate, 1), end);
        for (job, token) in ["1", "2"].iter().zip(&tokens) {
            for change in ["finish", "fail", "heartbeat"] {
                let ran = gate.run(&["job", change, job, "--token", token]).exits(1);
                assert!(
                    ran.stderr.contains("has ended already, as `cancelled`"),
                    "{}",
                    ran.stderr
                );
            }
        }
        let why = value(
            &gate,
            "SELECT why FROM serial_gate_audit WHERE action LIKE 'task %'",
        );
        assert_eq!(why.unwrap(), "wrong approach");
    }
}

#[test]
fn force_without_a_reason_is_refused() {
    let gate = gate();
    claim(&gate, "analyst");
    gate.run(&["task", "cancel", "1", "--force"]).exits(2);
    for reason in ["", "  "] {
        let ran = gate
            .run(&["task", "cancel", "1", "--force", "--reason", reason])
            .exits(1);
        assert_eq!(
            ran.stderr,
            "error: a task is ended by force only with a reason: say why with `--reason TEXT`\n"
        );
    }
    assert_eq!(statuses(&gate), "running,queued");
}

#[test]
fn a_trigger_that_keeps_a_cancelled_job_running_undoes_the_end() {
    let gate = gate();
    claim(&gate, "analyst");
    gate.program().trigger(
        "undo",
        "AFTER UPDATE OF status ON jobs",
        Some("new.status = 'cancelled'"),
        &Does::Run("UPDATE jobs SET status = old.status WHERE id = new.id"),
    );
    gate.run(&["task", "done", "1", "--force", "--reason", "merged"])
        .exits(1);
    assert_eq!(end_of(&gate, 1), "analysis -");
}

#[test]
fn a_worker_whose_job_is_cancelled_by_force_ends_its_command() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let command = ["sh", "-c", "touch begun; exec sleep 600"];
    let worker = Worker::start(&gate, &["--max", "1", "--lease", "1h"], &command);
    until("it has begun", || gate.path("begun").exists());
    gate.run(&[
        "task",
        "cancel",
        "1",
        "--force",
        "--reason",
        "wrong approach",
    ])
    .succeeds();
    let ran = worker.ended().succeeds();
    assert_eq!(ran.stdout, "0 jobs done, 0 failed, 1 given up\n");
    assert!(ran.stderr.contains("as `cancelled`"), "{}", ran.stderr);
    assert_eq!(status(&gate, 1), "cancelled");
}

/// Runs a worker for task 1, whose command is this shell script.
fn work(gate: &Gate, script: &str) -> Ran {
    gate.run(&[
        "work", "--agent", "analyst", "--max", "1", "--", "sh", "-c", script,
    ])
}

#[test]
fn a_worker_s_command_ends_its_own_task_with_the_token_that_it_is_given() {
    for (verb, end) in [("done", "done -"), ("cancel", "done cancelled")] {
        let gate = gate();
        let ran = work(
            &gate,
            &format!(
                "{} task {verb} $SERIAL_GATE_TASK >/dev/null",
                gate.in_shell()
            ),
        )
        .succeeds();
        assert_eq!(ran.stdout, "1 job done, 0 failed, 0 given up\n");
        assert_eq!(statuses(&gate), "done,cancelled");
        assert_eq!(end_of(&gate, 1), end);
    }
}

#[test]
fn a_worker_s_command_cannot_end_somebody_else_s_task() {
    let gate = gate();
    gate.run(&["task", "add", "beta", "--agent", "developer"])
        .succeeds();
    gate.run(&["claim", "--agent", "developer", "--max", "2"])
        .succeeds();
    // Task 2 has a running job of another worker, and so has its own task.
    for task in ["2", "1", "1 2"] {
        work(&gate, &format!("{} task done {task}", gate.in_shell())).succeeds();
        assert_eq!(status(&gate, 1), "failed");
        gate.run(&["job", "requeue", "1"]).succeeds();
    }
    assert_eq!(end_of(&gate, 1), "analysis -");
}

#[test]
fn a_job_whose_task_ended_meanwhile_is_cancelled_when_its_lease_runs_out() {
    let gate = gate();
    let token = claim(&gate, "analyst");
    gate.run(&["task", "done", "1", "--token", &token])
        .succeeds();
    end_leases(&gate);
    gate.run(&["claim"]).exits(3);
    assert_eq!(statuses(&gate), "cancelled,cancelled");
    let ran = gate
        .run(&["job", "finish", "1", "--token", &token])
        .exits(1);
    assert!(
        ran.stderr.contains("job 1 is `cancelled`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_job_whose_task_ended_meanwhile_is_cancelled_when_its_worker_is_stopped() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let script = format!(
        "{} task done 1; touch begun; exec sleep 600",
        gate.in_shell()
    );
    let worker = Worker::start(&gate, &[], &["sh", "-c", &script]);
    until("its command has ended the task", || {
        gate.path("begun").exists()
    });
    worker.tell(rustix::process::Signal::TERM);
    worker.tell(rustix::process::Signal::INT);
    worker.ended().succeeds();
    assert_eq!(status(&gate, 1), "cancelled");
}

#[test]
fn a_job_that_was_put_off_ends_with_its_task() {
    let gate = Gate::new();
    let config = "[[project]]\nrepo = \"alpha\"\nremote = \"nowhere.git\"\n";
    gate.write("serial-gate.toml", config);
    gate.run(&["task", "add", "alpha"]).succeeds();
    let worker = Worker::start(&gate, &["--retry-after", "1h"], &["true"]);
    let put_off = "SELECT coalesce(max(gate_put_off), 0) FROM jobs";
    until("its job was put off", || {
        value(&gate, put_off).unwrap() == "1"
    });
    gate.run(&["task", "cancel", "1"]).succeeds();
    assert_eq!(status(&gate, 1), "cancelled");
    drop(worker);
}

#[test]
fn a_job_of_a_finished_task_is_not_queued_again_until_the_task_is_open_again() {
    let gate = gate();
    let token = claim(&gate, "analyst");
    gate.run(&["job", "fail", "1", "--token", &token])
        .succeeds();
    gate.run(&["task", "cancel", "1"]).succeeds();
    for job in ["1", "2"] {
        let ran = gate.run(&["job", "requeue", job]).exits(1);
        assert!(
            ran.stderr.contains("belongs to task 1, which is finished"),
            "{}",
            ran.stderr
        );
    }
    gate.run(&["task", "stage", "1", "analysis"]).succeeds();
    assert_eq!(end_of(&gate, 1), "analysis -");
    for job in ["1", "2"] {
        gate.run(&["job", "requeue", job]).succeeds();
    }
    assert_eq!(statuses(&gate), "queued,queued");
}

#[test]
fn under_other_rules_a_task_ends_in_the_first_of_their_finished_stages() {
    let rules = json!({ "finished_stages": ["merged", "closed"] }).to_string();
    for (verb, end) in [
        (&["task", "done", "1"][..], "merged -"),
        (&["task", "cancel", "1"], "merged cancelled"),
        (&["task", "stage", "1", "closed"], "closed -"),
    ] {
        let gate = Gate::empty();
        gate.run(&["init", "--rules", &rules]).succeeds();
        gate.run(&["task", "add", "alpha"]).succeeds();
        gate.run(verb).succeeds();
        assert_eq!(end_of(&gate, 1), end);
        assert_eq!(status(&gate, 1), "cancelled");
    }
    let gate = Gate::empty();
    gate.run(&["init", "--rules", &rules]).succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["task", "stage", "1", "done"]).succeeds();
    assert_eq!(
        status(&gate, 1),
        "queued",
        "`done` is not a finished stage under these rules"
    );
}

#[test]
fn a_job_that_another_program_adds_to_a_finished_task_follows_the_rule() {
    let gate = gate();
    gate.run(&["task", "done", "1"]).succeeds();
    gate.program().run(
        "INSERT INTO jobs (task_id, repo, agent, status) VALUES (1, 'alpha', 'analyst', \
             'queued')",
    );
    assert_eq!(gate.run(&["claim", "--json"]).succeeds().json()["id"], 3);
}

#[test]
fn of_several_tasks_all_end_or_none() {
    let gate = Gate::new();
    for repo in ["alpha", "beta", "gamma"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate.run(&["claim", "--max", "2"]).succeeds();
    gate.run(&["task", "done", "3", "2"]).exits(1);
    gate.run(&["task", "cancel", "3", "99"]).exits(1);
    assert_eq!(statuses(&gate), "running,running,queued");
    assert_eq!(end_of(&gate, 3), "analysis -");
    let ended = "SELECT count(*) FROM serial_gate_audit WHERE action LIKE 'task %'";
    assert_eq!(value(&gate, ended).unwrap(), "0");
    gate.run(&[
        "task", "done", "1", "2", "3", "--force", "--reason", "merged",
    ])
    .succeeds();
    assert_eq!(statuses(&gate), "cancelled,cancelled,cancelled");
}

#[test]
fn what_a_job_had_ended_as_is_still_told_after_its_task_was_cancelled() {
    let gate = gate();
    let token = claim(&gate, "analyst");
    let fail = ["job", "fail", "1", "--token", &token];
    gate.run(&fail).succeeds();
    gate.run(&["job", "requeue", "1"]).succeeds();
    gate.run(&["task", "cancel", "1"]).succeeds();
    gate.run(&fail).succeeds();
    assert_eq!(status(&gate, 1), "cancelled");
}

/// The two ways to end a task over HTTP.
fn end(service: &Service, path: &str, more: &Value) -> crate::support::service::Answer {
    let mut body = more.clone();
    let method = match path {
        "/v1/tasks/1" => {
            body["stage"] = json!("done");
            "PATCH"
        }
        _ => "POST",
    };
    service.request(method, path).json(&body).send()
}

#[test]
fn over_http_a_task_ends_as_by_command() {
    for (path, outcome) in [
        ("/v1/tasks/1", "done -"),
        ("/v1/tasks/1/cancel", "done cancelled"),
    ] {
        let service = Service::on(gate());
        let gate = &service.gate;
        let token = claim(gate, "analyst");
        let refused = end(&service, path, &json!({})).is(409).detail();
        assert!(
            refused.contains("its job 1 is running on worker `b1`"),
            "{refused}"
        );
        for wrong in [json!({ "token": "x" }), json!({ "token": 1 })] {
            end(&service, path, &wrong).is(409);
        }
        for without in [
            json!({ "force": true }),
            json!({ "force": true, "reason": " " }),
        ] {
            let refused = end(&service, path, &without).is(422).detail();
            assert_eq!(
                refused,
                "a task is ended by force only with a reason: say why in `reason`"
            );
        }
        assert_eq!(statuses(gate), "running,queued", "{path}");
        end(&service, path, &json!({ "token": token })).is(200);
        assert_eq!(statuses(gate), "running,cancelled", "{path}");
        assert_eq!(end_of(gate, 1), outcome);
        let body = json!({ "token": token });
        service.post("/v1/jobs/1/finish", &body).is(200);
        service.post("/v1/jobs/2/requeue", &json!({})).is(409);
    }
}

#[test]
fn over_http_a_forced_end_cancels_what_is_running() {
    for path in ["/v1/tasks/1", "/v1/tasks/1/cancel"] {
        let service = Service::on(gate());
        let token = claim(&service.gate, "analyst");
        end(
            &service,
            path,
            &json!({ "force": true, "reason": "wrong approach" }),
        )
        .is(200);
        let body = json!({ "token": token });
        for verb in ["finish", "fail", "heartbeat"] {
            let refused = service
                .post(&format!("/v1/jobs/1/{verb}"), &body)
                .is(409)
                .detail();
            assert!(refused.contains("as `cancelled`"), "{refused}");
        }
    }
}
