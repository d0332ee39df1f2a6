//! A disk that is full, slow, or cannot flush: what was answered is there, and the service goes on
//! when the disk is good again.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::Gate;
use crate::support::disk::{Disk, Event};
use crate::support::service::Service;

/// The work items in a queue.
fn work_items(gate: &Gate) -> BTreeSet<String> {
    let sqlite = gate.sqlite();
    let mut query = sqlite.prepare("SELECT work_item_id FROM tasks").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The requests, by their answers.
#[derive(Default)]
struct Asked {
    done: BTreeSet<String>,
    refused: BTreeSet<String>,
}

/// Many clients add tasks while the disk is good, bad and good again.
fn add_tasks_while(disk: &Disk, service: &Service, fault: &str) -> Asked {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let all: Vec<_> = (0..16)
            .map(|n| {
                let is_over = &is_over;
                scope.spawn(move || {
                    let mut asked = Asked::default();
                    for count in 0.. {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        let name = format!("{n}-{count}");
                        let task = json!({"repo": format!("repo-{n}"), "work_item": name});
                        match service.post("/v1/tasks", &task).status {
                            201 => asked.done.insert(name),
                            503 => asked.refused.insert(name),
                            other => panic!("{other}"),
                        };
                    }
                    asked
                })
            })
            .collect();
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(200));
            disk.gets(fault);
            thread::sleep(Duration::from_millis(200));
            disk.is_good_again(fault);
        }
        thread::sleep(Duration::from_millis(200));
        is_over.store(true, Ordering::Relaxed);
        let mut sum = Asked::default();
        for one in all {
            let one = one.join().unwrap();
            sum.done.extend(one.done);
            sum.refused.extend(one.refused);
        }
        sum
    })
}

#[test]
fn on_a_full_disk_what_was_answered_is_there_and_what_was_refused_is_not() {
    let (disk, gate) = Disk::with_queue();
    let service = Service::on(gate);
    let asked = add_tasks_while(&disk, &service, "full");
    assert!(!asked.refused.is_empty(), "the disk was never full");
    assert_eq!(work_items(&service.gate), asked.done);
    assert_eq!(work_items(&disk.after_a_power_cut()), asked.done);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
}

#[test]
fn a_claim_on_a_full_disk_is_refused_and_the_job_is_given_when_there_is_room() {
    let (disk, gate) = Disk::with_queue();
    let service = Service::on(gate);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    disk.gets("full");
    let claim = json!({"worker": "one"});
    service.post("/v1/claim", &claim).is(503);
    disk.is_good_again("full");
    assert_eq!(
        service.post("/v1/claim", &claim).is(200).json()["attempt"],
        1
    );
}

#[test]
fn after_a_flush_that_failed_what_is_answered_is_on_the_disk() {
    let (disk, gate) = Disk::with_queue();
    let service = Service::on(gate);
    let asked = add_tasks_while(&disk, &service, "broken");
    assert!(!asked.refused.is_empty(), "the disk was never broken");
    let left = work_items(&disk.after_a_power_cut());
    let missing: Vec<_> = asked.done.difference(&left).collect();
    assert_eq!(missing, [] as [&String; 0]);
}

#[test]
fn a_command_on_a_disk_that_cannot_flush_fails() {
    let (disk, gate) = Disk::with_queue();
    disk.gets("broken");
    let ran = gate.run(&["task", "add", "alpha"]).exits(1);
    assert_eq!(ran.stdout, "");
}

/// Waits until a flush has begun that cannot end.
fn until_a_flush_is_waited_for(disk: &Disk) {
    for _ in 0..1_000 {
        if disk.events().contains(&Event::FlushBegins) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody flushes");
}

#[test]
fn nobody_is_answered_while_the_disk_is_waited_for() {
    let (disk, gate) = Disk::with_queue();
    let service = Service::on(gate);
    disk.forget_events();
    disk.gets("slow");
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for n in 0..16 {
            let (service, answered) = (&service, &answered);
            scope.spawn(move || {
                let task = json!({"repo": format!("repo-{n}")});
                service.post("/v1/tasks", &task).is(201);
                answered.fetch_add(1, Ordering::Relaxed);
            });
        }
        until_a_flush_is_waited_for(&disk);
        thread::sleep(Duration::from_millis(300));
        assert_eq!(answered.load(Ordering::Relaxed), 0);
        disk.is_good_again("slow");
    });
    assert_eq!(answered.load(Ordering::Relaxed), 16);
    let commits = disk
        .events()
        .iter()
        .filter(|event| **event == Event::Committed)
        .count();
    assert!(
        commits < 16,
        "what waited was not made together: {commits} commits"
    );
}

#[test]
fn a_job_of_a_worker_that_left_while_the_disk_was_waited_for_is_queued_at_once() {
    let (disk, gate) = Disk::with_queue();
    let service = Service::on(gate);
    for n in 0..8 {
        service
            .post("/v1/tasks", &json!({"repo": format!("repo-{n}")}))
            .is(201);
    }
    disk.forget_events();
    disk.gets("slow");
    let body = r#"{"worker": "gone"}"#;
    let leaving: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(&service.address).unwrap();
            let head = format!(
                "POST /v1/claim HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                service.address,
                body.len()
            );
            stream.write_all((head + body).as_bytes()).unwrap();
            stream
        })
        .collect();
    until_a_flush_is_waited_for(&disk);
    drop(leaving);
    thread::sleep(Duration::from_millis(300));
    disk.is_good_again("slow");
    // The lease would have kept them for half an hour.
    let claimed: Vec<i64> = (0..8)
        .map(|_| {
            let claim = json!({"worker": "here", "wait": 30});
            service.post("/v1/claim", &claim).is(200).json()["attempt"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert!(
        claimed.contains(&2),
        "nobody had claimed one before: {claimed:?}"
    );
}
