//! Legal clauses and the exact SQL that is printed for them. `BLESS=1` rewrites the fixture; read
//! the difference.

use std::time::Instant;

use serde_json::{Value, json};
use serial_gate::clause::{Clause, Dialect, Table};

use crate::clause::states::Sqlite;

const LEGAL: &str = include_str!("legal-clauses.jsonl");
const LEGAL_PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/clause/legal-clauses.jsonl"
);

fn cases() -> Vec<Value> {
    LEGAL
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The fixture's clauses, as seeds for mutation.
pub fn legal_clauses() -> Vec<String> {
    cases()
        .iter()
        .map(|case| case["clause"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_legal_clause_is_printed_as_the_fixture_says() {
    let mut blessed = String::new();
    let sqlite = Sqlite::new();
    for case in cases() {
        let text = case["clause"].as_str().unwrap();
        let clause = Clause::accept(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        let [on_sqlite, on_postgres] =
            [Dialect::Sqlite, Dialect::Postgres].map(|dialect| clause.render(dialect));
        sqlite.verdicts(on_sqlite.as_str()).unwrap();
        let line = json!({ "clause": text, "sqlite": on_sqlite.as_str(), "postgres": on_postgres.as_str() });
        if std::env::var_os("BLESS").is_none() {
            assert_eq!(case, line);
        }
        blessed.push_str(&format!("{line}\n"));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(LEGAL_PATH, blessed).unwrap();
    }
}

#[test]
fn blank_text_lets_every_job_pass() {
    for text in ["", " ", "\n\t\r "] {
        let clause = Clause::accept(text).unwrap();
        assert!(clause.is_empty());
        assert_eq!(clause.render(Dialect::Sqlite).as_str(), "TRUE");
        assert_eq!(clause.render(Dialect::Postgres).to_string(), "TRUE");
        assert_eq!(clause.reads().count(), 0);
    }
}

#[test]
fn reads_names_each_table_of_the_sub_selects_once() {
    let reads = |text: &str| {
        Clause::accept(text)
            .unwrap()
            .reads()
            .map(Table::name)
            .collect::<Vec<_>>()
    };
    assert_eq!(reads("jobs.id = 1"), Vec::<&str>::new());
    let frozen = "EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo)";
    assert_eq!(reads(frozen), ["repo_freeze"]);
    let oldest = "jobs.task_id = (SELECT min(t.id) FROM tasks t WHERE t.repo = jobs.repo)";
    assert_eq!(
        reads(&format!("{frozen} OR {frozen} OR {oldest}")),
        ["tasks", "repo_freeze"]
    );
}

#[test]
fn a_scope_of_a_thousand_long_repos_is_accepted() {
    let repos: Vec<String> = (0..1_000)
        .map(|n| format!("'{}-{n}'", "repo.name_".repeat(20)))
        .collect();
    let reference = cases()[0]["clause"].as_str().unwrap().to_owned();
    let scope = format!(
        "jobs.agent = 'analyst' AND jobs.repo IN ({}) AND",
        repos.join(", ")
    );
    let clause = Clause::accept(&reference.replace("jobs.agent = 'analyst' AND", &scope)).unwrap();
    let rendered = clause.render(Dialect::Sqlite);
    assert!(repos.iter().all(|repo| rendered.as_str().contains(repo)));
    Sqlite::new().verdicts(rendered.as_str()).unwrap();
}

#[test]
fn a_clause_at_the_limits_runs_in_sqlite() {
    let sqlite = Sqlite::new();
    let tied = "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)";
    let counted = "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo) < 1000";
    for text in [
        vec!["jobs.id = 1"; 501].join(" OR "),
        "NOT ".repeat(32) + "TRUE",
        "NOT (TRUE AND ".repeat(16) + "TRUE" + &")".repeat(16),
        [tied; 16].join(" OR "),
        [counted; 16].join(" OR "),
        format!("{}{counted}{}", "NOT (".repeat(15), ")".repeat(15)),
        format!("jobs.id IN ({})", vec!["1"; 10_000].join(",")),
    ] {
        let rendered = Clause::accept(&text).unwrap().render(Dialect::Sqlite);
        sqlite.verdicts(rendered.as_str()).unwrap();
    }
}

#[test]
fn accepting_the_reference_clause_is_cheap() {
    let reference = cases()[0]["clause"].as_str().unwrap().to_owned();
    let start = Instant::now();
    const ROUNDS: u32 = 2_000;
    for _ in 0..ROUNDS {
        let clause = Clause::accept(&reference).unwrap();
        std::hint::black_box(clause.render(Dialect::Sqlite));
    }
    let each = start.elapsed() / ROUNDS;
    println!("accept and render the reference clause: {each:?}");
    assert!(each.as_millis() < 50, "a policy swap would feel {each:?}");
}
