//! `policy check`: whether a component may be a queue's policy.

use clap::Args;
use jiff::Timestamp;
use serial_gate::conform::{Candidate, check_policy};

use super::proposal::{Allow, File, print_stages};
use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::{Error, Outcome};

/// Check a policy stage by stage: contract, clause, and the invariants that any gate should keep
#[derive(Args)]
#[command(
    after_help = "Nothing is changed: the states are made up, on a temporary database. The policy is asked under\nthe queue's settings and has to pass the queue's fixtures, if there is a queue here.\n\nExample:\n  serial-gate policy check my-policy.wasm"
)]
pub struct Check {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    allow: Allow,
}

impl Check {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue_if_any()?;
        let proposal = self.file.proposal(shared, &self.allow, queue.as_mut())?;
        let fixtures = match &mut queue {
            Some(queue) => queue.store().fixtures()?,
            None => Vec::new(),
        };
        let candidate = Candidate {
            component: &proposal.component,
            signature: proposal.signature.as_deref(),
            trust: shared.trust.as_ref(),
            settings: &proposal.settings,
            allowance: proposal.allowance,
            fixtures: &fixtures,
        };
        print_stages(
            &check_policy(candidate, &shared.runtime, Timestamp::now())?,
            output,
        )
    }
}
