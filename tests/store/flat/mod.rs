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
use serial_gate::clause::{Agents, Clause, Dialect, Rendered, Table};
use serial_gate::policy;
use serial_gate::store::{HeadClaim, Lease, Scanned, Shaped, Store};

use crate::support::Gate;
use crate::support::engine::{Engine, Program};

/// A clause with all that a claim by it needs.
pub struct Rule {
    pub text: String,
    rendered: Rendered,
    digest: String,
    gated: Agents,
    reads: Vec<Table>,
}

impl Rule {
    /// A clause that has a shape; none if it has none.
    pub fn flat(text: &str) -> Option<Rule> {
        let clause = Clause::accept(text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
        let shape = clause.partitions().ok()?;
        let rendered = clause.render(dialect());
        Some(Rule {
            text: text.into(),
            digest: policy::digest(rendered.as_str().as_bytes()),
            gated: shape.gated,
            reads: shape.reads,
            rendered,
        })
    }

    fn shaped(&self) -> Shaped<'_> {
        Shaped {
            clause: &self.rendered,
            digest: &self.digest,
            gated: &self.gated,
            reads: &self.reads,
        }
    }

    /// The first job that the clause lets through, for some agents or for all, by a plain scan.
    pub fn first(&self, program: &Program, agents: &[String]) -> Option<i64> {
        let of_agents = match agents {
            [] => "TRUE".into(),
            agents => format!("agent IN ('{}')", agents.join("', '")),
        };
        program.maybe(format!(
            "SELECT min(id) FROM jobs WHERE status = 'queued' AND {of_agents} AND {}",
            self.rendered
        ))
    }

    /// A job that the clause holds although its agent is not gated.
    pub fn held_ungated(&self, program: &Program) -> Option<i64> {
        let ungated = Clause::accept(&self.text)
            .unwrap()
            .gated()
            .others(dialect());
        let sql = format!(
            "SELECT min(id) FROM jobs WHERE status = 'queued' AND {ungated} AND ({}) IS NOT TRUE",
            self.rendered
        );
        program.maybe(sql)
    }

    /// Claims by the candidates, for some agents or for all.
    #[track_caller]
    pub fn claim(&self, store: &mut Store, agents: &[String]) -> Option<i64> {
        let lease = Lease { agents, ..lease() };
        match store.claim_head(self.shaped(), lease).unwrap() {
            HeadClaim::Claimed(job) => Some(job.id),
            HeadClaim::Nothing => None,
            HeadClaim::NotReady => panic!("a small state is not ready: {}", self.text),
        }
    }

    /// Claims by a look at one queued job after another.
    pub fn claim_spliced(&self, store: &mut Store, agents: &[String]) -> Option<i64> {
        let lease = Lease { agents, ..lease() };
        let scanned = Scanned {
            clause: &self.rendered,
            digest: &self.digest,
            gated: &self.gated,
            reads_own_repo_only: true,
        };
        let claimed = store.claim(scanned, lease).unwrap();
        claimed.map(|job| job.id)
    }

    /// A partition of a repo that is not dirty whose candidate is not the one that a plain scan
    /// gives.
    pub fn disagreement(&self, program: &Program) -> Option<String> {
        let sqlite = sqlite(program);
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

/// The connection of a test that is about SQLite only.
pub fn sqlite(program: &Program) -> &Connection {
    match program {
        Program::Sqlite(connection) => connection,
        Program::Postgres(_) => panic!("this test is about SQLite"),
    }
}

pub fn lease() -> Lease<'static> {
    Lease {
        worker: "worker",
        agents: &[],
        generation: None,
        now: Timestamp::UNIX_EPOCH,
        lease: std::time::Duration::ZERO,
    }
}

/// How a clause is written for the engine under test.
fn dialect() -> Dialect {
    match Engine::under_test() {
        Engine::Sqlite => Dialect::Sqlite,
        Engine::Postgres => Dialect::Postgres,
    }
}

/// Another program's connection, without flushes.
pub fn other_program(gate: &Gate) -> Program {
    let program = gate.program();
    program.without_flushes();
    program
}
