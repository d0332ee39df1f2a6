//! The guard as a component: it answers as the host's own guard does, to the byte, and imports
//! nothing.

use std::time::Instant;

use serial_gate::clause::{self, Clause};
use serial_gate::policy::GUARD;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};

use crate::clause::fuzz::{mutants, mutate};
use crate::clause::refusals;
use crate::clause::renderings::legal_clauses;
use crate::support::random::Rng;

wasmtime::component::bindgen!({
    path: "wit",
    world: "guard-world",
    additional_derives: [PartialEq],
});

use exports::serial_gate::policy::guard::{Agents, Dialect, Guarded, Index, Refusal, Table};

/// What a host of the guard allows it.
const MEMORY: usize = 64 << 20;

struct Guard {
    store: Store<StoreLimits>,
    world: GuardWorld,
}

impl Guard {
    fn new() -> Guard {
        let engine = Engine::default();
        let component = Component::new(&engine, GUARD).unwrap();
        let limits = StoreLimitsBuilder::new().memory_size(MEMORY).build();
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        let world = GuardWorld::instantiate(&mut store, &component, &Linker::new(&engine));
        Guard {
            world: world.unwrap(),
            store,
        }
    }

    fn check(&mut self, text: &str, dialect: Dialect) -> Result<Guarded, Refusal> {
        let guard = self.world.serial_gate_policy_guard();
        guard.call_check(&mut self.store, text, dialect).unwrap()
    }

    fn indexes(&mut self) -> Vec<Index> {
        let guard = self.world.serial_gate_policy_guard();
        guard.call_indexes(&mut self.store).unwrap()
    }

    /// Compares it with the host's guard, for both databases.
    #[track_caller]
    fn is_the_host_s(&mut self, text: &str) {
        for (dialect, of_host) in [
            (Dialect::Sqlite, clause::Dialect::Sqlite),
            (Dialect::Postgres, clause::Dialect::Postgres),
        ] {
            let answer = self.check(text, dialect);
            let of_host = by_host(text, of_host);
            assert!(
                answer == of_host,
                "{:?}: {answer:?}, the host: {of_host:?}",
                text.chars().take(200).collect::<String>()
            );
        }
    }
}

fn by_host(text: &str, dialect: clause::Dialect) -> Result<Guarded, Refusal> {
    let clause = Clause::accept(text).map_err(|refusal| Refusal {
        construct: refusal.construct().into(),
        line: refusal.line(),
        column: refusal.column(),
        what: refusal.what().into(),
        remedy: refusal.remedy().into(),
    })?;
    let (all_but, names) = match clause.gated() {
        clause::Agents::Only(names) => (false, names),
        clause::Agents::AllBut(names) => (true, names),
    };
    Ok(Guarded {
        sql: clause.render(dialect).to_string(),
        is_empty: clause.is_empty(),
        reads: clause.reads().map(table).collect(),
        reads_own_repo_only: clause.reads_own_repo_only(),
        gated: Agents { all_but, names },
        obstacle: clause.flat().err().map(|obstacle| obstacle.to_string()),
    })
}

fn table(table: clause::Table) -> Table {
    match table {
        clause::Table::Tasks => Table::Tasks,
        clause::Table::Jobs => Table::Jobs,
        clause::Table::RepoFreeze => Table::RepoFreeze,
    }
}

#[test]
fn it_answers_every_legal_and_every_hostile_clause_as_the_host_does() {
    let mut guard = Guard::new();
    let hostile = refusals::cases().into_iter().map(|(clause, _)| clause);
    let cases: Vec<String> = legal_clauses().into_iter().chain(hostile).collect();
    assert!(cases.len() >= 546, "only {} clauses", cases.len());
    for text in &cases {
        guard.is_the_host_s(text);
    }
}

#[test]
fn it_answers_mutants_as_the_host_does() {
    let mut guard = Guard::new();
    let (seeds, mut rng, mutants) = (legal_clauses(), Rng::new(2), mutants(20_000));
    let mut accepted = 0;
    for _ in 0..mutants {
        let mutant = mutate(&seeds, &mut rng);
        accepted += usize::from(Clause::accept(&mutant).is_ok());
        guard.is_the_host_s(&mutant);
    }
    println!("{mutants} mutants, {accepted} accepted");
    assert!(accepted * 50 > mutants, "{accepted} of {mutants}");
}

#[test]
fn a_text_of_any_size_fits_into_its_memory() {
    let mut guard = Guard::new();
    let long = 1 << 20;
    for text in [
        "(".repeat(long),
        " ".repeat(4 * long),
        format!("jobs.repo = '{}'", "\\".repeat(long - 14)),
        format!("jobs.repo = '{}'", "''".repeat(long / 2 - 7)),
        format!("jobs.id IN ({})", vec!["1"; 10_000].join(",")),
        vec!["1=1"; 501].join(" OR "),
        "a.".repeat(long / 2),
    ] {
        guard.is_the_host_s(&text);
    }
    // It goes on after the largest.
    guard.is_the_host_s("AND jobs.agent <> 'analyst'");
}

#[test]
fn it_imports_nothing_and_is_small() {
    let engine = Engine::default();
    let component = Component::new(&engine, GUARD).unwrap();
    let ty = component.component_type();
    let imports: Vec<_> = ty.imports(&engine).map(|(name, _)| name).collect();
    assert!(imports.is_empty(), "{imports:?}");
    let mut guard = Guard::new();
    let text = legal_clauses().swap_remove(0);
    const CALLS: u32 = 1_000;
    let begun = Instant::now();
    for _ in 0..CALLS {
        guard.check(&text, Dialect::Sqlite).unwrap();
    }
    println!(
        "{} bytes, {:.1} µs a call",
        GUARD.len(),
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
    );
}

#[test]
fn it_lists_the_indexes_of_the_host_s_guard() {
    let listed: Vec<String> = Guard::new().indexes().iter().map(words).collect();
    let of_host = clause::INDEXES.iter().map(|index| {
        words(&Index {
            table: table(index.table()),
            columns: index.column_names().map(Into::into).collect(),
            covers: index.covers().map(Into::into),
        })
    });
    assert_eq!(listed, of_host.collect::<Vec<_>>());
}

fn words(index: &Index) -> String {
    let covers = index.covers.as_deref().unwrap_or("all");
    format!("{:?} {:?} {covers}", index.table, index.columns)
}
