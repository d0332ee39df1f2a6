//! The second wall, behind the clause's language (design, section 8).
//!
//! Owns what SQLite itself refuses: an authorizer that lets a statement read the contract's tables, take a minimum, a
//! maximum or a count of them, and do nothing else, and a time budget. It trusts no earlier check. The authorizer is set
//! once, because setting it again would make SQLite compile every statement anew; what changes is the flag that it looks
//! at. Callers rely on this: it is closed unless [`Wall::open_for_own_statements`] says that the text is the host's own.
//!
//! The host's own statements run an orchestrator's triggers too, on the same connection. So nothing is forbidden here to
//! all statements alike that a trigger may have: no double-quoted string, no long LIKE, no UNION. The clause's language
//! has none of them.

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
    pub(super) fn around(connection: &mut Connection) -> rusqlite::Result<Wall> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        for (limit, value) in [
            // Room for the longest clause that the guard accepts, printed.
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 8 << 20),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, value)?;
        }
        let wall = Wall {
            budget: BUDGET,
            base: Instant::now(),
            deadline: Arc::new(AtomicU64::new(u64::MAX)),
            own: Arc::default(),
        };
        connection.progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, Some(wall.interrupter()))?;
        connection.authorizer(Some(wall.authorizer()))?;
        Ok(wall)
    }

    /// The time that what is asked by a clause may take.
    pub(super) fn budget(&self) -> Duration {
        self.budget
    }

    pub(super) fn set_budget(&mut self, budget: Duration) {
        self.budget = budget;
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
        let before = self.own.swap(true, Ordering::Relaxed);
        let result = run();
        self.own.store(before, Ordering::Relaxed);
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
