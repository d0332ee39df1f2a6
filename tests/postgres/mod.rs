//! The triggers and functions in a real server, used by real sessions.
//!
//! Owns a queue in a schema of its own, its sessions and its claims. These are unit tests of the
//! store, because the texts are private. Each test makes its queue as `init` does and drops it.
//! `races` forces each known race, `schedules` runs random ones, `agree` compares claims with the
//! clause, `writers` has what other programs may do, `freezes` their numbers, `install` the change
//! of a clause, `plans` what a claim reads, `host` the claim of a real host. Every other session is
//! plain: another program knows no gate.

mod agree;
mod freezes;
mod host;
mod install;
mod plans;
mod races;
mod schedules;
mod serial;
mod writers;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use postgres::{Client, NoTls, Row};
use serial_gate_clause::{Agents, Clause, Dialect, Rendered, Table};

use super::claim::{ClauseFunctions, Way};
use super::freeze_number::create_freeze_number;
use super::own_tables::OWN;
use super::qualify::{identifier, qualified};
use super::schema::{INDEXES, SHARED, UNIQUE, create_index};
use super::{functions, heads, triggers};

/// The default rule, as its policy writes it.
const RULE: &str = "AND (jobs.agent <> 'analyst' OR (
    NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id
        AND t.stage <> 'done')
    AND NOT EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo
        AND f.cleared_at IS NULL)))";

/// A rule that reads jobs: at most two of a repo run.
const LIMIT: &str = "AND (jobs.agent <> 'analyst' OR (SELECT count(*) FROM jobs j
    WHERE j.repo = jobs.repo AND j.status = 'running') < 2)";

/// A rule without partitions, and one that reads other repos.
const BY_ID: &str = "AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.repo = jobs.repo
    AND j.id < jobs.id AND j.status IN ('queued', 'running'))";
const ELSEWHERE: &str = "AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = jobs.task_id
    AND t.stage = 'review')";

/// The server, if the environment names one.
pub(super) fn server() -> Option<String> {
    let named = std::env::var("SERIAL_GATE_TEST_PG").ok();
    let named = named.filter(|server| !server.is_empty());
    assert!(
        named.is_some() || std::env::var_os("CI").is_none_or(|ci| ci.is_empty()),
        "`CI` is set, and `SERIAL_GATE_TEST_PG` is not"
    );
    named
}

/// How often each race is forced.
fn times() -> u32 {
    let times = std::env::var("SERIAL_GATE_TEST_RACES").ok();
    times.and_then(|times| times.parse().ok()).unwrap_or(100)
}

/// A queue in a schema of its own, whose name needs quotes.
struct Queue {
    server: String,
    schema: String,
    rule: Rule,
}

/// A clause in use.
#[derive(Clone)]
struct Rule {
    clause: Rendered,
    digest: String,
    gated: Agents,
    way: Way,
}

/// What a claim came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Claimed {
    job: Option<i64>,
    task: Option<i64>,
    fence: Option<i64>,
    lease_until: Option<String>,
    busy: bool,
    held: Option<i32>,
}

impl Queue {
    /// A queue under a rule; none if there is no server.
    fn under(rule: &str) -> Option<Queue> {
        Queue::with(rule, "\"C\"")
    }

    /// The same, whose texts in the shared tables have another collation.
    fn with(rule: &str, collation: &str) -> Option<Queue> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = identifier(&format!("it's \"{}\" {count}", std::process::id()));
        let mut queue = Queue {
            server,
            schema,
            rule: Rule {
                clause: Clause::accept("").unwrap().render(Dialect::Postgres),
                digest: String::new(),
                gated: Agents::Only(Vec::new()),
                way: Way::Scan,
            },
        };
        queue.create(collation);
        queue.rule = queue.install(rule);
        Some(queue)
    }

    fn create(&self, collation: &str) {
        let schema = &self.schema;
        let mut sql = format!("CREATE SCHEMA {schema};");
        for shared in &SHARED {
            let shared = shared.create(schema);
            sql.push_str(&shared.replace("\"C\"", collation));
        }
        for own in &OWN {
            sql.push_str(&own.create(schema));
        }
        sql.push_str(&create_freeze_number(schema));
        for index in &UNIQUE {
            sql.push_str(&create_index(schema, "UNIQUE", index));
        }
        for index in &INDEXES {
            sql.push_str(&create_index(schema, "", index));
        }
        sql.extend(functions::without_clause(schema));
        sql.extend(triggers::functions(schema));
        sql.extend(triggers::all(schema).into_iter().map(|new| new.create));
        self.host().batch_execute(&sql).unwrap();
    }

    /// Makes a rule's functions, and its index where it has one.
    fn install(&self, rule: &str) -> Rule {
        let accepted = Clause::accept(rule).unwrap();
        let clause = accepted.render(Dialect::Postgres);
        let digest = digest(clause.as_str());
        let mut host = self.host();
        let mut change = host.transaction().unwrap();
        change
            .batch_execute(&heads::without_claims(&self.schema))
            .unwrap();
        let way = match accepted.partitions() {
            Ok(partitions) => {
                let reads = Table::ALL.map(|table| i64::from(partitions.reads.contains(&table)));
                let [tasks, jobs, freezes] = reads;
                let add = qualified(heads::ADD, &self.schema);
                let index = change
                    .query_one(&add, &[&digest, &tasks, &jobs, &freezes])
                    .unwrap()
                    .get(0);
                let dirty = qualified(&heads::make_dirty(), &self.schema);
                change.execute(&dirty, &[&index]).unwrap();
                Way::Heads {
                    index,
                    reads_jobs: jobs != 0,
                }
            }
            Err(_) if accepted.reads_own_repo_only() => Way::Scan,
            Err(_) => Way::ScanAlone,
        };
        let rule = Rule {
            clause,
            digest,
            gated: accepted.gated(),
            way,
        };
        let create = self.functions_of(&rule).create();
        change.batch_execute(&create.concat()).unwrap();
        change.commit().unwrap();
        rule
    }

    fn functions_of<'a>(&'a self, rule: &'a Rule) -> ClauseFunctions<'a> {
        ClauseFunctions {
            schema: &self.schema,
            clause: &rule.clause,
            digest: &rule.digest,
            gated: &rule.gated,
            way: rule.way,
        }
    }

    /// A session that knows the gate, and has nothing in its `search_path`.
    fn host(&self) -> Client {
        let mut host = Client::connect(&self.server, NoTls).unwrap();
        host.batch_execute("SET search_path = ''").unwrap();
        host
    }

    /// A session of another program.
    fn plain(&self) -> Client {
        let mut plain = Client::connect(&self.server, NoTls).unwrap();
        let path = format!("SET search_path = {}", self.schema);
        plain.batch_execute(&path).unwrap();
        plain
    }

    fn claim(&self, host: &mut Client) -> Claimed {
        self.claim_by(host, &[], None, 0)
    }

    fn claim_for(&self, host: &mut Client, agent: &str) -> Claimed {
        self.claim_by(host, &[agent], None, 0)
    }

    fn claim_by(
        &self,
        host: &mut Client,
        agents: &[&str],
        held: Option<i32>,
        wait: i32,
    ) -> Claimed {
        let row = try_claim(host, &self.functions_of(&self.rule), agents, held, wait);
        match row {
            // A host goes on.
            Ok(row) if row.get::<_, Option<bool>>("more") == Some(true) => {
                self.claim_by(host, agents, held, wait)
            }
            Ok(row) => claimed(&row),
            // A row that another program has changed twice is waited for in spite of `SKIP LOCKED`.
            // A host takes the end of the wait as `busy`.
            Err(error) => {
                let code = error.code();
                assert_eq!(code, Some(&SqlState::LOCK_NOT_AVAILABLE), "{error:?}");
                Claimed {
                    busy: true,
                    ..Claimed::default()
                }
            }
        }
    }

    /// The first job that the clause lets through, by the clause alone.
    fn first(&self, plain: &mut Client, agents: &[&str]) -> Option<i64> {
        let sql = format!(
            "SELECT id FROM jobs WHERE status = 'queued' AND ($1::text[] = '{{}}' OR agent = ANY ($1))
             AND {} ORDER BY id LIMIT 1",
            self.rule.clause
        );
        let row = plain.query_opt(&sql, &[&agents]).unwrap();
        row.map(|row| row.get(0))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let drop = format!(
            "SET client_min_messages = warning; SET lock_timeout = '10s'; DROP SCHEMA {} CASCADE",
            self.schema
        );
        let dropped = self.host().batch_execute(&drop);
        assert!(dropped.is_ok() || thread::panicking(), "{dropped:?}");
    }
}

fn try_claim(
    host: &mut Client,
    functions: &ClauseFunctions<'_>,
    agents: &[&str],
    held: Option<i32>,
    wait: i32,
) -> Result<Row, postgres::Error> {
    let lease = 60_i64;
    let none = None::<i64>;
    host.query_one(
        &functions.claiming(),
        &[
            &serde_json::json!(agents).to_string(),
            &"w-1",
            &"sgc_token",
            &lease,
            &none,
            &none,
            &held,
            &wait,
            &true,
            &true,
        ],
    )
}

fn claimed(row: &Row) -> Claimed {
    Claimed {
        job: row.get(0),
        task: row.get(1),
        fence: row.get(6),
        lease_until: row.get(7),
        busy: row.get(8),
        held: row.get(9),
    }
}

/// A digest that is good enough to tell the rules of these tests apart.
fn digest(text: &str) -> String {
    let mut digest = 0xcbf2_9ce4_8422_2325_u128;
    for byte in text.bytes() {
        digest = (digest ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    }
    format!("{digest:032x}")
}

/// Adds a task with a queued job of an agent; returns both ids.
fn add(plain: &mut impl postgres::GenericClient, repo: &str, agent: &str) -> (i64, i64) {
    let task: i64 = plain
        .query_one(
            "INSERT INTO tasks (repo, stage) VALUES ($1, 'analysis') RETURNING id",
            &[&repo],
        )
        .unwrap()
        .get(0);
    let job = plain
        .query_one(
            "INSERT INTO jobs (task_id, repo, agent) VALUES ($1, $2, $3) RETURNING id",
            &[&task, &repo, &agent],
        )
        .unwrap()
        .get(0);
    (task, job)
}

/// The locks of a session, for `until_it_waits`.
fn locks_of(client: &mut Client) -> String {
    let row = client.query_one("SELECT 'pid = ' || pg_backend_pid()", &[]);
    row.unwrap().get(0)
}

/// Waits until a session waits for a lock; `which` is a condition on `pg_locks`.
fn until_it_waits(watcher: &mut Client, which: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    let sql = format!("SELECT count(*) FROM pg_locks WHERE {which} AND NOT granted");
    while count(watcher, &sql) == 0 {
        assert!(Instant::now() < end, "the session never waited for a lock");
        thread::sleep(Duration::from_millis(1));
    }
}

fn count(plain: &mut Client, sql: &str) -> i64 {
    plain.query_one(sql, &[]).unwrap().get(0)
}
