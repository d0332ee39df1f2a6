//! What is measured at one size: the claim, the poll of an empty queue, the full cycle, enqueueing.
//!
//! Owns who takes part. The four contests use the same files one after another, as the last contest
//! left them. Callers rely on this: every measured claim found a job, and every poll found none.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serial_gate::policy::Runtime;
use serial_gate::queue::Queue;
use serial_gate::store::{Actor, Ending, NewTask};
use serial_gate_bench::{Contest, Times, timed};

use crate::cell::{Cell, Files, open};
use crate::contestants::{Bare, Reference, Spliced, claim, queue};

pub const BARE: &str = "bare write";
pub const UNGATED: &str = "ungated";
pub const FLAT: &str = "flat";
pub const SPLICED: &str = "spliced";
pub const REFERENCE: &str = "reference";

pub const THREE_WRITES: &str = "3 bare writes";
pub const STEPS: [&str; 3] = ["claim", "finish the job", "finish the task"];

pub const PLAIN: &str = "plain tables";
pub const PREPARED: &str = "prepared tables";
pub const ADD_TASK: &str = "`add_task`";

/// The rows that the reference reads in some seconds, for one claim.
const REFERENCE_READS: u64 = 50_000_000;

/// The figures of one size.
pub struct Size {
    pub cell: Cell,
    pub claim: Vec<Times>,
    pub idle: Vec<Times>,
    pub cycle: Vec<Times>,
    pub enqueue: Vec<Times>,
}

/// How often to measure, and how long at most.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub patience: Duration,
}

/// Measures one size in an empty folder.
pub fn measure(cell: Cell, folder: &Path, runtime: &Runtime, effort: Effort) -> Size {
    let files = cell.build(folder);
    let bare = Bare::new(&folder.join("bare.db"));
    let ungated = RefCell::new(queue(&files.ungated, runtime, Some(false)));
    let flat = RefCell::new(queue(&files.flat, runtime, None));

    let claim = claims(cell, &files, &bare, [&ungated, &flat], runtime, effort);
    for file in [&files.plain, &files.ungated, &files.flat, &files.spliced] {
        cell.drain(file);
    }
    let idle = polls(cell, &files, &flat, runtime, effort);
    for file in [&files.ungated, &files.flat] {
        cell.finish_heads(file);
    }
    let cycle = cycles(cell, &bare, [&ungated, &flat], effort);
    let enqueue = enqueues(cell, &files, &flat, runtime, effort);
    Size {
        cell,
        claim,
        idle,
        cycle,
        enqueue,
    }
}

fn claims(
    cell: Cell,
    files: &Files,
    bare: &Bare,
    [ungated, flat]: [&RefCell<Queue>; 2],
    runtime: &Runtime,
    effort: Effort,
) -> Vec<Times> {
    let mut contest = Contest::new();
    contest.enter(BARE, || timed(|| bare.write()));
    contest.enter(
        UNGATED,
        in_order(1, || claim(&mut ungated.borrow_mut()).map(|job| job.id)),
    );
    let first = cell.held + 1;
    contest.enter(
        FLAT,
        in_order(first, || claim(&mut flat.borrow_mut()).map(|job| job.id)),
    );
    let mut spliced = Spliced::new(&files.spliced, runtime);
    contest.enter(SPLICED, in_order(first, move || spliced.claim()));
    if reference_ends(cell) {
        let reference = Reference::new(&files.plain);
        contest.enter(REFERENCE, in_order(first, move || reference.claim()));
    }
    contest.run(effort.rounds, effort.patience)
}

/// Whether the reference's claim ends in reasonable time: for each held job it reads the finished
/// tasks.
fn reference_ends(cell: Cell) -> bool {
    (cell.held + 1) * cell.finished <= REFERENCE_READS
}

/// A claim that has to give the jobs in the order of their ids.
fn in_order(first: u64, mut claim: impl FnMut() -> Option<i64>) -> impl FnMut() -> Duration {
    let mut next = first;
    move || {
        let begun = Instant::now();
        let job = claim();
        let took = begun.elapsed();
        assert_eq!(job, Some(i64::try_from(next).unwrap()));
        next += 1;
        took
    }
}

fn polls(
    cell: Cell,
    files: &Files,
    flat: &RefCell<Queue>,
    runtime: &Runtime,
    effort: Effort,
) -> Vec<Times> {
    let mut contest = Contest::new();
    contest.enter(FLAT, || {
        nothing(|| claim(&mut flat.borrow_mut()).map(|job| job.id))
    });
    let mut spliced = Spliced::new(&files.spliced, runtime);
    contest.enter(SPLICED, move || nothing(|| spliced.claim()));
    if reference_ends(cell) {
        let reference = Reference::new(&files.plain);
        contest.enter(REFERENCE, move || nothing(|| reference.claim()));
    }
    contest.run(effort.rounds, effort.patience)
}

/// A poll that has to find nothing.
fn nothing(poll: impl FnOnce() -> Option<i64>) -> Duration {
    let begun = Instant::now();
    let job = poll();
    let took = begun.elapsed();
    assert_eq!(job, None);
    took
}

fn cycles(
    cell: Cell,
    bare: &Bare,
    [ungated, flat]: [&RefCell<Queue>; 2],
    effort: Effort,
) -> Vec<Times> {
    let steps = RefCell::new(STEPS.map(|_| Vec::new()));
    let mut contest = Contest::new();
    contest.enter(THREE_WRITES, || timed(|| (0..3).for_each(|_| bare.write())));
    let mut repos = repos(cell);
    contest.enter(UNGATED, move || {
        cycle(&mut ungated.borrow_mut(), &repos()).into_iter().sum()
    });
    let mut repos = self::repos(cell);
    let kept = &steps;
    contest.enter(FLAT, move || {
        let took = cycle(&mut flat.borrow_mut(), &repos());
        for (times, took) in kept.borrow_mut().iter_mut().zip(took) {
            times.push(took);
        }
        took.into_iter().sum()
    });
    let mut times = contest.run(effort.rounds, effort.patience);
    for (name, times_of_step) in STEPS.into_iter().zip(steps.into_inner()) {
        // The first run was the warm-up.
        let measured = times_of_step.into_iter().skip(1).collect();
        times.push(Times::of(name, measured));
    }
    times
}

/// Claims a job, and finishes it and its task, so that the repo's next task may start. A new task
/// at the end keeps the queue at its length; adding it is not in the time.
fn cycle(queue: &mut Queue, repo: &str) -> [Duration; 3] {
    add_task(queue, repo);
    let begun = Instant::now();
    let job = claim(queue).unwrap();
    let claimed = Instant::now();
    let actor = Actor {
        now: Timestamp::now(),
        who: "bench",
        why: "",
    };
    queue.end_job(actor, job.claim(), Ending::Done).unwrap();
    let ended = Instant::now();
    let (store, task) = (queue.store(), job.task_id.unwrap());
    store.set_stage(Timestamp::now(), &[task], "done").unwrap();
    [claimed - begun, ended - claimed, ended.elapsed()]
}

fn enqueues(
    cell: Cell,
    files: &Files,
    flat: &RefCell<Queue>,
    runtime: &Runtime,
    effort: Effort,
) -> Vec<Times> {
    // The heads are known, as in a queue in use.
    claim(&mut queue(&files.spliced, runtime, None));
    let mut contest = Contest::new();
    for (name, file) in [(PLAIN, &files.plain), (PREPARED, &files.spliced)] {
        let mut sqlite = open(file);
        let mut repos = repos(cell);
        contest.enter(name, move || {
            let took = timed(|| insert(&mut sqlite, &repos()));
            if name == PREPARED {
                // The next insert marks the repo again, as after a claim.
                let mut clean = sqlite
                    .prepare_cached("DELETE FROM serial_gate_dirty")
                    .unwrap();
                assert_eq!(clean.execute([]).unwrap(), 1);
            }
            took
        });
    }
    let mut repos = repos(cell);
    contest.enter(ADD_TASK, move || {
        let queue = &mut flat.borrow_mut();
        let took = timed(|| add_task(queue, &repos()));
        claim(queue);
        took
    });
    contest.run(effort.rounds, effort.patience)
}

/// The statements of `add_task`, on any orchestrator's tables.
fn insert(sqlite: &mut Connection, repo: &str) {
    let transaction = sqlite
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    for (sql, agent_or_stage) in [
        (
            "INSERT INTO tasks (repo, stage) VALUES (?1, ?2)",
            "analysis",
        ),
        (
            "INSERT INTO jobs (task_id, repo, agent, status) \
             VALUES (last_insert_rowid(), ?1, ?2, 'queued')",
            "analyst",
        ),
    ] {
        let mut insert = transaction.prepare_cached(sql).unwrap();
        insert.execute(params![repo, agent_or_stage]).unwrap();
    }
    transaction.commit().unwrap();
}

fn add_task(queue: &mut Queue, repo: &str) {
    let task = NewTask {
        repo,
        work_item: None,
        stage: "analysis",
        agent: "analyst",
        label: None,
    };
    queue.store().add_task(Timestamp::now(), task).unwrap();
}

/// The names of the repos, one after another, again and again.
fn repos(cell: Cell) -> impl FnMut() -> String {
    let mut turns = (0..cell.repos).cycle();
    move || format!("repo-{}", turns.next().unwrap_or_default())
}
