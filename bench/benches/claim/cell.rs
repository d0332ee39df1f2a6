//! One size: a database with a number of held jobs and repos, and a copy of it for each contestant.
//!
//! Owns the rows. Callers rely on this: the held jobs have the ids 1 to `held`. After them come
//! jobs that may be claimed, every other one a gated job of its repo's first task. Each file is on
//! the disk before anything is measured, so that no contestant pays for writing another's copy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;
use serial_gate::gate::default_settings;
use serial_gate::queue::Queue;
use serial_gate::store::Actor;

/// One size.
#[derive(Clone, Copy)]
pub struct Cell {
    pub held: u64,
    pub repos: u64,
    pub finished: u64,
    /// Jobs that may be claimed: one for each round, and one to warm up.
    pub free: u64,
}

/// Its files.
pub struct Files {
    /// The orchestrator's own tables, without an index of ours.
    pub plain: PathBuf,
    pub ungated: PathBuf,
    pub flat: PathBuf,
    pub spliced: PathBuf,
}

impl Cell {
    /// Makes the files in a folder.
    pub fn build(&self, folder: &Path) -> Files {
        let plain = folder.join("plain.db");
        self.fill(&plain);
        let prepared = folder.join("flat.db");
        copy(&plain, &prepared);
        let actor = Actor {
            now: Timestamp::now(),
            who: "bench",
            why: "to measure",
        };
        Queue::init(&prepared, &default_settings(), actor).unwrap();
        settle(&prepared);
        let [ungated, spliced] = ["ungated.db", "spliced.db"].map(|name| {
            let to = folder.join(name);
            copy(&prepared, &to);
            to
        });
        Files {
            plain,
            ungated,
            flat: prepared,
            spliced,
        }
    }

    /// Makes the reference's tables. `init` adds its indexes after that, which is faster than to
    /// update them row by row.
    fn fill(&self, path: &Path) {
        let Cell {
            held,
            repos,
            finished,
            free,
        } = self;
        let sqlite = open(path);
        let until = |n: &u64| {
            format!(
                "WITH RECURSIVE n (i) AS (
                    SELECT 1 WHERE {n} > 0 UNION ALL SELECT i + 1 FROM n WHERE i < {n})"
            )
        };
        let (done, heads, waiting, claimable) =
            (until(finished), until(repos), until(held), until(free));
        sqlite
            .execute_batch(&format!(
                "PRAGMA synchronous = OFF;
                 CREATE TABLE tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, work_item_id TEXT,
                    repo TEXT, stage TEXT, created_at TEXT DEFAULT (datetime('now')));
                 CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER,
                    repo TEXT, agent TEXT, status TEXT DEFAULT 'queued',
                    created_at TEXT DEFAULT (datetime('now')));
                 CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY AUTOINCREMENT, repo TEXT NOT NULL,
                    frozen_at TEXT DEFAULT (datetime('now')), cleared_at TEXT, reason TEXT,
                    work_item_id TEXT);
                 BEGIN;
                 {done} INSERT INTO tasks (repo, stage)
                    SELECT 'repo-' || (i % {repos}), 'done' FROM n;
                 {heads} INSERT INTO tasks (repo, stage)
                    SELECT 'repo-' || (i % {repos}), 'development' FROM n;
                 {waiting} INSERT INTO tasks (repo, stage)
                    SELECT 'repo-' || (i % {repos}), 'analysis' FROM n;
                 {waiting} INSERT INTO jobs (task_id, repo, agent)
                    SELECT {finished} + {repos} + i, 'repo-' || (i % {repos}), 'analyst' FROM n;
                 {claimable} INSERT INTO jobs (task_id, repo, agent)
                    SELECT id, repo, iif(i % 2, 'analyst', 'developer')
                    FROM n JOIN tasks ON tasks.id = {finished} + 1 + i / 2 % {repos};
                 {heads} INSERT INTO repo_freeze (repo, cleared_at)
                    SELECT 'repo-' || (i % {repos}), datetime('now') FROM n;
                 COMMIT;"
            ))
            .unwrap();
        drop(sqlite);
        settle(path);
    }

    /// Ends the jobs that may be claimed, so that no claim finds one.
    pub fn drain(&self, path: &Path) {
        let sqlite = open(path);
        let sql = "UPDATE jobs SET status = 'done' WHERE status = 'queued' AND id > ?1";
        sqlite.execute(sql, [self.held]).unwrap();
    }

    /// Finishes the first task of each repo.
    pub fn finish_heads(&self, path: &Path) {
        let sqlite = open(path);
        let sql = "UPDATE tasks SET stage = 'done' WHERE id > ?1 AND id <= ?1 + ?2";
        sqlite.execute(sql, [self.finished, self.repos]).unwrap();
    }
}

/// A connection as the library has its own: WAL, and synced when the log is checkpointed.
pub fn open(path: &Path) -> Connection {
    let sqlite = Connection::open(path).unwrap();
    sqlite.pragma_update(None, "journal_mode", "WAL").unwrap();
    sqlite.pragma_update(None, "synchronous", "NORMAL").unwrap();
    sqlite
        .busy_timeout(std::time::Duration::from_secs(30))
        .unwrap();
    sqlite
}

/// Brings the log into the file, and the file to the disk.
fn settle(path: &Path) {
    let sqlite = open(path);
    let checkpointed: i64 = sqlite
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(checkpointed, 0, "the log is in use");
    drop(sqlite);
    File::open(path).unwrap().sync_all().unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    File::open(to).unwrap().sync_all().unwrap();
}
