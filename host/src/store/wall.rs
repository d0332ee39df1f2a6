//! The second wall, behind the clause's language (design, section 8).
//!
//! Owns what SQLite itself refuses on the claim's connection: an authorizer that lets a statement
//! read the contract's tables, take a minimum, a maximum or a count of them, and do nothing else, a time budget, and SQLite's limits. It trusts no
//! earlier check. The authorizer is set once, because setting it again would make SQLite compile
//! every statement anew; what changes is the flag that it looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

/// About 50 µs of SQLite's work.
const INSTRUCTIONS_BETWEEN_LOOKS: i32 = 1_000;

/// The wall around a connection.
pub(super) struct Wall {
    budget: Duration,
    base: Instant,
    /// Microseconds after `base` at which a statement is interrupted.
    deadline: Arc<AtomicU64>,
    /// Whether the statement at work is the host's own.
    own: Arc<AtomicBool>,
}

impl Wall {
    pub(super) fn around(connection: &mut Connection, budget: Duration) -> rusqlite::Result<Wall> {
        connection.pragma_update(None, "automatic_index", false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        for (limit, value) in [
            // Room for the longest clause that the guard accepts, printed.
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 8 << 20),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 1_000),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 2),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 8),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, value)?;
        }
        let wall = Wall {
            budget,
            base: Instant::now(),
            deadline: Arc::new(AtomicU64::new(u64::MAX)),
            own: Arc::default(),
        };
        connection.progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, Some(wall.interrupter()))?;
        connection.authorizer(Some(wall.authorizer()))?;
        Ok(wall)
    }

    /// The time that a statement may take.
    pub(super) fn budget(&self) -> Duration {
        self.budget
    }

    pub(super) fn start_budget(&self) {
        let deadline = self.base.elapsed().saturating_add(self.budget).as_micros();
        self.deadline.store(
            u64::try_from(deadline).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    pub(super) fn stop_budget(&self) {
        self.deadline.store(u64::MAX, Ordering::Relaxed);
    }

    /// Runs statements of the host's own, which may write, and an orchestrator's triggers with them.
    pub(super) fn open_for_own_statements<T>(&self, run: impl FnOnce() -> T) -> T {
        self.own.store(true, Ordering::Relaxed);
        let result = run();
        self.own.store(false, Ordering::Relaxed);
        result
    }

    fn interrupter(&self) -> impl FnMut() -> bool + Send + 'static {
        let (base, deadline) = (self.base, Arc::clone(&self.deadline));
        move || base.elapsed().as_micros() > u128::from(deadline.load(Ordering::Relaxed))
    }

    fn authorizer(&self) -> impl FnMut(AuthContext<'_>) -> Authorization + Send + 'static {
        let own = Arc::clone(&self.own);
        move |context| {
            let allowed = own.load(Ordering::Relaxed)
                || match context.action {
                    AuthAction::Select | AuthAction::Transaction { .. } => true,
                    AuthAction::Read { table_name, .. } => ["jobs", "tasks", "repo_freeze"]
                        .iter()
                        .any(|table| table.eq_ignore_ascii_case(table_name)),
                    // All that the clause's language has. SQLite's others reach files, memory and time.
                    AuthAction::Function { function_name } => {
                        ["min", "max", "count"].contains(&function_name)
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
