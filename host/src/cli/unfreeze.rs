//! `unfreeze`: opens a repo again.

use clap::Args;
use jiff::Timestamp;

use super::options::Shared;
use super::output::Output;
use super::text::{count, shown};
use super::{Error, Outcome};

/// Open a frozen repo again: clears all its active freezes
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate unfreeze alpha")]
pub struct Unfreeze {
    /// The repo
    repo: String,
}

impl Unfreeze {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let cleared = shared.store()?.unfreeze(Timestamp::now(), &self.repo)?;
        let repo = shown(&self.repo);
        if output.json {
            output.json_line(&serde_json::json!({ "repo": self.repo, "cleared": cleared }))?;
        } else if cleared == 0 {
            output.line(format!("`{repo}` was not frozen: nothing was changed"))?;
        } else {
            output.line(format!(
                "`{repo}` is open again: {} cleared",
                count(cleared, "freeze")
            ))?;
        }
        Ok(Outcome::Done)
    }
}
