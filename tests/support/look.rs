//! What a test observes from outside: conditions to wait for, values of the database, lines of
//! files.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::Gate;

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// One value of the database, as text.
pub fn value(gate: &Gate, sql: &str) -> Option<String> {
    gate.program().maybe(format!("SELECT ({sql})"))
}

pub fn status(gate: &Gate, job: i64) -> String {
    value(gate, &format!("SELECT status FROM jobs WHERE id = {job}")).unwrap()
}

/// A file's lines; empty if there is no file.
pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(Into::into).collect()
}

/// How many rows a table has.
pub fn count(gate: &Gate, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    gate.program().one(sql)
}
