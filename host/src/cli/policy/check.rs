//! `policy check`: checks whether a component may be a queue's policy.

use clap::Args;
use jiff::Timestamp;
use serial_gate::conform::{Candidate, check_policy};

use super::proposal::{Allow, File, list_stages, note_stored_rules};
use super::source::Origin;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::verb::Verb;

/// Check a policy stage by stage: contract, clause, and the invariants that any gate should keep
#[derive(Args)]
#[command(after_help = "\
Nothing is changed: the states are generated, in a temporary database. If there is a
queue here, the policy is called with the queue's settings and has to pass its
fixtures.

Example:
  serial-gate policy check my-policy.wasm")]
pub struct Check {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    allow: Allow,
}

impl Verb for Check {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue_if_any()?;
        let (proposal, origin) = self.file.proposal(shared, &self.allow, queue.as_mut())?;
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
        let stages = check_policy(candidate, &shared.runtime, Timestamp::now())?;
        let mut report = shared.report();
        Origin::add(origin.as_ref(), &mut report);
        list_stages(&stages, shared, &mut report);
        note_stored_rules(&stages, &proposal.settings, shared, &mut report);
        Ok(report)
    }
}
