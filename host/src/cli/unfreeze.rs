//! `unfreeze`: opens a repo again.

use clap::Args;

use super::options::{Shared, Why};
use super::output::Output;
use super::text::{count, shown};
use super::{Error, Outcome};

/// Open a frozen repo again: clears all its active freezes
#[derive(Args)]
#[command(
    after_help = "Examples:\n  serial-gate unfreeze alpha\n  serial-gate unfreeze alpha --seen 1764081842312 --reason 'rolled back by hand'"
)]
pub struct Unfreeze {
    /// The repo
    repo: String,
    /// The newest freeze that you know of, by its number: if another one is the newest, nothing is cleared
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    seen: Option<i64>,
    #[command(flatten)]
    why: Why,
}

impl Unfreeze {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut store = shared.store()?;
        let (repo, seen) = (&self.repo, self.seen);
        let cleared = self.why.act(|act| store.unfreeze(act, repo, seen))?;
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
