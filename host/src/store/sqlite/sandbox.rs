//! The second sandbox, behind the clause's language (docs/design.md, "The guard").
//!
//! Owns what SQLite itself refuses: an authorizer that lets a statement read the contract's tables,
//! take a minimum, a maximum or a count of them, and do nothing else, and a time budget. It trusts
//! no earlier check. The authorizer is set once, because setting it again would make SQLite compile
//! every statement anew; what changes is the flag that it looks at. Callers rely on this: it is
//! closed unless [`Sandbox::open_for_own_statements`] says that the text is the host's own.
//!
//! The host's own statements run an orchestrator's triggers too, on the same connection. So nothing
//! is forbidden here to all statements alike that a trigger may have: no double-quoted string, no
//! long LIKE, no UNION. The clause's language has none of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

/// About 50 µs of SQLite's work.
const INSTRUCTIONS_BETWEEN_LOOKS: i32 = 1_000;

/// A queue of a million held jobs needs about one second where the clause has no shape.
const BUDGET: Duration = Duration::from_secs(5);

/// The contract's tables.
const TABLES: [&str; 3] = ["jobs", "tasks", "repo_freeze"];

/// All that the clause's language has. SQLite's others reach files, memory and time.
const FUNCTIONS: [&str; 3] = ["min", "max", "count"];

/// The sandbox around a connection.
pub(crate) struct Sandbox {
    budget: Duration,
    base: Instant,
    /// Microseconds after `base` at which a statement is interrupted.
    deadline: Arc<AtomicU64>,
    /// Whether the statement at work is the host's own.
    own: Arc<AtomicBool>,
    /// The functions that a statement may name.
    functions: Arc<HashSet<String>>,
}

/// That a budget runs. It ends on a panic, too.
pub(crate) struct Budgeted<'a>(&'a AtomicU64);

impl Drop for Budgeted<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}

/// That the sandbox is open. It closes on a panic, too.
struct Opened<'a> {
    own: &'a AtomicBool,
    before: bool,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.own.store(self.before, Ordering::Relaxed);
    }
}

impl Sandbox {
    pub(crate) fn around(connection: &mut Connection) -> rusqlite::Result<Sandbox> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        for (limit, value) in [
            // Room for the longest clause that the guard accepts, printed.
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 8 << 20),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, value)?;
        }
        let sandbox = Sandbox {
            budget: BUDGET,
            base: Instant::now(),
            deadline: Arc::new(AtomicU64::new(u64::MAX)),
            own: Arc::default(),
            functions: Arc::new(functions(connection)?),
        };
        connection.progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, Some(sandbox.interrupter()))?;
        connection.authorizer(Some(sandbox.authorizer()))?;
        Ok(sandbox)
    }

    /// The time that what is asked by a clause may take.
    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    pub(crate) fn set_budget(&mut self, budget: Duration) {
        self.budget = budget;
    }

    /// Starts the budget anew. It ends when what is returned is dropped.
    pub(crate) fn start_budget(&self) -> Budgeted<'_> {
        let deadline = self.base.elapsed().saturating_add(self.budget).as_micros();
        self.deadline.store(
            u64::try_from(deadline).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        Budgeted(&self.deadline)
    }

    /// Runs statements of the host's own, which may write, and an orchestrator's triggers with
    /// them. They have no budget: a change that was begun is not the clause's to stop.
    pub(crate) fn open_for_own_statements<T>(&self, run: impl FnOnce() -> T) -> T {
        let _opened = Opened {
            own: &self.own,
            before: self.own.swap(true, Ordering::Relaxed),
        };
        run()
    }

    fn interrupter(&self) -> impl FnMut() -> bool + Send + 'static {
        let (base, deadline) = (self.base, Arc::clone(&self.deadline));
        let own = Arc::clone(&self.own);
        move || {
            !own.load(Ordering::Relaxed)
                && base.elapsed().as_micros() > u128::from(deadline.load(Ordering::Relaxed))
        }
    }

    fn authorizer(&self) -> impl FnMut(AuthContext<'_>) -> Authorization + Send + 'static {
        let (own, functions) = (Arc::clone(&self.own), Arc::clone(&self.functions));
        move |context| {
            let allowed = own.load(Ordering::Relaxed)
                || match context.action {
                    AuthAction::Select | AuthAction::Transaction { .. } => true,
                    AuthAction::Read { table_name, .. } => TABLES
                        .iter()
                        .any(|table| table.eq_ignore_ascii_case(table_name)),
                    AuthAction::Function { function_name } => {
                        functions.contains(&function_name.to_ascii_lowercase())
                    }
                    _ => false,
                };
            if allowed {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        }
    }
}

/// The language's functions, and every word of a column's default: SQLite asks for a default's
/// functions too when the column is read, and an orchestrator's `frozen_at` has some.
fn functions(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut functions: HashSet<String> = FUNCTIONS.map(Into::into).into();
    for table in TABLES {
        let mut query = connection.prepare(
            "SELECT dflt_value FROM pragma_table_xinfo(?1) WHERE dflt_value IS NOT NULL",
        )?;
        let mut defaults = query.query([table])?;
        while let Some(row) = defaults.next()? {
            let default: String = row.get(0)?;
            let words = default.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            functions.extend(words.map(str::to_ascii_lowercase));
        }
    }
    Ok(functions)
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let sqlite = Connection::open_in_memory().unwrap();
        sqlite
            .execute_batch(
                "CREATE TABLE jobs (id INTEGER PRIMARY KEY, repo TEXT);
                 CREATE TABLE tasks (id INTEGER PRIMARY KEY);
                 CREATE TABLE repo_freeze (repo TEXT, frozen_at TEXT DEFAULT (DateTime('now')));
                 CREATE TABLE secrets (secret TEXT)",
            )
            .unwrap();
        sqlite
    }

    #[test]
    fn a_statement_behind_it_reads_the_contract_s_tables_and_does_nothing_else() {
        let mut sqlite = database();
        let sandbox = Sandbox::around(&mut sqlite).unwrap();
        for allowed in [
            "SELECT max(id), count(*) FROM jobs WHERE repo = 'a'",
            "SELECT min(id) FROM Tasks",
            "SELECT 1 FROM repo_freeze WHERE frozen_at < '2026'",
        ] {
            sqlite.prepare(allowed).unwrap();
        }
        let refused = [
            "SELECT secret FROM secrets",
            "SELECT 1 FROM secrets",
            "SELECT sql FROM sqlite_schema",
            "SELECT name FROM pragma_table_info('jobs')",
            "SELECT load_extension('x')",
            "SELECT randomblob(1000000000)",
            "SELECT length(repo) FROM jobs",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            "INSERT INTO jobs (repo) VALUES ('a')",
            "UPDATE jobs SET repo = 'a'",
            "DELETE FROM jobs",
            "DROP TABLE jobs",
            "CREATE TABLE more (id)",
            "CREATE TEMP TABLE more (id)",
            "CREATE TRIGGER t AFTER INSERT ON jobs BEGIN SELECT 1; END",
            "ATTACH 'other.db' AS other",
            "PRAGMA writable_schema = 1",
            "SAVEPOINT here",
            "ANALYZE",
        ];
        for statement in refused {
            assert!(sqlite.prepare(statement).is_err(), "{statement}");
            sandbox.open_for_own_statements(|| {
                // This build has no such function.
                let is_unknown = statement.contains("load_extension");
                assert!(
                    sqlite.prepare(statement).is_ok() || is_unknown,
                    "{statement}"
                );
            });
            assert!(sqlite.prepare(statement).is_err(), "{statement}");
        }
        // It asks nobody before it runs.
        assert!(sqlite.execute("VACUUM INTO 'copy.db'", []).is_err());
    }

    #[test]
    fn it_stops_a_statement_when_its_budget_is_spent_and_never_the_host_s_own() {
        let mut sqlite = database();
        sqlite
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                 INSERT INTO jobs (id) SELECT i FROM n",
            )
            .unwrap();
        let mut sandbox = Sandbox::around(&mut sqlite).unwrap();
        sandbox.set_budget(Duration::ZERO);
        let long = "SELECT count(*) FROM jobs a, jobs b";
        let asked = |sqlite: &Connection| sqlite.query_row(long, [], |row| row.get::<_, i64>(0));
        let budgeted = sandbox.start_budget();
        assert!(asked(&sqlite).is_err());
        assert_eq!(
            sandbox.open_for_own_statements(|| asked(&sqlite)).unwrap(),
            90_000
        );
        assert!(asked(&sqlite).is_err());
        drop(budgeted);
        assert_eq!(asked(&sqlite).unwrap(), 90_000);
    }

    #[test]
    fn it_is_closed_again_after_a_panic() {
        let mut sqlite = database();
        let sandbox = Sandbox::around(&mut sqlite).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            sandbox.open_for_own_statements(|| panic!("in a step of the host's own"));
        }));
        assert!(panicked.is_err());
        assert!(sqlite.prepare("SELECT secret FROM secrets").is_err());
    }
}
