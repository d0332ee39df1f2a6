//! `unfreeze`: opens a repo again.

use clap::Args;

use super::options::{Shared, Why};
use super::output::{Output, noting};
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
    /// The newest freeze that you know of, by its number: if another one is the newest, nothing is
    /// cleared
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    seen: Option<i64>,
    #[command(flatten)]
    why: Why,
}

impl Unfreeze {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue()?;
        let (repo, seen) = (&self.repo, self.seen);
        let cleared = self
            .why
            .act(|act| queue.store_mut().unfreeze(act, repo, seen))?;
        let note = match cleared {
            0 => queue.not_frozen(repo)?,
            _ => None,
        };
        let repo = shown(&self.repo);
        if output.json {
            let document = serde_json::json!({ "repo": self.repo, "cleared": cleared });
            output.json_line(&noting(document, note.as_ref()))?;
        } else if cleared == 0 {
            output.line(format!("`{repo}` was not frozen: nothing was changed"))?;
            if let Some(note) = note {
                output.line(format!("  {}", shown(&note)))?;
            }
        } else {
            output.line(format!(
                "`{repo}` is open again: {} cleared",
                count(cleared, "freeze")
            ))?;
        }
        Ok(Outcome::Done)
    }
}
