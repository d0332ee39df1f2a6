//! `policy promote`: the shadow becomes the active generation.

use clap::Args;
use serial_gate::rollout;

use super::proposal::Reason;
use super::rollback::report_active;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::verb::Verb;

/// Make the shadow the active generation
#[derive(Args)]
#[command(after_help = "\
Example:
  serial-gate policy promote --reason 'a week without a disagreement'")]
pub struct Promote {
    #[command(flatten)]
    reason: Reason,
}

impl Verb for Promote {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue_as_stored()?;
        let generation = rollout::promote(&mut queue, self.reason.actor())?;
        report_active(&mut queue, generation, shared)
    }
}
