//! apalis-sqlite: for each line `N`, enqueues N jobs and works them off, and answers with the
//! nanoseconds of both.
//!
//! These are the queries that its worker runs, one job at a time: fetch, lock, acknowledge, each in
//! a transaction of its own. Its worker is left out, because it waits between two polls.

use std::io::{self, BufRead};
use std::time::Instant;

use apalis_core::backend::TaskResult;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::status::Status;
use apalis_core::worker::context::WorkerContext;
use apalis_sqlite::queries::{ack_tasks, fetch_next, lock_tasks, push_tasks, register_worker};
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePoolOptions, SqliteStorage};

const QUEUE: &str = "jobs";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = std::env::args().nth(1).expect("a path");
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    SqliteStorage::setup(&pool).await.unwrap();
    // Its `setup` switches syncing off.
    sqlx::query("PRAGMA synchronous = NORMAL").execute(&pool).await.unwrap();
    let config = Config::default().queue(QUEUE).batch_size(1);
    let worker = WorkerContext::new("bench");
    register_worker(&pool, &config, &worker, "SqliteStorage").await.unwrap();

    for line in io::stdin().lock().lines() {
        let jobs: usize = line.unwrap().parse().expect("a number");
        let begun = Instant::now();
        for _ in 0..jobs {
            let mut transaction = pool.begin().await.unwrap();
            let task = TaskBuilder::new(b"1".to_vec()).build();
            push_tasks(&mut *transaction, QUEUE, &[task]).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let enqueued = Instant::now();
        for _ in 0..jobs {
            let mut transaction = pool.begin().await.unwrap();
            let fetched = fetch_next(&mut *transaction, &config, &worker).await.unwrap();
            transaction.commit().await.unwrap();
            let task_id = fetched[0].task_id().cloned().expect("it has an id");

            let mut transaction = pool.begin().await.unwrap();
            lock_tasks(&mut *transaction, &[task_id.to_string()], worker.name()).await.unwrap();
            transaction.commit().await.unwrap();

            let mut transaction = pool.begin().await.unwrap();
            let (status, result) = (Status::Done, Ok(().into()));
            let result = TaskResult { task_id, attempt: 1, status, result };
            let acknowledged = ack_tasks(&mut *transaction, &[&result], worker.name())
                .await
                .unwrap();
            assert_eq!(acknowledged, 1);
            transaction.commit().await.unwrap();
        }
        println!("{} {}", (enqueued - begun).as_nanos(), enqueued.elapsed().as_nanos());
    }
}
