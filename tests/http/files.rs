//! The service's file was replaced: nothing is acknowledged that is not in the
//! file at the path, and the service goes on with what is there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use super::until_one_waits;
use crate::support::Gate;
use crate::support::look::{until, value};
use crate::support::moved_files::{WAYS, change, remove_log_and_index, with_channel};
use crate::support::service::{Service, ask};

/// The work items in the file with this prefix.
fn kept(gate: &Gate, prefix: &str) -> Vec<String> {
    let sql =
        format!("SELECT group_concat(work_item_id) FROM tasks WHERE work_item_id LIKE '{prefix}%'");
    let all = value(gate, &sql).unwrap_or_default();
    all.split(',')
        .filter(|item| !item.is_empty())
        .map(Into::into)
        .collect()
}

#[test]
fn what_is_acknowledged_after_the_change_is_in_the_file_at_the_path() {
    for way in &WAYS {
        let service = Service::on(way.queue());
        let (has_happened, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let acknowledged = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for writer in 0..4 {
                let (service, has_happened, is_over) = (&service, &has_happened, &is_over);
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    for number in 0.. {
                        let is_after = has_happened.load(Ordering::SeqCst);
                        let name = format!(
                            "{}{writer}-{number}",
                            if is_after { "after" } else { "before" }
                        );
                        let answer = service
                            .post("/v1/tasks", &json!({ "repo": "beta", "work_item": name }));
                        assert!([201, 503].contains(&answer.status), "{}", answer.text);
                        if is_after && answer.status == 201 {
                            acknowledged.lock().unwrap().push(name);
                        }
                        if is_over.load(Ordering::SeqCst) {
                            return;
                        }
                    }
                });
            }
            until("it is written to", || {
                !kept(&service.gate, "before").is_empty()
            });
            way.happens(&service.gate);
            has_happened.store(true, Ordering::SeqCst);
            let enough = || acknowledged.lock().unwrap().len() >= 20;
            until(way.name, enough);
            is_over.store(true, Ordering::SeqCst);
        });
        let kept = kept(&service.gate, "after");
        for name in acknowledged.into_inner().unwrap() {
            assert!(
                kept.contains(&name),
                "{}: {name} was acknowledged and is lost",
                way.name
            );
        }
        until("it is ready", || service.is_ready());
    }
}

#[test]
fn what_is_read_is_in_the_file_at_the_path() {
    for way in &WAYS {
        let service = Service::on(way.queue());
        service.get("/queue").is(200);
        way.happens(&service.gate);
        change(&service.gate, &["task", "add", "gamma"]);
        until(way.name, || {
            let queue = service.get("/queue");
            queue.status == 200 && queue.json()["serial_gate"]["per_repo"]["gamma"].is_object()
        });
    }
}

#[test]
fn whoever_follows_the_events_is_told() {
    for way in &WAYS {
        let service = Service::on(way.queue());
        let mut stream = TcpStream::connect(&service.address).unwrap();
        write!(stream, "GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let told = Arc::new(Mutex::new(0));
        let count = Arc::clone(&told);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                *count.lock().unwrap() += usize::from(line.starts_with("event: change"));
            }
        });
        until("it follows", || *told.lock().unwrap() > 0);
        way.happens(&service.gate);
        change(&service.gate, &["task", "add", "gamma"]);
        until("another process's task is there", || {
            let queue = service.get("/queue");
            queue.status == 200 && queue.json()["serial_gate"]["per_repo"]["gamma"].is_object()
        });
        let before = *told.lock().unwrap();
        change(&service.gate, &["task", "add", "delta"]);
        until(way.name, || *told.lock().unwrap() > before);
    }
}

#[test]
fn a_worker_that_waits_gets_a_job_of_the_file_at_the_path() {
    for way in &WAYS {
        let gate = way.queue();
        let service = Service::on(gate);
        service
            .post("/v1/claim", &json!({ "worker": "first" }))
            .is(200);
        let address = service.address.clone();
        let waiting = thread::spawn(move || {
            loop {
                let body = json!({ "worker": "second", "agent": "nobody", "wait": 60 });
                let answer = ask(&address, "POST", "/v1/claim", &body).unwrap();
                match answer.status {
                    200 => return answer.json()["token"].as_str().unwrap().to_owned(),
                    // The answer may be that the file was missing for a moment; then it asks again.
                    status => assert_eq!(status, 503, "{}", answer.text),
                }
                thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        until_one_waits(&service);
        way.happens(&service.gate);
        change(
            &service.gate,
            &["task", "add", "gamma", "--agent", "nobody"],
        );
        let token = waiting.join().unwrap();
        let claimed = value(
            &service.gate,
            "SELECT gate_token FROM jobs WHERE repo = 'gamma'",
        );
        assert_eq!(claimed.unwrap(), token, "{}", way.name);
    }
}

#[test]
fn access_tokens_are_those_of_the_file_at_the_path() {
    for way in &WAYS {
        let service = Service::on(way.queue());
        service.get("/queue").is(200);
        way.happens(&service.gate);
        change(
            &service.gate,
            &["token", "add", "dashboard", "--role", "reader"],
        );
        until(way.name, || service.get("/queue").status == 401);
    }
}

#[test]
fn alerts_of_the_file_at_the_path_are_sent_although_nobody_asks_the_service() {
    for way in &WAYS {
        let gate = way.queue();
        let endpoint = with_channel(&gate);
        let service = Service::on(gate);
        way.happens(&service.gate);
        change(
            &service.gate,
            &["freeze", "gamma", "--new", "--reason", "incident"],
        );
        endpoint.wait_for(1);
    }
}

#[test]
fn while_the_file_is_away_nothing_is_acknowledged_and_it_is_not_ready() {
    let service = Service::on(WAYS[0].queue());
    let add = || service.post("/v1/tasks", &json!({ "repo": "beta" }));
    until("it is ready", || service.is_ready());
    let away = service.gate.path("away.db");
    for is_removed in [false, true] {
        fs::rename(service.gate.database(), &away).unwrap();
        for _ in 0..5 {
            for path in ["/queue", "/readyz"] {
                let refused = service.get(path).is(503).detail();
                assert!(
                    refused.contains("was replaced, renamed or removed"),
                    "{path}: {refused}"
                );
            }
            let refused = add().is(503).detail();
            assert!(
                refused.contains("was replaced, renamed or removed"),
                "{refused}"
            );
            let claim = json!({ "worker": "w", "wait": 5 });
            service.post("/v1/claim", &claim).is(503);
        }
        assert!(
            !service.gate.database().exists(),
            "it made a file of its own"
        );
        if is_removed {
            fs::remove_file(&away).unwrap();
            for left in ["serial-gate.db-wal", "serial-gate.db-shm"] {
                // The service may have removed them.
                let _ = fs::remove_file(service.gate.path(left));
            }
            fs::rename(service.gate.path("backup.db"), service.gate.database()).unwrap();
        } else {
            fs::rename(&away, service.gate.database()).unwrap();
        }
        until("it is ready again", || service.is_ready());
        until("it goes on", || add().status == 201);
    }
}

#[test]
fn with_two_names_it_is_not_ready() {
    let service = Service::on(WAYS[0].queue());
    until("it is ready", || service.is_ready());
    let second = service.gate.path("second.db");
    fs::hard_link(service.gate.database(), &second).unwrap();
    service.get("/readyz").is(503);
    fs::remove_file(&second).unwrap();
    service.get("/readyz").is(200);
}

#[test]
fn the_log_shrinks_after_a_long_reader_has_gone_and_the_metrics_tell_its_length() {
    let service = Service::start();
    let wal_bytes = || -> u64 {
        let metrics = service.get("/metrics").is(200).text;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("serial_gate_wal_bytes "));
        line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
    };
    let reader = service.gate.sqlite();
    reader.execute_batch("BEGIN; SELECT * FROM tasks").unwrap();
    service
        .gate
        .sqlite()
        .execute_batch(
            "CREATE TABLE other (data BLOB); INSERT INTO other VALUES (zeroblob(60000000))",
        )
        .unwrap();
    assert!(wal_bytes() > 50 << 20);
    reader.execute_batch("COMMIT").unwrap();
    until("it has shrunk", || {
        service
            .post("/v1/tasks", &json!({ "repo": "alpha" }))
            .is(201);
        wal_bytes() <= 32 << 20
    });
}

#[test]
fn a_backup_that_is_moved_beside_the_log_of_the_old_file_is_refused_until_the_log_is_removed() {
    let service = Service::on(WAYS[0].queue());
    service.post("/v1/tasks", &json!({"repo": "beta"})).is(201);
    fs::rename(service.gate.path("backup.db"), service.gate.database()).unwrap();
    // SQLite would read the old file's changes into the backup.
    let refused = service.post("/v1/tasks", &json!({"repo": "gamma"})).is(503);
    assert!(
        refused
            .detail()
            .contains("was replaced, renamed or removed"),
        "{}",
        refused.text
    );
    assert!(!service.is_ready());
    remove_log_and_index(&service.gate);
    until("the service is ready again", || service.is_ready());
    service.post("/v1/tasks", &json!({"repo": "gamma"})).is(201);
    let repos = value(&service.gate, "SELECT group_concat(repo) FROM tasks");
    assert_eq!(repos.as_deref(), Some("alpha,gamma"));
}

#[test]
fn a_log_that_was_emptied_under_the_service_is_no_log() {
    let service = Service::on(WAYS[0].queue());
    service.post("/v1/tasks", &json!({"repo": "beta"})).is(201);
    let log = format!("{}-wal", service.gate.database().display());
    fs::File::create(log).unwrap();
    let freeze = json!({"repo": "alpha", "new": true, "reason": "down"});
    service.post("/v1/freezes", &freeze).is(503);
    until("the service is ready again", || service.is_ready());
    let freeze = service.post("/v1/freezes", &freeze).is(200).json();
    let there = value(
        &service.gate,
        "SELECT max(gate_number) FROM repo_freeze WHERE cleared_at IS NULL",
    );
    assert_eq!(there.unwrap(), freeze["freeze_id"].to_string());
}
