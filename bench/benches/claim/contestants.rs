//! Who takes part: the ways to claim a job.
//!
//! Owns what each does in one turn. `sizes` decides who takes part where, and checks that each
//! claims the right job.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serial_gate::clause::{Agents, Rendered};
use serial_gate::gate::{Overrides, Rule};
use serial_gate::policy::Runtime;
use serial_gate::queue::{Options, Queue};
use serial_gate::store::{Claimed, Database, Durability, Lease, Scanned, Store};

use crate::cell::open;

const WORKER: &str = "bench";
const LEASE: Duration = Duration::from_secs(30 * 60);

/// The lower limit: a transaction that changes one row of a separate file.
pub struct Bare(Connection);

impl Bare {
    pub fn new(path: &Path) -> Bare {
        let sqlite = open(path);
        sqlite
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS one (row INTEGER);
                 DELETE FROM one;
                 INSERT INTO one VALUES (0)",
            )
            .unwrap();
        Bare(sqlite)
    }

    pub fn write(&self) {
        let mut update = self
            .0
            .prepare_cached("UPDATE one SET row = row + 1")
            .unwrap();
        assert_eq!(update.execute([]).unwrap(), 1);
    }
}

/// Ours, as a worker has it: the active generation, with or without the gate.
pub fn queue(path: &Path, runtime: &Runtime, enabled: Option<bool>) -> Queue {
    let overrides = Overrides {
        enabled,
        ..Overrides::default()
    };
    let options = Options {
        runtime: runtime.clone(),
        ..Options::default()
    };
    // A claim without the disk; `service` measures it with the disk.
    let database = Database::new(path.into(), Durability::Normal);
    Queue::open(database, Rule::Active(overrides), options).unwrap()
}

/// One claim of a worker.
pub fn claim(queue: &mut Queue) -> Option<Claimed> {
    queue.claim(Timestamp::now(), WORKER, LEASE).unwrap()
}

/// Ours without the index of heads: the query tests the clause on one queued job after another.
pub struct Spliced {
    store: Store,
    clause: Rendered,
}

impl Spliced {
    pub fn new(path: &Path, runtime: &Runtime) -> Spliced {
        let clause = queue(path, runtime, None).clause(Timestamp::now()).unwrap();
        let mut store = Store::open(Database::new(path.into(), Durability::Normal)).unwrap();
        store.set_claim_budget(Duration::from_secs(600));
        Spliced {
            store,
            clause: clause.rendered.clone(),
        }
    }

    pub fn claim(&mut self) -> Option<i64> {
        let now = Timestamp::now();
        let lease = Lease {
            agents: &[],
            worker: WORKER,
            generation: None,
            now,
            lease: LEASE,
        };
        let scanned = Scanned {
            clause: &self.clause,
            digest: "spliced",
            gated: &Agents::AllBut(Vec::new()),
            reads_own_repo_only: true,
        };
        let claimed = self.store.claim(scanned, lease).unwrap();
        claimed.map(|job| job.id)
    }
}

/// The reference's way: each claim opens a connection and formats the clause, and the tables have
/// no index.
pub struct Reference<'a> {
    path: &'a Path,
    /// Stays open: the last connection that closes checkpoints the database, which each claim would
    /// pay for.
    _open: Connection,
}

impl Reference<'_> {
    pub fn new(path: &Path) -> Reference<'_> {
        let sqlite = open(path);
        sqlite
            .query_row("SELECT count(*) FROM repo_freeze", [], |_| Ok(()))
            .unwrap();
        Reference {
            path,
            _open: sqlite,
        }
    }

    pub fn claim(&self) -> Option<i64> {
        let clause = "AND NOT ( jobs.agent = 'analyst' AND (
                EXISTS (SELECT 1 FROM tasks t2
                        WHERE t2.repo = jobs.repo AND t2.id < jobs.task_id AND t2.stage != 'done')
                OR EXISTS (SELECT 1 FROM repo_freeze f
                           WHERE f.repo = jobs.repo AND f.cleared_at IS NULL) ) )";
        let sql = format!(
            "UPDATE jobs SET status = 'running' WHERE id = (
                SELECT id FROM jobs WHERE status = 'queued' {clause} ORDER BY id LIMIT 1)
             RETURNING id"
        );
        let sqlite = open(self.path);
        let mut update = sqlite.prepare(&sql).unwrap();
        update.query_row([], |row| row.get(0)).optional().unwrap()
    }
}
