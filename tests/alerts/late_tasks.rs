//! Tasks that appear after a later one of their repo was started: on a server, an id is given out
//! before its row can be seen.

use serde_json::json;

use crate::support::Gate;
use crate::support::engine::Engine;
use crate::support::look::until;
use crate::support::service::Service;

fn add(gate: &Gate, task: i64) {
    gate.program().run(format!(
        "INSERT INTO tasks (id, repo, stage) VALUES ({task}, 'alpha', 'analysis');
         INSERT INTO jobs (task_id, repo, agent, status)
         VALUES ({task}, 'alpha', 'analyst', 'queued');"
    ));
}

#[test]
fn tasks_that_come_after_a_later_one_was_started_are_counted_and_told_of_once() {
    let gate = Gate::new();
    add(&gate, 9);
    let service = Service::on(gate);
    service.post("/v1/claim", &json!({"worker": "w"})).is(200);
    let late = "serial_gate_late_tasks_total ";
    let metrics = || service.get("/metrics").is(200).text;
    let gate = &service.gate;
    if Engine::under_test() == Engine::Sqlite {
        // There is one writer, so ids are committed in their order.
        assert!(!metrics().contains(late), "{}", metrics());
        return;
    }
    assert!(metrics().contains(&format!("{late}0\n")), "{}", metrics());
    let told = || {
        let alerts = gate.run(&["alerts", "--json"]).succeeds().json_lines();
        let text = |alert: &serde_json::Value| alert["text"].as_str().unwrap().to_owned();
        alerts.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(told(), [""; 0]);
    let other = gate.program();
    other.run("BEGIN");
    for task in [7, 5] {
        other.run(format!(
            "INSERT INTO tasks (id, repo, stage) VALUES ({task}, 'alpha', 'analysis')"
        ));
    }
    other.run("COMMIT");
    until("there is an alert", || !told().is_empty());
    add(gate, 10);
    assert_eq!(
        told(),
        [
            "task 5 of `alpha` was added after a later one was started: task 9 had been started by then; so it is with 1 more task"
        ]
    );
    assert!(metrics().contains(&format!("{late}2\n")), "{}", metrics());
    let doctor = gate.run(&["doctor"]).succeeds();
    assert!(
        doctor
            .stdout
            .contains("note: 2 tasks appeared after a later one of the same repo"),
        "{}",
        doctor.stdout
    );
    assert_eq!(gate.run(&["doctor", "--json"]).json()["late_tasks"], 2);
}
