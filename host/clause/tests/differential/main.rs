//! Our parser against `sqlparser`: it accepts what ours accepts, and reads the same structure.
//!
//! An ordinary run takes some thousand generated texts. `SERIAL_GATE_CLAUSE_TEXTS` sets another
//! number; with optimisation a million takes about two minutes:
//!
//! ```sh
//! SERIAL_GATE_CLAUSE_TEXTS=1000000 cargo test --release --locked -p serial-gate-clause \
//!     --test differential -- --nocapture
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by a panic"
)]

mod generate;
mod mapping;

use std::collections::BTreeMap;

use serial_gate_clause::Clause;

use generate::Generator;
use mapping::read_by_sqlparser;

const TEXTS: usize = 6_000;

/// sqlparser recurses once for each operator of a chain.
const STACK: usize = 64 << 20;

/// What ours refuses although `sqlparser` reads the constructs of the language, and why.
const STRICTER: [(&str, &str); 15] = [
    ("alias", "an alias hides no other row and no table"),
    ("arithmetic", "a sign is written directly before its digits"),
    ("comment", "the databases disagree on comments"),
    ("comparison", "PostgreSQL has no `==`"),
    ("nesting", "a limit"),
    ("null-test", "PostgreSQL has no `x NOT NULL`"),
    ("number", "the databases cut `1AND` differently"),
    ("prefixed-string", "the databases cut `AND'a'` differently"),
    ("star", "`count((*))` is not `count(*)`"),
    ("sub-select-depth", "a limit"),
    ("too-many-operators", "a limit"),
    ("too-many-sub-selects", "a limit"),
    (
        "top-level-or",
        "behind `status = 'queued'` it would mean something else",
    ),
    ("type", "PostgreSQL compares no integer with a text"),
    (
        "untied-sub-select",
        "it would visit the whole table for every job",
    ),
];

#[derive(Default)]
struct Figures {
    accepted: usize,
    stricter: BTreeMap<&'static str, (usize, String)>,
}

#[test]
fn what_ours_accepts_sqlparser_reads_alike() {
    let texts = match std::env::var("SERIAL_GATE_CLAUSE_TEXTS") {
        Ok(texts) => texts.parse().expect("a number of texts"),
        Err(_) => TEXTS,
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    let compared = thread.spawn(move || compare(texts)).unwrap();
    let figures = compared.join().unwrap();
    println!(
        "{texts} texts generated, {} accepted by ours, all of them read alike",
        figures.accepted
    );
    assert!(
        figures.accepted * 10 > texts,
        "too few texts are accepted to mean anything: {} of {texts}",
        figures.accepted
    );
    let mut unexplained = Vec::new();
    for (construct, (count, example)) in figures.stricter {
        let why = STRICTER.iter().find(|(stricter, _)| *stricter == construct);
        match why {
            Some((_, why)) => println!("{count} refused as [{construct}], {why}: {example}"),
            None => unexplained.push(format!("{count} refused as [{construct}]: {example}")),
        }
    }
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

fn compare(texts: usize) -> Figures {
    let mut figures = Figures::default();
    let mut generator = Generator::new(0x5eed);
    for _ in 0..texts {
        let text = generator.text();
        let theirs = read_by_sqlparser(&text);
        match (Clause::accept(&text), theirs) {
            (Ok(ours), theirs) => {
                figures.accepted += 1;
                assert_eq!(Ok(ours.predicate().cloned()), theirs, "{text}");
            }
            (Err(refusal), Ok(_)) => {
                let entry = figures.stricter.entry(refusal.construct());
                let (count, example) = entry.or_default();
                *count += 1;
                if example.is_empty() || text.len() < example.len() {
                    *example = text;
                }
            }
            (Err(_), Err(_)) => {}
        }
    }
    figures
}
