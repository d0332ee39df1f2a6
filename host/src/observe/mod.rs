//! What is watched of claims: a decision log, a shadow policy, and whether `decide` and the clause
//! agree.
//!
//! Owns its memory: what was last logged, asked, compared and counted. Leaves the clause and the
//! verdicts to `gate`, and the rows to `store`; both are parameters. Callers rely on this: nothing
//! here fails a claim or a look, and a claim that nothing watches pays nothing.

mod agreement;
mod judging;
mod log;
mod look;
mod sample;
mod shadow;

pub(crate) use agreement::fault;
pub use agreement::{ByClause, Contradicting, Contradiction, Decided};
pub use judging::Agreement;
pub use log::{Entry, LogOptions, LoggedDecision};
pub use sample::Pace;

pub(crate) use judging::{Compared, compare_about, decide_and_compare};

use std::time::Duration;

use jiff::Timestamp;

use log::DecisionLog;
use sample::Sampled;
use shadow::Shadow;

/// What watches the claims of one queue.
pub struct Observer {
    log: Option<DecisionLog>,
    shadow: Shadow,
    /// How often `decide` is compared with the clause; none never does.
    pace: Option<Pace>,
    /// The time that a query by a clause may take.
    claim_budget: Duration,
    /// What was compared last before a claim.
    sampled: Option<Sampled>,
    /// What was counted last by a look, and when.
    counted: Option<(Contradicting, Timestamp)>,
    /// How many claims were not looked at although it was time to.
    left_out: u64,
}

impl Observer {
    /// Nothing was watched yet.
    pub fn new(log: Option<LogOptions>, pace: Option<Pace>, claim_budget: Duration) -> Observer {
        Observer {
            log: log.map(DecisionLog::new),
            shadow: Shadow::default(),
            pace,
            claim_budget,
            sampled: None,
            counted: None,
            left_out: 0,
        }
    }
}
