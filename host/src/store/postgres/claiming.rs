//! A worker's claim, asked for by this process.
//!
//! Owns when the functions of a clause are made in the server, and how often a claim that is `busy`
//! asks again. Leaves the steps of a claim to `claim`, which runs in the server. Callers rely on
//! this: a claim is one statement, so the server waits for nothing between its locks and its commit;
//! and a claim that others delay is never reported as having found nothing.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use postgres::error::SqlState;

use super::aside::Aside;
use super::claim::{ClauseFunctions, Way, drop_function, drop_functions, oldest_scans};
use super::engine::Postgres;
use super::error::reason;
use super::functions::{NAME_REFUSED, WRONG_ISOLATION};
use super::transaction::limit;
use super::tx::Session;
use super::{busy, heads};
use crate::clause::Table;
use crate::store::engine::{Row, Tx, values};
use crate::store::time::whole_seconds;
use crate::store::token::new_token;
use crate::store::{Claimed, Durability, Error, HeadClaim, Lease, Problem, Scanned, Shaped};

/// How long a claim goes on while others hold what it needs. Other requests of a service wait
/// meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a claim waits in the line for one repo's lock, in milliseconds.
const WAIT: i64 = 1_000;

/// How often functions are made anew that another host has dropped meanwhile.
const TRIES: usize = 3;

/// How long a claim evaluates repos before it gives a job away, so that after a bulk load the jobs
/// are in the order of their ids, too. Where repos are written faster than they are evaluated, a job
/// out of order is better than none.
const IN_ORDER: Duration = Duration::from_secs(2);

/// By how many clauses a connection claims. The server's process keeps the plans of each, and looks
/// through all of them at every change of a table or a function.
const CLAUSES: usize = 32;

/// How many repos are evaluated in one call, before a new index is used.
const SETTLED: i64 = 256;

/// What one call of a claim's function comes to.
struct Answer {
    claimed: Option<Claimed>,
    is_busy: bool,
    /// A key to wait for.
    held: Option<i64>,
    /// Whether there are more repos to evaluate.
    more: bool,
}

impl Postgres {
    /// Gives the first claimable job to a worker, by one queued job after another.
    pub(crate) fn claim(
        &mut self,
        scanned: Scanned<'_>,
        lease: Lease<'_>,
    ) -> Result<Option<Claimed>, Error> {
        let schema = self.schema()?;
        let functions = by_scan(scanned, &schema);
        self.claim_by(functions, lease, |session| add_scan(session, functions))
    }

    /// Gives the first head to a worker.
    pub(crate) fn claim_head(
        &mut self,
        shaped: Shaped<'_>,
        lease: Lease<'_>,
    ) -> Result<HeadClaim, Error> {
        let schema = self.schema()?;
        let functions = with_heads(shaped, &schema, 0);
        let claimed = self.claim_by(functions, lease, |session| {
            add_heads(session, &schema, shaped)
        })?;
        Ok(claimed.map_or(HeadClaim::Nothing, HeadClaim::Claimed))
    }

    /// Makes what claims need in the server, unless it is there.
    pub(crate) fn prepare_claims(
        &mut self,
        shaped: Option<Shaped<'_>>,
        scanned: Scanned<'_>,
    ) -> Result<(), Error> {
        let schema = self.schema()?;
        match shaped {
            Some(shaped) => {
                let name = with_heads(shaped, &schema, 0).claims_by();
                self.look_for(&name, |session| add_heads(session, &schema, shaped))
            }
            None => {
                let functions = by_scan(scanned, &schema);
                self.look_for(&functions.claims_by(), |session| {
                    add_scan(session, functions)
                })
            }
        }
    }

    /// Claims by functions, which `install` makes if they are not there.
    fn claim_by(
        &mut self,
        functions: ClauseFunctions<'_>,
        lease: Lease<'_>,
        install: impl Fn(&Session<'_>) -> Result<(), Error>,
    ) -> Result<Option<Claimed>, Error> {
        let (mut begun, mut busy_since) = (Instant::now(), None);
        let (mut held, mut tries, mut pause) = (None, 0, Duration::from_millis(1));
        let (name, claiming) = (functions.claims_by(), functions.claiming());
        let mut aside = Aside::default();
        loop {
            if !self.functions.found.contains(&name) {
                if self.functions.found.len() >= CLAUSES {
                    self.renew();
                }
                self.look_for(&name, &install)?;
                begun = Instant::now();
            }
            let is_safe = self.durability == Durability::Full;
            let in_order = begun.elapsed() < IN_ORDER;
            let ask = |session: &Session<'_>| {
                let how = (aside.last, held, is_safe, in_order);
                ask(session, &claiming, lease, how)
            };
            let answer = match functions.way {
                _ if aside.is_named => self.write(|session| {
                    session.batch(NAME_REFUSED)?;
                    ask(session)
                }),
                Way::Heads { .. } if self.functions.need_begin => self.write(ask),
                Way::Heads { .. } => self.commit_one(ask),
                // Its cost grows with the jobs that are held, and a statement cannot set its own
                // limit.
                Way::Scan | Way::ScanAlone => {
                    let limit = limit("statement_timeout", self.claim_budget);
                    let scanned = self.write(|session| {
                        session.batch(&limit)?;
                        ask(session)
                    });
                    scanned.map_err(|error| self.in_budget(error))
                }
            };
            let busy = match answer {
                Ok(Answer {
                    claimed: Some(claimed),
                    ..
                }) => {
                    aside.tell();
                    return Ok(Some(claimed));
                }
                Ok(Answer { more: true, .. }) if in_order => continue,
                Ok(Answer { is_busy: false, .. }) => return aside.refusal().map_or(Ok(None), Err),
                Ok(answer) => answer.held,
                Err(error) if tries < TRIES && is_missing(&error) => {
                    tries += 1;
                    self.make(&install)?;
                    continue;
                }
                Err(error) if tries < TRIES && has_code(&error, WRONG_ISOLATION) => {
                    tries += 1;
                    self.functions = KnownFunctions::default();
                    continue;
                }
                // It has waited for a lock as long as it may without a deadlock.
                Err(error) if matches!(error.problem(), Some(Problem::Locked)) => None,
                Err(error) => {
                    aside.put(error)?;
                    continue;
                }
            };
            let since = *busy_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= PATIENCE {
                return Err(self.why_busy()?.at(self.location()));
            }
            // Without a key, what was in the way is a row, a table, or a change of the clauses.
            held = busy;
            if held.is_none() {
                std::thread::sleep(pause);
                pause = pause.saturating_mul(2).min(Duration::from_millis(50));
            }
        }
    }

    /// Looks for a function, and makes it with its others if it is not there. A call would find out
    /// as well, but is an error in the server's log.
    fn look_for(
        &mut self,
        name: &str,
        install: impl Fn(&Session<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (is_there, may_create, need_begin) = self.read_fast(|session| {
            let tx: &dyn Tx = session;
            tx.only(LOOK, values![session.schema(), name], |row| {
                Ok((
                    row.get::<bool>(0)?,
                    row.get::<bool>(1)?,
                    row.get::<bool>(2)?,
                ))
            })
        })?;
        if !is_there && !may_create {
            return Err(Problem::NoFunctions.at(self.location()));
        }
        if !is_there {
            self.make(install)?;
        }
        self.functions.need_begin = need_begin;
        self.functions.found.insert(name.into());
        Ok(())
    }

    /// Why a claim has to wait.
    fn why_busy(&mut self) -> Result<Problem, Error> {
        let holders = self.read_fast(busy::holders)?;
        Ok(match holders.is_empty() {
            true => Problem::Locked,
            false => Problem::Busy(holders),
        })
    }

    fn make(&mut self, install: impl Fn(&Session<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let made = self.write(install);
        made.map_err(|error| match error.problem() {
            Some(Problem::NotAllowed(_)) => Problem::NoFunctions.at(self.location()),
            _ => error,
        })
    }
}

/// Whether a function is there, whether this role may make it, and whether a statement that stands
/// alone has another isolation level than a claim needs.
const LOOK: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = to_regnamespace($1) AND p.proname = $2),
    has_schema_privilege(to_regnamespace($1)::oid, 'CREATE'),
    current_setting('transaction_isolation') <> 'read committed'";

/// What a connection knows of the server's functions.
#[derive(Default)]
pub(super) struct KnownFunctions {
    found: HashSet<String>,
    need_begin: bool,
}

/// The functions of a clause without heads.
fn by_scan<'a>(scanned: Scanned<'a>, schema: &'a str) -> ClauseFunctions<'a> {
    ClauseFunctions {
        schema,
        clause: scanned.clause,
        digest: scanned.digest,
        gated: scanned.gated,
        way: match scanned.reads_own_repo_only {
            true => Way::Scan,
            false => Way::ScanAlone,
        },
    }
}

/// Makes the function of a clause without heads, and drops the oldest of that kind.
fn add_scan(session: &Session<'_>, functions: ClauseFunctions<'_>) -> Result<(), Error> {
    let tx: &dyn Tx = session;
    session.batch(&heads::without_claims(functions.schema))?;
    session.batch(&functions.create().concat())?;
    let name = |row: Row<'_>| row.get::<String>(0);
    for oldest in tx.rows(&oldest_scans(), values![functions.schema], name)? {
        session.batch(&drop_function(functions.schema, &oldest))?;
    }
    Ok(())
}

/// The functions of a clause with heads. The number of its index is in their texts, and not in their
/// names.
pub(super) fn with_heads<'a>(
    shaped: Shaped<'a>,
    schema: &'a str,
    index: i64,
) -> ClauseFunctions<'a> {
    ClauseFunctions {
        schema,
        clause: shaped.clause,
        digest: shaped.digest,
        gated: shaped.gated,
        way: Way::Heads {
            index,
            reads_jobs: shaped.reads.contains(&Table::Jobs),
        },
    }
}

/// Makes the index of a clause and its functions, and evaluates every repo once.
fn add_heads(session: &Session<'_>, schema: &str, shaped: Shaped<'_>) -> Result<(), Error> {
    let tx: &dyn Tx = session;
    session.batch(&heads::without_claims(schema))?;
    let [tasks, jobs, freezes] = Table::ALL.map(|table| shaped.reads.contains(&table));
    let id = |row: Row<'_>| row.get::<i64>(0);
    let known = tx.row(heads::KNOWN, values![shaped.digest], id)?;
    let index = match known {
        Some(index) => index,
        None => {
            let values = values![shaped.digest, tasks, jobs, freezes];
            let index = tx.only(heads::ADD, values, id)?;
            tx.execute(&heads::make_dirty(), values![index])?;
            index
        }
    };
    let digest = |row: Row<'_>| row.get::<String>(0);
    for removed in tx.rows(&heads::remove_oldest(), &[], digest)? {
        session.batch(&drop_functions(schema, &removed).concat())?;
    }
    for remove in heads::REMOVE_ROWS {
        tx.execute(remove, &[])?;
    }
    let functions = with_heads(shaped, schema, index);
    session.batch(&functions.create().concat())?;
    // Until every repo is evaluated once, claims would leave the order of ids. A repo that is
    // written without a pause stays dirty, and a claim waits for it.
    let left = format!("SELECT count(*) FROM serial_gate_dirty WHERE idx = {index}");
    let count = || tx.only(&left, &[], |row| row.get::<i64>(0));
    let mut before = count()?;
    while before > 0 {
        let held: Option<i64> =
            tx.only(&functions.settling(), values![SETTLED], |row| row.get(0))?;
        let after = count()?;
        if after == before && held.is_some() {
            break;
        }
        before = after;
    }
    Ok(())
}

fn ask(
    session: &Session<'_>,
    claiming: &str,
    lease: Lease<'_>,
    (beyond, held, is_safe, in_order): (Option<i64>, Option<i64>, bool, bool),
) -> Result<Answer, Error> {
    let token = new_token()?;
    let seconds = whole_seconds(lease.lease);
    // The list is JSON, in which the statement would not find such a character.
    if lease.agents.iter().any(|agent| agent.contains('\0')) {
        return Err(Error::NotKept);
    }
    let agents = serde_json::Value::from(lease.agents).to_string();
    let values = values![
        agents,
        lease.worker,
        token,
        seconds,
        lease.generation,
        beyond,
        held,
        WAIT,
        is_safe,
        in_order,
    ];
    let tx: &dyn Tx = session;
    tx.only(claiming, values, |row| {
        let claimed = row.id(0)?.map(|id| {
            Ok::<_, Error>(Claimed {
                id,
                task_id: row.id(1)?,
                work_item_id: row.shown(2)?,
                repo: row.shown(3)?,
                agent: row.shown(4)?,
                attempt: row.get(5)?,
                fence: row.get(6)?,
                lease_until: row.get(7)?,
                token: token.clone(),
                worker: lease.worker.into(),
                generation: lease.generation,
            })
        });
        Ok(Answer {
            claimed: claimed.transpose()?,
            is_busy: row.get(8)?,
            held: row.get(9)?,
            more: row.get::<Option<bool>>(10)?.unwrap_or_default(),
        })
    })
}

/// Whether the functions of a claim are not there, or were replaced while they ran.
fn is_missing(error: &Error) -> bool {
    has_code(error, SqlState::UNDEFINED_FUNCTION.code())
}

fn has_code(error: &Error, code: &str) -> bool {
    let found = reason(error).and_then(postgres::Error::code);
    found.is_some_and(|found| found.code() == code)
}
