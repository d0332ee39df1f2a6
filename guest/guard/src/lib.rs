//! The guard of the clause as a WebAssembly component.
//!
//! Owns the conversions between the contract's types and those of `serial-gate-clause`, which does
//! the work here as it does in the host. The manual is `wit/guard.wit`.

#![no_std]
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "the generated bindings are unsafe")]
#![allow(missing_docs, reason = "the generated bindings have no documentation")]

extern crate alloc;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serial_gate_clause as clause;

wit_bindgen::generate!({ path: "wit", world: "guard-world" });

use exports::serial_gate::policy::guard::{Agents, Dialect, Guarded, Guest, Index, Refusal, Table};

struct Guard;

impl Guest for Guard {
    fn check(text: String, dialect: Dialect) -> Result<Guarded, Refusal> {
        let clause = clause::Clause::accept(&text).map_err(refusal)?;
        let dialect = match dialect {
            Dialect::Sqlite => clause::Dialect::Sqlite,
            Dialect::Postgres => clause::Dialect::Postgres,
        };
        Ok(Guarded {
            sql: clause.render(dialect).as_str().to_owned(),
            is_empty: clause.is_empty(),
            reads: clause.reads().map(table).collect(),
            reads_own_repo_only: clause.reads_own_repo_only(),
            gated: agents(clause.gated()),
            obstacle: clause.flat().err().map(|obstacle| obstacle.to_string()),
        })
    }

    fn indexes() -> Vec<Index> {
        let indexes = clause::INDEXES.iter().map(|index| Index {
            table: table(index.table()),
            columns: index.column_names().map(ToOwned::to_owned).collect(),
            covers: index.covers().map(ToOwned::to_owned),
        });
        indexes.collect()
    }
}

export!(Guard);
serial_gate_guest_runtime::metadata!();

fn refusal(refusal: clause::Refusal) -> Refusal {
    Refusal {
        construct: refusal.construct().to_owned(),
        line: refusal.line(),
        column: refusal.column(),
        what: refusal.what().to_owned(),
        remedy: refusal.remedy().to_owned(),
    }
}

fn table(table: clause::Table) -> Table {
    match table {
        clause::Table::Tasks => Table::Tasks,
        clause::Table::Jobs => Table::Jobs,
        clause::Table::RepoFreeze => Table::RepoFreeze,
    }
}

fn agents(agents: clause::Agents) -> Agents {
    let (all_but, names) = match agents {
        clause::Agents::Only(names) => (false, names),
        clause::Agents::AllBut(names) => (true, names),
    };
    Agents { all_but, names }
}
