//! What an attacker can make the guard itself cost: time by backtracking, stack by depth.

use std::time::{Duration, Instant};

use serial_gate::clause::{Clause, Dialect};

use crate::support::random::Rng;

/// Half of what `std` and tokio give a thread. Without optimisation the deepest clauses need about
/// 0.6 MiB of it.
const STACK: usize = 1 << 20;
/// Hundreds of times what the slowest clause took in a debug build.
const PATIENCE: Duration = Duration::from_secs(5);

/// Accepts, prints and drops the clauses in one thread with a small stack; returns the longest
/// time.
fn slowest(clauses: Vec<String>) -> (Duration, String) {
    let run = move || {
        let timed = clauses.into_iter().map(|clause| {
            let start = Instant::now();
            if let Ok(accepted) = Clause::accept(&clause) {
                accepted.render(Dialect::Postgres);
            }
            (start.elapsed(), clause)
        });
        timed.max().unwrap_or_default()
    };
    let thread = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(run)
        .unwrap();
    let (time, clause) = thread.join().unwrap();
    println!(
        "slowest {time:?}: {}",
        clause.chars().take(100).collect::<String>()
    );
    (time, clause)
}

#[test]
fn deep_and_long_clauses_cost_little_time_and_stack() {
    let tied = "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)";
    let counted = "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo) >= 1000";
    let mut clauses = vec![
        vec!["jobs.id = 1"; 501].join(" AND "),
        format!("({}) IS NULL", vec!["jobs.id = 1"; 501].join(" AND ")),
        format!("(({}), 1) = 1", vec!["jobs.id = 1"; 500].join(" OR ")),
        format!("f({}) = 1", vec!["jobs.id = 1"; 500].join(" OR ")),
        format!("jobs.id IN ({})", vec!["jobs.id = 1"; 500].join(" OR ")),
        vec!["1"; 12_500].join(" = "),
        vec!["1"; 12_500].join(" < "),
        format!("1 {}", "IN (1) ".repeat(6_000)),
        format!("1 {}", "IS NULL ".repeat(12_000)),
        format!("1 {}", "BETWEEN 1 AND 1 ".repeat(490)),
        format!("a{}", ".a".repeat(12_000)),
        format!("a(1){} = 1", ".b(1)".repeat(4_000)),
        format!("(1){} = 1", ".b".repeat(12_000)),
        format!("1 = {}1", "NOT 1 = ".repeat(400)),
        "1 ".repeat(25_000),
        "f(1) ".repeat(6_000),
        format!(
            "EXISTS (SELECT 1 FROM tasks t{} WHERE 1 = 1)",
            ", tasks t".repeat(7_000)
        ),
        format!(
            "EXISTS (SELECT {}1 FROM tasks t WHERE 1 = 1)",
            "1 AS x, ".repeat(6_000)
        ),
        [tied; 16].join(" OR "),
        [counted; 16].join(" OR "),
        "count(*) ".repeat(6_000),
        "count(* count".repeat(30),
        format!("jobs.repo IN ({})", vec!["'x'"; 10_000].join(",")),
        format!("jobs.repo = '{}'", "''".repeat((1 << 19) - 20)),
    ];
    let openings = [
        "(",
        "NOT (",
        "f(",
        "x.y(",
        "IN (",
        "1 IN (",
        "1 NOT IN (",
        "1 BETWEEN (",
        "1 = (",
        "(1, ",
        "EXISTS (",
        "min(",
        "count(",
        "(SELECT 1 FROM (",
        "(SELECT count(*) FROM (",
        "EXISTS (SELECT 1 FROM (",
        "EXISTS (SELECT (",
        "EXISTS (SELECT 1 FROM tasks t WHERE (",
    ];
    for opening in openings {
        for core in [
            "1",
            "SELECT",
            "SELECT 1 FROM tasks t WHERE t.repo = jobs.repo",
            "1 = 1 AND",
            "SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo",
            "tasks t",
        ] {
            let depth = 32 / opening.matches('(').count() - opening.matches("NOT (").count() * 16;
            clauses.push(format!(
                "{}{core}{}",
                opening.repeat(depth),
                ")".repeat(depth * opening.matches('(').count())
            ));
        }
    }
    let (time, clause) = slowest(clauses);
    assert!(time < PATIENCE, "{time:?}: {clause}");
}

#[test]
fn random_openings_cost_little_time_and_stack() {
    let pieces = [
        "(",
        "((",
        "NOT (",
        "f(",
        "1 IN (",
        "1 NOT IN (",
        "1 = (",
        "(1, ",
        "EXISTS (",
        "SELECT 1 FROM ",
        "SELECT (",
        "tasks t WHERE ",
        "1 BETWEEN ",
        "1 AND ",
        "jobs.id = ",
        "x ",
        "x.",
        ") ",
        ", ",
        "min(",
        "count(*",
        "NULL ",
        "'a' ",
        "AS ",
        "FROM (",
    ];
    let mut rng = Rng::new(7);
    let random = |_| {
        let text: String = (0..8 + rng.below(80))
            .map(|_| *rng.pick::<&str>(&pieces))
            .collect();
        let open = text
            .matches('(')
            .count()
            .saturating_sub(text.matches(')').count());
        text + &")".repeat(open)
    };
    let (time, clause) = slowest((0..50_000).map(random).collect());
    assert!(time < PATIENCE, "{time:?}: {clause}");
}
