//! Our parser against `sqlparser`: it accepts what ours accepts, and reads the same structure.
//!
//! An ordinary run takes some thousand generated texts. `SERIAL_GATE_CLAUSE_TEXTS` sets another
//! number; with optimisation a million takes about a minute:
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
const STRICTER: [(&str, &str); 13] = [
    (
        "alias",
        "a name means one row: an alias hides no other row and no table",
    ),
    ("comment", "the databases disagree on comments"),
    ("comparison", "`==` is not a comparison of both databases"),
    ("nesting", "a limit"),
    ("number", "`1AND` is one word to some databases"),
    (
        "prefixed-string",
        "`AND'a'` is a prefixed string to some databases",
    ),
    ("sub-select-depth", "a limit"),
    (
        "top-level-or",
        "`AND a OR b` reads otherwise where it is spliced",
    ),
    ("too-many-operators", "a limit"),
    ("too-many-sub-selects", "a limit"),
    ("type", "PostgreSQL compares no integer with a text"),
    (
        "unterminated-string",
        "the end of a string is searched differently",
    ),
    ("untied-sub-select", "a sub-select is tied to the job"),
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
