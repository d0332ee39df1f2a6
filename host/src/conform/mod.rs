//! Conformance: cases with expected results, run through the real parts.
//!
//! Owns the cases' format (one JSON object a line, `case` and `expected`, as the reference's
//! fixtures have it), the database that they run on, and the comparison. Rows and operations are
//! plain SQL on a second connection, as another program would write them. Callers rely on this:
//! every field of an expected result is compared, down to the last key.

mod agreement;
mod budget;
mod case;
mod cells;
mod check;
mod compare;
mod dice;
mod directed;
mod example;
mod language;
mod leaves;
mod near;
mod operation;
mod place;
mod row;
mod rows;
mod scene;
mod stage;
mod states;
mod times;
mod vocabulary;
mod world;

pub use case::{Case, parse_cases, read_cases};
pub use check::{CHECK_TIME, Candidate, check_policy, check_policy_within};
pub use compare::Difference;
pub use stage::Stage;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::with_causes;
use crate::gate::Overrides;
use crate::model::Decision;
use crate::policy::{Allowance, Runtime};
use crate::queue::{self, Queue};
use crate::store::{Location, Refused};
use budget::Budget;
use place::Place;
use world::World;

/// The time that one case may take; 60 s.
pub const CASE_TIME: Duration = Duration::from_secs(60);

/// Cases that cannot be run. A case that fails is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file without a case proves nothing.
    #[error("there is no case in `{}`: write one a line", path.display())]
    NoCase {
        /// The file.
        path: PathBuf,
    },
    /// A line is not a case.
    #[error("line {line} of `{}` is not a conformance case: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A value in a case cannot be used.
    #[error("{0}")]
    Value(String),
    /// There is not one decision for each queued job.
    #[error("{0}")]
    Decided(String),
    /// A case that goes on for too long.
    #[error(
        "the case took longer than its time: give it fewer jobs, or make the policy's answers \
         faster"
    )]
    Time,
    /// The database for the cases.
    #[error("cannot make a temporary database")]
    Temporary(#[source] std::io::Error),
    /// The queue under test.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// A statement of an orchestrator on the database under test.
    #[error("the temporary database refused a statement")]
    Refused(#[from] Refused),
}

/// Something that decides over a queue's state, such as [`Queue::decide`].
pub type Decide = dyn Fn(&mut Queue, Timestamp) -> Result<Vec<Decision>, queue::Error>;

/// How the jobs that may be claimed are found.
#[derive(Clone, Copy)]
pub enum Through<'a> {
    /// By the clause, in the claim's own statement.
    Clause,
    /// By decisions: the first job that is let through is then claimed by its id.
    Decisions(&'a Decide),
}

/// Runs cases, one after the other, on one temporary database.
pub struct Runner {
    world: World,
    case_time: Duration,
}

impl Runner {
    /// Makes the database for a policy under test.
    ///
    /// # Errors
    ///
    /// When there is no room for a temporary database.
    pub fn new(component: &[u8], allowance: Allowance, runtime: Runtime) -> Result<Runner, Error> {
        Ok(Runner::of(World::new(component, allowance, runtime)?))
    }

    /// The same on the engine of another database. On a server it is a schema beside the others,
    /// which is dropped in the end.
    ///
    /// # Errors
    ///
    /// When the server does not let this role make one.
    pub fn beside(
        location: &Location,
        component: &[u8],
        allowance: Allowance,
        runtime: Runtime,
    ) -> Result<Runner, Error> {
        let place = Place::beside(location)?;
        Ok(Runner::of(World::at(place, component, allowance, runtime)?))
    }

    fn of(world: World) -> Runner {
        Runner {
            world,
            case_time: CASE_TIME,
        }
    }

    /// Runs every case under these settings instead of its own. A setting that is
    /// not given stays the case's. The case's operations cannot change the given ones.
    ///
    /// # Errors
    ///
    /// When the policy refuses the rules.
    pub fn replace_settings(&mut self, overrides: Overrides) -> Result<(), Error> {
        self.world.replace_settings(overrides)
    }

    /// Why the database cannot keep the values of a case; none if it can. Such a case can neither
    /// pass nor fail.
    pub fn cannot_keep(&self, case: &Case) -> Option<String> {
        self.world.cannot_keep(&case.document)
    }

    /// Gives each case another time than [`CASE_TIME`].
    pub fn set_case_time(&mut self, time: Duration) {
        self.case_time = time;
    }

    /// Runs a case and returns where its result differs from the expected one; nowhere is a pass.
    ///
    /// # Errors
    ///
    /// When the case holds a value that the tables cannot, or the database fails.
    pub fn run(&mut self, case: &Case, through: Through<'_>) -> Result<Vec<Difference>, Error> {
        self.world.budget = Budget::new(self.case_time);
        let result = self.world.evaluate(&case.document, through)?;
        Ok(compare::differences(&case.expected, &result))
    }

    /// Runs a case through the clause and through the decisions, and says what is wrong with
    /// either; nothing is a pass.
    pub fn failures(&mut self, case: &Case) -> Vec<String> {
        let by_decisions = Through::Decisions(&|queue, now| queue.decide(now, None));
        let mut failures = Vec::new();
        for (name, through) in [("clause", Through::Clause), ("decide", by_decisions)] {
            match self.run(case, through) {
                Ok(differences) => {
                    let said = differences.iter().map(|found| format!("[{name}] {found}"));
                    failures.extend(said);
                }
                Err(error) => failures.push(format!("[{name}] {}", with_causes(&error))),
            }
        }
        failures
    }
}
