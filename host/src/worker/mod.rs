//! A worker: claims a job, has its branch cut, runs a command with it, and ends the job.
//!
//! Owns the threads: the parts, each of which does one job after another, and one that looks at the
//! bases. Leaves the claim to `queue`, one job to `job`, the cut to `branch`, and the process to
//! `child`. What the commands print goes to the caller, line by line. Callers rely on this: a job
//! is ended only under its claim, a command whose claim is lost is stopped, and a worker that is
//! shut down leaves no claimed job without a process.

pub mod branch;

mod bases;
mod child;
mod command;
mod error;
mod heartbeat;
mod idle;
mod in_hand;
mod job;
mod line;
mod output;
mod part;
mod shutdown;

pub use error::Error;
pub use output::{Put, Stream};
pub use shutdown::Shutdown;

use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use crate::queue::Queue;
use branch::Project;

/// The pause after an error of the queue.
const PAUSE: Duration = Duration::from_secs(1);

/// A worker's options.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its name.
    pub name: String,
    /// The agents whose jobs it does.
    pub agents: Vec<String>,
    /// The program to run, and its arguments.
    pub command: (OsString, Vec<OsString>),
    /// Further variables for the program: this process's overrides.
    pub environment: Vec<(&'static str, OsString)>,
    /// How many jobs at a time.
    pub parallel: u32,
    /// The worker stops after this many jobs.
    pub max: Option<u64>,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// How long a command may take.
    pub timeout: Option<Duration>,
    /// The projects in which branches are cut.
    pub projects: Vec<Project>,
    /// Attempts to cut a branch before its job fails.
    pub tries: u32,
    /// The delay after the first failed attempt. It doubles with each.
    pub retry_after: Duration,
    /// After how many failed attempts a job has failed; none means the pipeline's number, or 1.
    pub attempts: Option<u32>,
    /// Whether the lines of the commands are printed as JSON.
    pub prints_json: bool,
    /// Whether the last lines of a command are kept with its job.
    pub keeps_output: bool,
}

type Open<'a> = &'a (dyn Fn() -> Result<Queue, Error> + Sync);

/// How many jobs ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Jobs that were done.
    pub done: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs whose branch could not be cut yet, or whose attempt failed, which are tried again later.
    pub put_off: u64,
    /// Jobs that were put back, or whose claim was lost.
    pub given_up: u64,
}

/// How a job ended for this worker.
enum Outcome {
    Done,
    Failed,
    Deferred,
    GivenUp,
}

/// The state that the parts of a worker share.
struct Worker<'a> {
    setup: &'a Setup,
    shutdown: &'a Shutdown,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    put: Put<'a>,
    /// How many jobs may still be taken.
    left: AtomicU64,
    summary: Mutex<Summary>,
    /// Whether it has said that a repo has no project.
    no_project: Once,
}

/// Works until it is shut down, or has done `max` jobs. `open` opens a queue for each part, and
/// `put` prints the lines of the commands.
pub fn work(
    open: Open<'_>,
    setup: &Setup,
    shutdown: &Shutdown,
    clock: &(dyn Fn() -> Timestamp + Sync),
    put: Put<'_>,
) -> Result<Summary, Error> {
    branch::check(&setup.projects)?;
    let worker = Worker {
        setup,
        shutdown,
        clock,
        put,
        left: AtomicU64::new(setup.max.unwrap_or(u64::MAX)),
        summary: Mutex::default(),
        no_project: Once::new(),
    };
    let mut queues = Vec::new();
    for _ in 0..setup.parallel {
        queues.push(open()?);
    }
    thread::scope(|scope| {
        let worker = &worker;
        let (ended, jobs) = mpsc::channel();
        thread::Builder::new()
            .name("bases".into())
            .spawn_scoped(scope, move || worker.watch_bases(open, &jobs))
            .map_err(Error::Thread)?;
        let mut parts = Vec::new();
        for (number, queue) in (1..).zip(queues) {
            let name = match setup.parallel {
                1 => setup.name.clone(),
                _ => format!("{}-{number}", setup.name),
            };
            let ended = ended.clone();
            let part = thread::Builder::new().name(name.clone());
            // One part logs for all: they wait for the same jobs.
            let speaks = number == 1;
            match part.spawn_scoped(scope, move || worker.part(queue, &name, speaks, &ended)) {
                Ok(part) => parts.push(part),
                Err(cause) => {
                    // The parts that run finish their jobs.
                    shutdown.drain();
                    return Err(Error::Thread(cause));
                }
            }
        }
        drop(ended);
        let ends = parts.into_iter().map(|part| part.join());
        let ends: Vec<_> = ends.map(|end| end.unwrap_or(Err(Error::Ended))).collect();
        ends.into_iter().collect::<Result<(), Error>>()
    })?;
    Ok(*worker
        .summary
        .lock()
        .unwrap_or_else(PoisonError::into_inner))
}

impl Worker<'_> {
    fn take_place(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.left.fetch_update(set, fetch, take).is_ok()
    }

    fn give_place_back(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, outcome: &Outcome) {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match outcome {
            Outcome::Done => &mut summary.done,
            Outcome::Failed => &mut summary.failed,
            Outcome::Deferred => &mut summary.put_off,
            Outcome::GivenUp => &mut summary.given_up,
        };
        *count = count.saturating_add(1);
    }
}
