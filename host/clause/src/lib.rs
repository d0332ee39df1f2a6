//! The clause guard: turns a policy's SQL fragment, which is untrusted text, into SQL that this
//! crate printed itself.
//!
//! The text is cut into tokens of an allow-list (`lex`, `vocabulary`), checked for size (`limits`),
//! and parsed into a typed tree (`parse`, `comparison`, `select`, `scope`, [`tree`]) over the
//! contract's tables (`contract`). The tree is printed for each database (`render`). What makes a
//! claim flat is proved from the tree (`flat`, `gated`, `cost` over `indexes`), and so are the rows that can
//! matter to it (`footprint`). Leaves to others: running the SQL, the databases' own sandboxes,
//! plan checks, and the index of heads. It has no I/O, no dependencies and no `std`, so that a
//! component that imports nothing can guard clauses. Invariant: [`Rendered`] is printed from a tree
//! only. No byte of the policy's text reaches a database except inside a literal that the renderer
//! escaped.

#![no_std]

extern crate alloc;

mod agents;
mod comparison;
mod contract;
mod cost;
mod flat;
mod footprint;
mod gated;
mod indexes;
mod lex;
mod limits;
mod parse;
mod refusal;
mod render;
mod scope;
mod select;
mod tokens;
pub mod tree;
mod vocabulary;

use alloc::string::String;
use alloc::vec::Vec;

pub use agents::Agents;
pub use contract::{Column, Kind, Table};
pub use flat::{Obstacle, Partitions};
pub use footprint::{Footprint, Source};
pub use indexes::{INDEXES, Index};
pub use refusal::Refusal;
pub use render::Rendered;

use tree::{Literal, Predicate};

/// The database a clause is printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3.23 or newer, the first with `TRUE` and `FALSE`.
    Sqlite,
    /// PostgreSQL, with `standard_conforming_strings` on or off.
    Postgres,
}

/// An accepted clause: which queued jobs may be claimed, as a typed tree.
///
/// ```
/// use serial_gate_clause::{Clause, Dialect};
///
/// let clause = Clause::accept("AND jobs.agent <> 'analyst'")?;
/// assert_eq!(clause.render(Dialect::Sqlite).as_str(), r#"("jobs"."agent" <> 'analyst')"#);
///
/// let refusal = Clause::accept("jobs.agent = 'x' -- and so on").unwrap_err();
/// assert_eq!((refusal.construct(), refusal.line(), refusal.column()), ("comment", 1, 18));
/// # Ok::<(), serial_gate_clause::Refusal>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    predicate: Option<Predicate>,
    reads: Vec<Table>,
}

impl Clause {
    /// Accepts a clause as a policy returns it, with or without the leading `AND`. Blank text lets
    /// every queued job pass.
    ///
    /// # Errors
    ///
    /// [`Refusal`] names the first construct outside the language or over a limit.
    pub fn accept(text: &str) -> Result<Self, Refusal> {
        let tokens = lex::read(text)?;
        limits::check(&tokens)?;
        let (predicate, reads) = parse::clause(&tokens)?.unzip();
        Ok(Self {
            predicate,
            reads: reads.unwrap_or_default(),
        })
    }

    /// Whether every queued job passes because the policy returned no clause: the kill switch is
    /// off.
    pub fn is_empty(&self) -> bool {
        self.predicate.is_none()
    }

    /// Prints the clause for one database. The outer row must be named `jobs`.
    pub fn render(&self, dialect: Dialect) -> Rendered {
        render::render(self.predicate.as_ref(), dialect)
    }

    /// Proves that the first job that may be claimed can be found without a look at each held one:
    /// the queued jobs fall into partitions, and in each those that may be claimed come first.
    ///
    /// # Errors
    ///
    /// What prevents the proof. Claims by the clause are right all the same, and may be slow.
    pub fn partitions(&self) -> Result<Partitions, Obstacle> {
        flat::partitions(self.predicate.as_ref(), self.reads().collect())
    }

    /// Proves that a claim costs the same however many rows there are: the jobs fall into
    /// partitions, and each sub-select looks at a bounded number of rows.
    ///
    /// # Errors
    ///
    /// What prevents the proof.
    pub fn flat(&self) -> Result<(), Obstacle> {
        self.partitions()?;
        self.predicate.as_ref().map_or(Ok(()), cost::check)
    }

    /// Whether the jobs of one repo can be decided without the rows of the others.
    pub fn reads_own_repo_only(&self) -> bool {
        let predicate = self.predicate.as_ref();
        predicate.is_none_or(flat::reads_own_repo_only)
    }

    /// The agents whose jobs the clause may hold. It lets every job of the other agents through.
    pub fn gated(&self) -> Agents {
        match &self.predicate {
            Some(predicate) => gated::gated(predicate),
            None => Agents::Only(Vec::new()),
        }
    }

    /// The texts in the clause, each once. The clause treats all other names alike.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if let Some(predicate) = &self.predicate {
            predicate.literals(&mut |literal| {
                if let Literal::Text(text) = literal {
                    texts.push(text.clone());
                }
            });
        }
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// The tree; `None` for the empty clause.
    pub fn predicate(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    /// The rows of the tables that can matter to it, for the jobs that are queued.
    pub fn footprint(&self) -> Footprint {
        Footprint::of(self.predicate.as_ref())
    }

    /// The tables that the sub-selects read, each once: a change in one of them can change a
    /// verdict.
    pub fn reads(&self) -> impl Iterator<Item = Table> {
        Table::ALL
            .into_iter()
            .filter(|table| self.reads.contains(table))
    }
}
