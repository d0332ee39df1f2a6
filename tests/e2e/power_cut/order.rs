//! What comes before an answer: its commit, and after that a flush that begins and ends.
//!
//! Each change has a mark in its rows (`mark-17.`, or a claim's token), which `disk.c` finds in
//! what is written to the log. The n-th answer on a connection is the one to its n-th request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

use serde_json::{Value, json};

use crate::support::Gate;
use crate::support::disk::{Disk, Event};
use crate::support::service::Service;

/// Marks a job that was done.
const MARKS: &str = "
    CREATE TABLE notes (text);
    CREATE TRIGGER mark_end AFTER UPDATE OF status ON jobs WHEN NEW.status = 'done'
    BEGIN INSERT INTO notes VALUES ('mark-' || (1000000 + NEW.id) || '.'); END;";

/// A connection that stays open, and the mark of each change that was requested on it.
struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
    port: u16,
    marks: Vec<String>,
}

impl Connection {
    fn to(service: &Service) -> Connection {
        let stream = TcpStream::connect(&service.address).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            port: stream.local_addr().unwrap().port(),
            stream: BufReader::new(stream),
            marks: Vec::new(),
            address: service.address.clone(),
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 20"), "{line}");
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if line.trim_end().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// A task is added, its job claimed and done, the task ended, and its repo frozen and unfrozen.
    fn do_a_task(&mut self, repo: &str, number: usize) {
        let mut mark = {
            let mut next = number * 10;
            move || {
                next += 1;
                format!("mark-{next}.")
            }
        };
        let name = mark();
        self.ask(
            "POST",
            "/v1/tasks",
            &json!({"repo": repo, "work_item": name}),
        );
        self.marks.push(name);
        let claimed = self.ask("POST", "/v1/claim", &json!({"worker": repo, "wait": 60}));
        self.marks.push(crate::support::token(&claimed));
        let id = claimed["id"].as_i64().unwrap();
        let finish = json!({"token": claimed["token"]});
        self.ask("POST", &format!("/v1/jobs/{id}/finish"), &finish);
        self.marks.push(format!("mark-{}.", 1_000_000 + id));
        let reason = mark();
        let task = format!("/v1/tasks/{}", claimed["task_id"]);
        self.ask("PATCH", &task, &json!({"stage": "done", "reason": reason}));
        self.marks.push(reason);
        for path in ["/v1/freezes", "/serial-gate/unfreeze"] {
            let reason = mark();
            // Not a task's repo: another connection may have its job.
            let closed = format!("closed-{repo}");
            let mut asked = json!({"repo": closed, "reason": reason});
            if path.ends_with("/freezes") {
                asked["new"] = json!(true);
            }
            self.ask("POST", path, &asked);
            self.marks.push(reason);
        }
    }
}

/// Where a change was flushed after its commit.
fn flushed(events: &[Event], mark: &String) -> Option<usize> {
    let after = |from: usize, wanted: &dyn Fn(&Event) -> bool| {
        let found = events[from..].iter().position(wanted);
        found.map(|place| from + place)
    };
    let is_marked = |event: &Event| matches!(event, Event::Written(marks) if marks.contains(mark));
    let written = after(0, &is_marked)?;
    let committed = after(written, &|event| *event == Event::Committed)?;
    let begins = after(committed, &|event| *event == Event::FlushBegins)?;
    after(begins, &|event| *event == Event::Flushed)
}

#[track_caller]
fn check(events: &[Event], connection: &Connection) {
    let is_answer =
        |event: &&Event| matches!(event, Event::Left { port, .. } if *port == connection.port);
    let answers = events
        .iter()
        .enumerate()
        .filter(|(_, event)| is_answer(event));
    let answers: Vec<usize> = answers.map(|(place, _)| place).collect();
    assert_eq!(answers.len(), connection.marks.len());
    for (mark, answer) in connection.marks.iter().zip(answers) {
        let flushed = flushed(events, mark);
        assert!(
            flushed.is_some_and(|flushed| flushed < answer),
            "the answer for {mark} is event {answer}, its flush {flushed:?}"
        );
    }
}

fn flushes(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| **event == Event::Flushed)
        .count()
}

fn service() -> (Disk, Service) {
    let (disk, gate) = Disk::with_queue();
    gate.sqlite().execute_batch(MARKS).unwrap();
    let service = Service::on(gate);
    disk.forget_events();
    (disk, service)
}

#[test]
fn each_answer_comes_after_the_flush_of_its_commit() {
    let (disk, service) = service();
    let mut connection = Connection::to(&service);
    for number in 1..6 {
        connection.do_a_task("alpha", number);
    }
    check(&disk.events(), &connection);
}

#[test]
fn each_answer_of_a_group_comes_after_the_flush_of_the_group() {
    let (disk, service) = service();
    let connections: Vec<Connection> = thread::scope(|scope| {
        let all: Vec<_> = (0..16)
            .map(|n| {
                let mut connection = Connection::to(&service);
                scope.spawn(move || {
                    for number in 1..6 {
                        connection.do_a_task(&format!("repo-{n}"), n * 100 + number);
                    }
                    connection
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let events = disk.events();
    for connection in &connections {
        check(&events, connection);
    }
    let answers: usize = connections.iter().map(|one| one.marks.len()).sum();
    assert!(flushes(&events) < answers, "nothing was grouped");
}

/// Where the first line of a command's output left it.
fn first_output(events: &[Event]) -> usize {
    let is_output = |event: &Event| matches!(event, Event::Left { port: 0, .. });
    events.iter().position(is_output).unwrap()
}

fn add_a_task(durability: &str, disk: &Disk, gate: &Gate) -> Vec<Event> {
    disk.forget_events();
    let verb = ["task", "add", "alpha", "--work-item", "mark-1."];
    gate.run(&[&["--durability", durability], &verb[..]].concat())
        .succeeds();
    disk.events()
}

#[test]
fn a_command_says_what_it_did_after_the_flush() {
    let (disk, gate) = Disk::with_queue();
    let events = add_a_task("full", &disk, &gate);
    let flushed = flushed(&events, &"mark-1.".to_owned()).unwrap();
    assert!(flushed < first_output(&events), "{events:?}");
}

#[test]
fn with_normal_durability_a_command_does_not_wait_for_the_disk() {
    let (disk, gate) = Disk::with_queue();
    let events = add_a_task("normal", &disk, &gate);
    let flushed = flushed(&events, &"mark-1.".to_owned());
    let output = first_output(&events);
    assert!(flushed.is_none_or(|flushed| flushed > output), "{events:?}");
}

#[test]
fn a_claim_of_a_command_is_printed_after_the_flush() {
    let (disk, gate) = Disk::with_queue();
    for _ in 0..3 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    disk.forget_events();
    let claimed = gate
        .run(&["--enabled", "false", "claim", "--max", "3", "--json"])
        .succeeds();
    let events = disk.events();
    assert_eq!(claimed.json_lines().len(), 3);
    for job in claimed.json_lines() {
        let token = crate::support::token(&job);
        let is_printed = |event: &Event| matches!(event, Event::Left { port: 0, marks } if marks.contains(&token));
        let printed = events
            .iter()
            .position(is_printed)
            .expect("the token is printed");
        let flushed = flushed(&events, &token);
        assert!(
            flushed.is_some_and(|flushed| flushed < printed),
            "{events:?}"
        );
    }
}
