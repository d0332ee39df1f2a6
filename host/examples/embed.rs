//! The gate inside a program of your own: two tasks of one repo, the second of which waits.
//!
//! Run it with `cargo run --example embed`. Everything that the command does is in the library:
//! [`serial_gate::queue::Queue`] is the queue behind its gate, and the time is always passed in.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule, default_settings};
use serial_gate::queue::{Options, Queue, Running};
use serial_gate::store::{Actor, Ending, NewTask};

const LEASE: Duration = Duration::from_secs(30 * 60);

/// Adds two tasks, and claims what may be claimed.
pub fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("queue.db");
    let actor = |why| Actor {
        now: Timestamp::now(),
        who: "embed",
        why,
    };

    // Once: the tables, and the built-in policy with its settings as the first generation.
    Queue::init(&database, &default_settings(), actor("a new queue"))?;
    let rule = Rule::Active(Overrides::default());
    let mut queue = Queue::open(&database, rule, Options::default())?;

    for work_item in ["A-1", "A-2"] {
        let task = NewTask {
            repo: "alpha",
            work_item: Some(work_item),
            stage: "analysis",
            agent: "analyst",
            label: None,
        };
        queue.store_mut().add_task(Timestamp::now(), task)?;
    }

    let Some(first) = queue.claim(Timestamp::now(), "worker-1", LEASE)? else {
        return Err("the first task waits for nobody".into());
    };
    println!("worker-1 has job {} of task 1", first.id);

    let second = queue.claim(Timestamp::now(), "worker-2", LEASE)?;
    println!("worker-2 has {}", second.map_or("nothing yet", |_| "a job"));

    // The work is done and merged.
    queue.end_job(actor(""), first.claim(), Ending::Done)?;
    let finished = queue.finished_stages()?;
    let merged = actor("A-1 is merged");
    queue.move_tasks(merged, &[1], finished.first(), Running::default())?;

    let Some(second) = queue.claim(Timestamp::now(), "worker-2", LEASE)? else {
        return Err("the second task waits for nobody any more".into());
    };
    println!("worker-2 has job {} of task 2", second.id);
    Ok(())
}
