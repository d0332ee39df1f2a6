//! The fair line of waiters, without a socket.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::queue::{Claimant, Options, Queue, Round, Served, Waiter, Waiters};

use crate::support::Gate;

/// A worker, and what the test makes of it.
#[derive(Clone)]
struct Tester {
    name: &'static str,
    agents: Vec<String>,
    is_due: Rc<Cell<bool>>,
    has_gone: Rc<Cell<bool>>,
}

impl Waiter for Tester {
    fn claimant(&self) -> Claimant<'_> {
        Claimant {
            worker: self.name,
            agents: &self.agents,
        }
    }

    fn is_due(&self) -> bool {
        self.is_due.get()
    }

    fn has_gone(&self) -> bool {
        self.has_gone.get()
    }
}

fn tester(name: &'static str, agents: &[&str]) -> Tester {
    Tester {
        name,
        agents: agents.iter().map(|agent| (*agent).to_owned()).collect(),
        is_due: Rc::default(),
        has_gone: Rc::default(),
    }
}

fn open(gate: &Gate) -> Queue {
    let rule = Rule::Active(Overrides::default());
    Queue::open(gate.place(), rule, Options::default()).unwrap()
}

fn serve(line: &mut Waiters<Tester>, queue: &mut Queue, most: usize) -> Vec<Served<Tester>> {
    let round = Round {
        clock: &Timestamp::now,
        lease: Duration::from_secs(60),
        most,
        time: Duration::from_secs(60),
    };
    line.serve(queue, &round)
}

/// The workers that got a job, each with the job.
fn names(served: Vec<Served<Tester>>) -> Vec<(&'static str, i64)> {
    let served = served.into_iter();
    served
        .map(|(waiter, claimed)| (waiter.name, claimed.unwrap().id))
        .collect()
}

fn add_tasks(gate: &Gate, repos: &[&str]) {
    for repo in repos {
        gate.run(&["task", "add", repo]).succeeds();
    }
}

#[test]
fn a_job_goes_to_the_worker_that_has_waited_longest() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    for name in ["first", "second", "third"] {
        line.add(tester(name, &[]));
    }
    assert!(serve(&mut line, &mut queue, 9).is_empty());
    assert!(line.is_settled());
    add_tasks(&gate, &["alpha", "beta"]);
    let served = names(serve(&mut line, &mut queue, 9));
    assert_eq!(served, [("first", 1), ("second", 2)]);
    assert_eq!(line.count(), 1);
}

#[test]
fn a_worker_of_another_agent_keeps_its_place() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    line.add(tester("developer", &["developer"]));
    line.add(tester("analyst", &["analyst"]));
    add_tasks(&gate, &["alpha"]);
    assert_eq!(names(serve(&mut line, &mut queue, 9)), [("analyst", 1)]);
    line.add(tester("any", &[]));
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    assert_eq!(names(serve(&mut line, &mut queue, 9)), [("developer", 2)]);
}

#[test]
fn a_worker_of_several_agents_has_its_place_in_the_line_for_each_of_them() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    line.add(tester("both", &["developer", "analyst"]));
    line.add(tester("analyst", &["analyst"]));
    line.add(tester("developer", &["developer"]));
    assert!(serve(&mut line, &mut queue, 9).is_empty());
    add_tasks(&gate, &["alpha", "beta"]);
    let served = names(serve(&mut line, &mut queue, 9));
    assert_eq!(served, [("both", 1), ("analyst", 2)]);
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    assert_eq!(names(serve(&mut line, &mut queue, 9)), [("developer", 3)]);
}

#[test]
fn a_worker_of_several_agents_is_not_tried_while_there_is_nothing_for_each_of_them() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    line.add(tester("both", &["analyst", "developer"]));
    serve(&mut line, &mut queue, 9);
    line.add(tester("developer", &["developer"]));
    assert!(line.is_settled());
    line.add(tester("more", &["developer", "reviewer"]));
    assert!(!line.is_settled());
}

#[test]
fn those_who_were_not_served_keep_their_places() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    for name in ["first", "second", "third"] {
        line.add(tester(name, &[]));
    }
    add_tasks(&gate, &["alpha", "beta", "gamma"]);
    assert_eq!(names(serve(&mut line, &mut queue, 1)), [("first", 1)]);
    line.add(tester("fourth", &[]));
    let served = names(serve(&mut line, &mut queue, 9));
    assert_eq!(served, [("second", 2), ("third", 3)]);
}

#[test]
fn a_worker_whose_job_was_taken_back_is_the_next_one() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    line.add(tester("second", &[]));
    line.return_to_front(tester("first", &[]));
    add_tasks(&gate, &["alpha"]);
    assert_eq!(names(serve(&mut line, &mut queue, 9)), [("first", 1)]);
}

#[test]
fn a_worker_that_has_gone_gets_nothing() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    let gone = tester("gone", &[]);
    line.add(gone.clone());
    line.add(tester("here", &[]));
    gone.has_gone.set(true);
    add_tasks(&gate, &["alpha"]);
    assert_eq!(names(serve(&mut line, &mut queue, 9)), [("here", 1)]);
    assert_eq!(line.count(), 0);
}

#[test]
fn a_worker_is_dismissed_only_after_it_was_tried() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    let worker = tester("worker", &["analyst"]);
    worker.is_due.set(true);
    line.add(worker.clone());
    assert!(line.dismiss(false).is_empty());
    assert!(serve(&mut line, &mut queue, 9).is_empty());
    assert_eq!(line.dismiss(false).len(), 1);
    line.add(tester("patient", &[]));
    assert!(line.dismiss(false).is_empty());
    // At the end of the service nobody waits any more.
    assert_eq!(line.dismiss(true).len(), 1);
}

#[test]
fn a_settled_line_claims_nothing_until_something_changes() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    line.add(tester("worker", &["analyst"]));
    serve(&mut line, &mut queue, 9);
    // It waits for the same, so it makes no claim.
    line.add(tester("late", &["analyst"]));
    assert!(line.is_settled());
    line.add(tester("other", &["developer"]));
    assert!(!line.is_settled());
}

#[test]
fn a_wait_ends_soon_after_a_change_by_another_program() {
    let gate = Gate::new();
    let (mut queue, mut line) = (open(&gate), Waiters::default());
    line.add(tester("worker", &[]));
    serve(&mut line, &mut queue, 9);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| add_tasks(&gate, &["alpha"]));
        while names(serve(&mut line, &mut queue, 9)).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30));
            line.wait(&mut queue, &|| false);
        }
    });
}
