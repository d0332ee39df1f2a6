//! Mutated clauses: whatever is accepted means the same raw in SQLite, rendered in SQLite, and
//! rendered in PostgreSQL.
//!
//! `SERIAL_GATE_FUZZ_MUTANTS` sets how many; the run is deterministic.

use std::collections::HashSet;

use serial_gate::clause::{Clause, Dialect};

use crate::clause::renderings::legal_clauses;
use crate::clause::states::{Sqlite, postgres, postgres_differences, raw};
use crate::support::random::Rng;

/// What is put into a mutant: the language's own words, and what an attacker would try.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    " AND ", " OR ", " NOT ", " IN ", " BETWEEN ", " IS NULL", " IS NOT NULL", " TRUE ",
    " FALSE ", " NULL ", "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)", "EXISTS ",
    "(SELECT min(t.id) FROM tasks t WHERE t.repo = jobs.repo)",
    "(SELECT max(j.repo) FROM jobs j WHERE j.task_id = jobs.task_id)",
    "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo)",
    "(SELECT count(*) FROM jobs j WHERE j.repo = jobs.repo) >= 2", "count(*)", "count(", "*)",
    " >= 2", " < 1", "1000", "1001", "t.gate_label", " LIMIT 1", "SELECT ", " FROM ",
    " WHERE ", " AS ", "min(", "max(", "jobs.id", "jobs.task_id", "jobs.repo", "jobs.agent",
    "jobs.status", "tasks.id", "t.id", "t.repo", "t.stage", "t2.id", "t2.repo", "f.repo",
    "f.cleared_at", "j.agent", "jobs", "tasks", "repo_freeze", "t", "t2", "f", " = ", " <> ",
    " != ", " < ", " <= ", " > ", " >= ", "(", ")", "()", ", ", ".", "0", "1", "-1", "7", "007",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "'a'", "'B'", "''",
    "'it''s'", "'x\\'", "'analyst'", "'done'", "1 = 1", "NULL = NULL", "NULL IN (NULL)",
    "NULL BETWEEN 1 AND NULL", "NULL IS NULL", " = ANY ", " COLLATE nocase ", " LIKE ", "--",
    "/*", "*/", ";", "\"", "`", "[", "]", "E'", "::text", "||", " + ", " - ", " * ", " / ", "==",
    " IS ", " ISNULL", "\0", "\n", "\t", "\r", " ", "rowid", "1=1)) OR ((1=1", "' OR '1'='1",
    " UNION SELECT 1", " NOT NULL", " BETWEEN 1 AND 2", " IN (1, 2, NULL)", " NOT IN ('a', NULL)",
    " NOT BETWEEN 'A' AND 'b'", "NOT NOT ", " IS NULL IS NULL", " = 1 = 1", " < 2 < 3",
];

/// How many mutants are tried, unless the run says how many.
pub fn mutants(usually: usize) -> usize {
    match std::env::var("SERIAL_GATE_FUZZ_MUTANTS") {
        Ok(count) => count.parse().expect("SERIAL_GATE_FUZZ_MUTANTS is a number"),
        Err(_) => usually,
    }
}

#[test]
fn an_accepted_mutant_means_the_same_raw_and_rendered() {
    let mutants = mutants(100_000);
    let seeds = legal_clauses();
    let sqlite = Sqlite::new();
    let mut rng = Rng::new(1);
    let (mut accepted, mut rows, mut unreadable) = (0_usize, 0_usize, 0_usize);
    let (mut seen, mut differences, mut for_postgres) = (HashSet::new(), Vec::new(), Vec::new());
    for _ in 0..mutants {
        let mutant = mutate(&seeds, &mut rng);
        let Ok(clause) = Clause::accept(&mutant) else {
            continue;
        };
        accepted += 1;
        if clause.is_empty() || !seen.insert(mutant.clone()) {
            continue;
        }
        let rendered = clause.render(Dialect::Sqlite);
        let verdicts = match sqlite.verdicts(rendered.as_str()) {
            Ok(verdicts) => verdicts,
            Err(error) => {
                differences.push(format!("sqlite refuses the rendered {rendered}: {error}"));
                continue;
            }
        };
        match sqlite.verdicts(&raw(&mutant)) {
            Ok(original) if original == verdicts => {}
            Ok(original) => differences.push(format!(
                "{mutant:?}: {original:?}, {rendered}: {verdicts:?}"
            )),
            // An alias that is a keyword of SQLite only: harmless, since nobody runs the raw text.
            Err(_) => unreadable += 1,
        }
        rows += verdicts.iter().map(String::len).sum::<usize>();
        for_postgres.push((clause.render(Dialect::Postgres).to_string(), verdicts));
    }
    let distinct = for_postgres.len();
    println!(
        "sqlite: {mutants} mutants, {accepted} accepted, {distinct} distinct, {rows} rows compared"
    );
    println!(
        "sqlite: {} differences, {unreadable} not readable raw",
        differences.len()
    );
    assert!(differences.is_empty(), "{}", first(&differences));
    assert!(
        unreadable * 100 <= distinct,
        "{unreadable} of {distinct} accepted mutants are not readable raw"
    );
    assert!(
        distinct * 1_000 > mutants,
        "too few mutants are accepted to mean anything: {distinct} of {mutants}"
    );
    if let Some(conninfo) = postgres() {
        let differences = postgres_differences(&conninfo, "fuzz", &for_postgres);
        println!(
            "postgres: {distinct} clauses, {rows} rows compared, {} differences",
            differences.len()
        );
        assert!(differences.is_empty(), "{}", first(&differences));
    }
}

fn first(differences: &[String]) -> String {
    differences
        .iter()
        .take(10)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n")
}

/// One to four changes to a legal clause, at the level of tokens or of bytes.
pub fn mutate(seeds: &[String], rng: &mut Rng) -> String {
    let mut text = rng.pick(seeds).clone();
    for _ in 0..1 + rng.below(4) {
        text = match rng.below(3) {
            0 => mutate_bytes(text, rng),
            _ => mutate_tokens(&text, seeds, rng),
        };
    }
    text
}

fn mutate_bytes(text: String, rng: &mut Rng) -> String {
    let mut bytes = text.into_bytes();
    let at = rng.below(bytes.len() + 1);
    match rng.below(4) {
        0 => bytes.insert(at, rng.below(256) as u8),
        1 => bytes.insert(at, *rng.pick(b"()'\"-/*;=<>!., \\019ajt\n")),
        _ if at == bytes.len() => {}
        2 => {
            bytes.remove(at);
        }
        _ => bytes[at] ^= 1 << rng.below(8),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn mutate_tokens(text: &str, seeds: &[String], rng: &mut Rng) -> String {
    let mut pieces: Vec<String> = split(text);
    let at = rng.below(pieces.len() + 1);
    let inside =
        |rng: &mut Rng| (at < pieces.len()).then(|| at + rng.below((pieces.len() - at).min(6)));
    match (rng.below(7), inside(rng)) {
        (0, _) => pieces.insert(at, (*rng.pick(PIECES)).to_owned()),
        (1, Some(end)) => {
            pieces.splice(at..=end, [(*rng.pick(PIECES)).to_owned()]);
        }
        (2, Some(end)) => {
            pieces.drain(at..=end);
        }
        (3, Some(end)) => pieces.swap(at, end),
        (4, Some(end)) => {
            let copy = pieces[at..=end].to_vec();
            pieces.splice(at..at, copy);
        }
        (5, Some(end)) => {
            pieces.insert(end + 1, ")".to_owned());
            pieces.insert(
                at,
                (*rng.pick(&["(", "NOT (", " AND (", " OR ("])).to_owned(),
            );
        }
        _ => {
            let other = split(rng.pick::<String>(seeds));
            let start = rng.below(other.len() + 1);
            let end = start + rng.below((other.len() - start).min(12) + 1);
            pieces.splice(at..at, other[start..end].to_vec());
        }
    }
    pieces.concat()
}

/// Words, strings, blanks and single symbols; a rough cut is enough here, and must not be the
/// guard's own.
fn split(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let (mut in_string, mut joins) = (false, false);
    for c in text.chars() {
        let is_word = c.is_alphanumeric() || c == '_';
        match pieces.last_mut() {
            Some(last) if in_string || (joins && is_word) => last.push(c),
            _ => pieces.push(c.to_string()),
        }
        in_string ^= c == '\'';
        joins = is_word;
    }
    pieces
}
