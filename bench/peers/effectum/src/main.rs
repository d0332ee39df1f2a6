//! effectum: for each line `N`, enqueues N jobs and works them off, and answers with the
//! nanoseconds of both.
//!
//! A worker with one job at a time, made after the jobs were enqueued; the time ends when it has
//! ended.

use std::io::{self, BufRead};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use effectum::{Error, Job, JobRunner, Queue, RunningJob, Worker};
use tokio::sync::Notify;

/// The jobs that are still to be run.
#[derive(Debug, Default)]
struct Left {
    jobs: AtomicUsize,
    none: Notify,
}

async fn run(_: RunningJob, left: Arc<Left>) -> Result<(), Error> {
    if left.jobs.fetch_sub(1, Ordering::SeqCst) == 1 {
        left.none.notify_one();
    }
    Ok(())
}

#[tokio::main]
async fn main() {
    let path = std::env::args().nth(1).expect("a path");
    let queue = Queue::new(Path::new(&path)).await.unwrap();
    for line in io::stdin().lock().lines() {
        let jobs: usize = line.unwrap().parse().expect("a number");
        let begun = Instant::now();
        for _ in 0..jobs {
            Job::builder("job").add_to(&queue).await.unwrap();
        }
        let enqueued = Instant::now();
        let left = Arc::new(Left::default());
        left.jobs.store(jobs, Ordering::SeqCst);
        let worker = Worker::builder(&queue, left.clone())
            .jobs([JobRunner::builder("job", run).build()])
            .max_concurrency(1)
            .build()
            .await
            .unwrap();
        left.none.notified().await;
        worker.unregister(None).await.unwrap();
        println!("{} {}", (enqueued - begun).as_nanos(), enqueued.elapsed().as_nanos());
    }
}
