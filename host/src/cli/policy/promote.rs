//! `policy promote`: the shadow becomes the active generation.

use clap::Args;
use serial_gate::rollout;

use super::proposal::Reason;
use super::rollback::say_active;
use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::{Error, Outcome};

/// Make the shadow the active generation
#[derive(Args)]
#[command(
    after_help = "Example:\n  serial-gate policy promote --reason 'a week without a disagreement'"
)]
pub struct Promote {
    #[command(flatten)]
    reason: Reason,
}

impl Promote {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue_as_stored()?;
        let generation = self.reason.act(|act| rollout::promote(&mut queue, act))?;
        say_active(&mut queue, generation, output)
    }
}
