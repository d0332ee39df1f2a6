//! When the service says that it cannot do its work, and why; and that it comes back without a
//! restart.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{execute, two_tasks};
use crate::support::look::until;
use crate::support::service::{Service, ask};
use crate::support::{Gate, programs};

#[cfg(target_os = "linux")]
use crate::support::disk::Disk;

#[track_caller]
fn is_not_ready(service: &Service, because: &str) {
    let detail = service.get("/readyz").is(503).detail();
    assert!(detail.contains(because), "{detail}");
}

fn ready() -> Service {
    let service = Service::on(two_tasks());
    until("it is ready", || service.is_ready());
    service
}

#[test]
fn each_trigger_that_is_gone_is_missed() {
    let service = ready();
    let program = service.gate.program();
    for (trigger, create) in program.own("trigger") {
        program.drop_trigger(&trigger);
        let answer = service.get("/readyz");
        // Within ten seconds the service makes it anew.
        let is_back = program
            .own("trigger")
            .iter()
            .any(|(name, _)| *name == trigger);
        if !is_back {
            let detail = answer.is(503).detail();
            assert!(detail.contains(&format!("`{trigger}`")), "{detail}");
            assert!(
                detail.contains("1 trigger of the gate in the database is gone"),
                "{detail}"
            );
            execute(&service.gate, &create);
        }
        service.get("/readyz").is(200);
    }
}

#[test]
fn each_trigger_that_does_something_else_is_noticed() {
    let service = ready();
    let program = service.gate.program();
    for (trigger, create) in program.own("trigger") {
        program.idle_trigger(&trigger, &create);
        is_not_ready(&service, &trigger);
        program.drop_trigger(&trigger);
        program.run(create);
        service.get("/readyz").is(200);
    }
}

#[test]
fn each_index_that_is_gone_is_missed() {
    let service = ready();
    for (index, create) in service.gate.program().own("index") {
        // Those of a table of the gate's that are made with it go with it.
        let made_with_its_table = [
            "serial_gate_failure_at",
            "serial_gate_audit_repo",
            "serial_gate_output_job",
        ];
        if made_with_its_table.contains(&index.as_str())
            || index.starts_with("serial_gate_alert_")
            || index.starts_with("serial_gate_delivery_")
            || index == "serial_gate_deploy_degraded"
        {
            continue;
        }
        execute(&service.gate, &format!("DROP INDEX {index}"));
        is_not_ready(&service, &index);
        execute(&service.gate, &create);
        service.get("/readyz").is(200);
    }
}

#[test]
fn each_index_that_covers_something_else_is_noticed_and_made_anew_by_init() {
    let service = ready();
    let on_jobs = service.gate.program().own("index");
    let on_jobs = on_jobs
        .iter()
        .filter(|(name, _)| name.starts_with("serial_gate_jobs_"));
    for (index, create) in on_jobs {
        execute(
            &service.gate,
            &format!("DROP INDEX {index}; CREATE INDEX {index} ON jobs (status, id)"),
        );
        is_not_ready(&service, index);
        service.gate.run(&["init"]).succeeds();
        service.get("/readyz").is(200);
        assert!(
            service
                .gate
                .program()
                .own("index")
                .contains(&(index.clone(), create.clone()))
        );
    }
}

#[test]
fn a_table_that_was_made_anew_without_the_gate_s_columns_is_noticed_until_init() {
    let service = ready();
    execute(
        &service.gate,
        "CREATE TABLE kept AS SELECT id, repo, stage FROM tasks; DROP TABLE tasks;
         CREATE TABLE tasks (id INTEGER PRIMARY KEY, repo TEXT, stage TEXT);
         INSERT INTO tasks SELECT * FROM kept; DROP TABLE kept",
    );
    is_not_ready(&service, "run `serial-gate init` on it");
    service.gate.run(&["init"]).succeeds();
    service.get("/readyz").is(200);
}

#[test]
fn a_table_of_the_gate_that_is_gone_is_missed() {
    let service = ready();
    execute(&service.gate, "DROP TABLE serial_gate_channel");
    is_not_ready(&service, "`serial_gate_channel`");
}

#[test]
fn without_an_active_policy_it_is_not_ready() {
    let service = ready();
    execute(
        &service.gate,
        "UPDATE serial_gate_generation SET state = 'past'",
    );
    is_not_ready(&service, "no policy is active");
    execute(
        &service.gate,
        "UPDATE serial_gate_generation SET state = 'active'",
    );
    service.get("/readyz").is(200);
}

#[test]
fn while_the_active_policy_cannot_be_loaded_it_is_not_ready_at_any_moment() {
    let service = ready();
    execute(
        &service.gate,
        "UPDATE serial_gate_generation SET state = 'past';
         INSERT INTO serial_gate_generation (digest, name, version, settings, limits, state)
            SELECT 'none', name, version, settings, limits, 'active' FROM serial_gate_generation",
    );
    until("it has tried", || !service.is_ready());
    is_not_ready(
        &service,
        "generation 2 of the policy cannot be loaded here, and claims use generation 1",
    );
    // It is tried again every second.
    for _ in 0..30 {
        is_not_ready(&service, "generation 2");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    execute(
        &service.gate,
        "UPDATE serial_gate_generation SET state = 'past' WHERE id = 2;
         UPDATE serial_gate_generation SET state = 'active' WHERE id = 1",
    );
    until("it is ready again", || service.is_ready());
}

#[test]
fn a_service_that_starts_with_a_broken_policy_is_not_ready_and_says_what_it_does_instead() {
    let gate = two_tasks();
    let nothing = gate.program().bytes(&[0]);
    execute(
        &gate,
        &format!("UPDATE serial_gate_policy SET component = {nothing}"),
    );
    let service = Service::on(gate);
    is_not_ready(&service, "the order of tasks is not kept");
}

#[test]
fn with_the_kill_switch_off_it_is_ready() {
    let gate = two_tasks();
    let off = ["policy", "settings", "--enabled", "false", "--reason", "r"];
    gate.run(&off).succeeds();
    Service::on(gate).get("/readyz").is(200);
}

#[test]
fn the_look_writes_nothing() {
    let service = ready();
    let program = service.gate.program();
    let before = program.version();
    for _ in 0..50 {
        service.get("/readyz").is(200);
    }
    assert_eq!(program.version(), before);
}

#[test]
#[cfg(target_os = "linux")]
fn after_a_change_that_had_no_room_it_is_not_ready_until_there_is_room_and_needs_nobody_to_come_back()
 {
    let (disk, gate) = Disk::with_queue();
    let service = Service::on(gate);
    until("it is ready", || service.is_ready());
    disk.gets("full");
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(503);
    for _ in 0..30 {
        is_not_ready(&service, "the disk of the database is full");
        // Finding nothing to claim takes no room, and is no sign of it.
        service
            .post("/v1/claim", &json!({"worker": "w", "agent": "nobody"}))
            .is(204);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    disk.is_good_again("full");
    until("it is ready again", || service.is_ready());
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let left: i64 = service.gate.program().one(
        "SELECT (SELECT count(*) FROM serial_gate_channel) + (SELECT count(*) FROM serial_gate_base)
            + (SELECT count(*) FROM serial_gate_fixture) + (SELECT count(*) FROM serial_gate_idempotency)
            + (SELECT count(*) FROM serial_gate_clause WHERE policy = 'the trial')
            + (SELECT count(*) FROM serial_gate_partition WHERE repo = 'the trial')",
    );
    assert_eq!(left, 0, "the trial leaves nothing behind");
}

#[test]
#[cfg(target_os = "linux")]
fn after_a_flush_that_failed_it_is_not_ready_until_the_disk_is_good_again() {
    let (disk, gate) = Disk::with_queue();
    let service = Service::on(gate);
    until("it is ready", || service.is_ready());
    disk.gets("broken");
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(503);
    is_not_ready(&service, "the disk of the database does not take changes");
    disk.is_good_again("broken");
    until("it is ready again", || service.is_ready());
}

/// On a disk of 4 MiB, which only this process sees and which is gone with it.
const ON_A_SMALL_DISK: &str = "
    mkdir disk && mount -t tmpfs -o size=4m tmpfs disk && cd disk || exit 7
    $BINARY init >/dev/null || exit 8
    exec $BINARY serve --listen 127.0.0.1:0 --json";

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_others_fill_is_noticed_before_a_change_fails() {
    let gate = Gate::empty();
    gate.write("serve.sh", ON_A_SMALL_DISK);
    let mut service = Command::new("unshare");
    service
        .args(["--mount", "sh", "./serve.sh"])
        .env("BINARY", env!("CARGO_BIN_EXE_serial-gate"))
        .current_dir(gate.path(""))
        .stdout(Stdio::piped())
        .process_group(0);
    let Ok(mut service) = service.spawn() else {
        return programs::say("there is no `unshare`", "no small disk is filled");
    };
    let mut line = String::new();
    BufReader::new(service.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let Ok(told) = serde_json::from_str::<Value>(&line) else {
        service.wait().unwrap();
        return programs::say("this user may not mount a disk", "no small disk is filled");
    };
    let address = told["listening"].as_str().unwrap().to_owned();
    let look = || ask(&address, "GET", "/readyz", &Value::Null).unwrap();
    until("it is ready", || look().status == 200);
    // `exec` has made the service of the shell.
    let other = format!("/proc/{}/cwd/other", service.id());
    // Until there is no room for more.
    let _ = std::fs::write(&other, vec![1; 8 << 20]);
    let detail = look().is(503).detail();
    std::fs::remove_file(&other).unwrap();
    let after = look().status;
    service.kill().unwrap();
    service.wait().unwrap();
    assert!(
        detail.contains("the disk of the database is full"),
        "{detail}"
    );
    assert_eq!(after, 200);
}
