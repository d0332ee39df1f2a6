//! The claim that costs the same however many jobs are held: whether its candidates are always what
//! the clause says.
//!
//! The oracle here is a plain scan in SQL, which knows no shape, no partition and no trigger.

mod cost;
mod derivation;
mod doctor;
mod operations;
mod replaced;
mod shapes;
mod triggers;
mod waiting;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};
use serial_gate::clause::{Clause, Dialect, Rendered, Table};
use serial_gate::policy;
use serial_gate::store::{HeadClaim, Lease, Shaped, Store};

use crate::support::Gate;

/// A clause with all that a claim by it needs.
pub struct Rule {
    pub text: String,
    rendered: Rendered,
    digest: String,
    reads: Vec<Table>,
}

impl Rule {
    /// A clause that has a shape; none if it has none.
    pub fn flat(text: &str) -> Option<Rule> {
        let clause = Clause::accept(text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
        let shape = clause.partitions().ok()?;
        let rendered = clause.render(Dialect::Sqlite);
        Some(Rule {
            text: text.into(),
            digest: policy::digest(rendered.as_str().as_bytes()),
            reads: shape.reads,
            rendered,
        })
    }

    fn shaped(&self) -> Shaped<'_> {
        Shaped {
            clause: &self.rendered,
            digest: &self.digest,
            reads: &self.reads,
        }
    }

    /// The first job that the clause lets through, for an agent or for all, by a plain scan.
    pub fn first(&self, sqlite: &Connection, agent: Option<&str>) -> Option<i64> {
        let sql = format!(
            "SELECT min(id) FROM jobs WHERE status = 'queued' AND (?1 IS NULL OR agent = ?1) AND \
             {}",
            self.rendered
        );
        let mut query = sqlite.prepare_cached(&sql).unwrap();
        query.query_row([agent], |row| row.get(0)).unwrap()
    }

    /// A job that the clause holds although its agent is not gated.
    pub fn held_ungated(&self, sqlite: &Connection) -> Option<i64> {
        let ungated = Clause::accept(&self.text)
            .unwrap()
            .gated()
            .others(Dialect::Sqlite);
        let sql = format!(
            "SELECT min(id) FROM jobs WHERE status = 'queued' AND {ungated} AND ({}) IS NOT TRUE",
            self.rendered
        );
        sqlite.query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// Claims by the candidates, for an agent or for all.
    #[track_caller]
    pub fn claim(&self, store: &mut Store, agent: Option<&str>) -> Option<i64> {
        let lease = Lease { agent, ..lease() };
        match store.claim_head(self.shaped(), lease).unwrap() {
            HeadClaim::Claimed(job) => Some(job.id),
            HeadClaim::Nothing => None,
            HeadClaim::NotReady => panic!("a small state is not ready: {}", self.text),
        }
    }

    /// Claims by a look at one queued job after another.
    pub fn claim_spliced(&self, store: &mut Store, agent: Option<&str>) -> Option<i64> {
        let lease = Lease { agent, ..lease() };
        let claimed = store.claim(&self.rendered, lease).unwrap();
        claimed.map(|job| job.id)
    }

    /// A partition of a repo that is not dirty whose candidate is not the one that a plain scan
    /// gives.
    pub fn disagreement(&self, sqlite: &Connection) -> Option<String> {
        let sql = format!(
            "SELECT quote(named.repo) || ', ' || quote(named.agent) || ': candidate ' || \
             quote(candidate)
                    || ', by the clause ' || quote(first) FROM (
                SELECT repo, agent,
                    (SELECT group_concat(job) FROM serial_gate_partition WHERE idx = :idx
                        AND no_repo = (named.repo IS NULL) AND repo = coalesce(named.repo, '')
                        AND agent IS named.agent) AS candidate,
                    (SELECT CAST(min(id) AS TEXT) FROM jobs
                     WHERE status = 'queued' AND repo IS named.repo AND agent IS named.agent AND \
                     {}) AS first
                FROM (SELECT repo, agent FROM jobs UNION
                      SELECT CASE WHEN no_repo THEN NULL ELSE repo END, agent
                      FROM serial_gate_partition WHERE idx = :idx) AS named
             ) AS named
             WHERE candidate IS NOT first AND NOT EXISTS (SELECT 1 FROM serial_gate_dirty WHERE \
             idx = :idx
                AND no_repo = (named.repo IS NULL) AND repo = coalesce(named.repo, '')) LIMIT 1",
            self.rendered
        );
        let index = sqlite
            .prepare_cached("SELECT id FROM serial_gate_index WHERE clause = ?1")
            .unwrap()
            .query_row([&self.digest], |row| row.get::<_, i64>(0));
        let index = index.optional().unwrap()?;
        let mut query = sqlite.prepare_cached(&sql).unwrap();
        let found = query.query_row(named_params! { ":idx": index }, |row| row.get(0));
        found.optional().unwrap()
    }
}

pub fn lease() -> Lease<'static> {
    Lease {
        worker: "worker",
        agent: None,
        generation: None,
        now: Timestamp::UNIX_EPOCH,
        lease: std::time::Duration::ZERO,
    }
}

/// Another program's connection, without flushes.
pub fn other_program(gate: &Gate) -> Connection {
    let sqlite = gate.sqlite();
    sqlite.pragma_update(None, "synchronous", "OFF").unwrap();
    sqlite.set_prepared_statement_cache_capacity(64);
    sqlite
}
