//! The clause guard: turns a policy's SQL fragment, which is untrusted text, into SQL that this
//! room printed itself.
//!
//! Text is cut into allow-listed tokens (`tokens`, `symbols`, `words`), checked for size and order
//! (`limits`, `order`), parsed by `sqlparser` (`parse`), lowered into our own typed tree (`lower`,
//! `value`, `select`, `count`, `scope`, `tree`) over the contract's tables (`contract`), and
//! printed per dialect (`render`). DESIGN section 8 is the rule book. What makes a claim by it flat
//! is proved from the tree (`shape`, `agents`, `cost`; DESIGN section 6), and so is which rows can
//! matter (`reach`). Left to others: running the SQL, the databases' second walls, plan checks, and
//! the index of candidates. Invariant: [`Rendered`] comes out of the tree only; no byte of the
//! policy's text reaches a database except inside a literal that the renderer escaped.

mod agents;
mod contract;
mod cost;
mod count;
mod gated;
mod limits;
mod lower;
mod order;
mod parse;
mod reach;
mod refusal;
mod render;
mod scope;
mod select;
mod shape;
mod symbols;
mod tokens;
pub(crate) mod tree;
mod value;
mod words;

pub use agents::Agents;
pub use contract::Table;
pub(crate) use contract::{Column, Kind};
pub use reach::{Reach, Source};
pub use refusal::Refusal;
pub use render::Rendered;
pub use shape::{Obstacle, Shape};

use tree::{Literal, Part, Predicate, Value};

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
/// use serial_gate::clause::{Clause, Dialect};
///
/// let clause = Clause::accept("AND jobs.agent <> 'analyst'")?;
/// assert_eq!(clause.render(Dialect::Sqlite).as_str(), r#"("jobs"."agent" <> 'analyst')"#);
///
/// let refusal = Clause::accept("jobs.agent = 'x' -- and so on").unwrap_err();
/// assert_eq!(refusal.to_string(), "[comment] `--` starts a comment at line 1, column 18; remove
/// it"); # Ok::<(), serial_gate::clause::Refusal>(()) ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    predicate: Option<Predicate>,
    reads: Vec<Table>,
}

impl Clause {
    /// Accepts a clause as a policy returns it: with or without the leading `AND` (DESIGN section
    /// 3); blank text is the clause that lets every queued job pass.
    ///
    /// # Errors
    ///
    /// [`Refusal`] names the first construct outside the language or over a limit (DESIGN section
    /// 8).
    pub fn accept(text: &str) -> Result<Self, Refusal> {
        let tokens = tokens::read(text)?;
        limits::check(&tokens.list)?;
        order::check(&tokens.list)?;
        match parse::expression(tokens)? {
            None => Ok(Self {
                predicate: None,
                reads: Vec::new(),
            }),
            Some(expression) => {
                let (predicate, reads) = lower::lower(expression)?;
                Ok(Self {
                    predicate: Some(predicate),
                    reads,
                })
            }
        }
    }

    /// Whether the policy returned no clause at all, so that every queued job passes (DESIGN
    /// section 5, kill switch).
    pub fn is_empty(&self) -> bool {
        self.predicate.is_none()
    }

    /// Prints the clause for one database (DESIGN section 8). The outer row must be named `jobs`.
    pub fn render(&self, dialect: Dialect) -> Rendered {
        render::render(self.predicate.as_ref(), dialect)
    }

    /// Proves that the first job that may be claimed can be found without a look at each held one
    /// (DESIGN section 6).
    ///
    /// # Errors
    ///
    /// What is in the way of the proof. Claims by the clause are right all the same, and may be
    /// slow.
    pub fn shape(&self) -> Result<Shape, Obstacle> {
        let reads: Vec<Table> = self.reads().collect();
        shape::derive(self.predicate.as_ref(), &reads)
    }

    /// Proves that a claim by this clause costs the same however many rows there are: it has a
    /// shape, and each of its sub-selects looks at a bounded number of rows.
    ///
    /// # Errors
    ///
    /// What is in the way of the proof.
    pub fn flat(&self) -> Result<(), Obstacle> {
        self.shape()?;
        self.predicate.as_ref().map_or(Ok(()), cost::check)
    }

    /// Whether rows of other repos have no say: the jobs of one repo may be decided without those
    /// of the others.
    pub fn reads_own_repo_only(&self) -> bool {
        self.predicate
            .as_ref()
            .is_none_or(shape::reads_own_repo_only)
    }

    /// The agents whose jobs the clause may hold; it lets all jobs of the others through (DESIGN
    /// section 6, a).
    pub fn gated(&self) -> Agents {
        match &self.predicate {
            Some(predicate) => agents::gated(predicate),
            None => Agents::Only(Vec::new()),
        }
    }

    /// The texts that it mentions, each once: a name that it does not mention fares like any other
    /// such name.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut mention = |literal: &Literal| {
            if let Literal::Text(text) = literal {
                texts.push(text.clone());
            }
        };
        if let Some(predicate) = &self.predicate {
            predicate.walk(&mut |part| match part {
                Part::Predicate(Predicate::InList { items, .. }) => {
                    items.iter().for_each(&mut mention);
                }
                Part::Value(Value::Literal(literal)) => mention(literal),
                _ => {}
            });
        }
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// Its tree, for those who look for the states that its conditions tell apart; `None` for the
    /// empty clause.
    pub(crate) fn predicate(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    /// The rows of the tables that can matter to it, for the jobs that are queued.
    pub fn reach(&self) -> Reach {
        Reach::of(self.predicate.as_ref())
    }

    /// The tables that the clause's sub-selects read, each once: a change in any of them can change
    /// a verdict (DESIGN section 6).
    pub fn reads(&self) -> impl Iterator<Item = Table> {
        [Table::Tasks, Table::Jobs, Table::RepoFreeze]
            .into_iter()
            .filter(|table| self.reads.contains(table))
    }
}
