//! `unfreeze`: opens a repo again.

use clap::Args;
use serde_json::json;

use super::Error;
use super::options::{Shared, Why};
use super::output::{Report, noting};
use super::text::{count, shown};
use super::verb::Verb;

/// Open a frozen repo again: clears all its active freezes
#[derive(Args)]
#[command(after_help = "\
Examples:
  serial-gate unfreeze alpha
  serial-gate unfreeze alpha --seen 1764081842312 --reason 'rolled back by hand'")]
pub struct Unfreeze {
    /// The repo
    repo: String,
    /// The newest freeze that you know, by its number: if there is a newer one, nothing is cleared
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    seen: Option<i64>,
    #[command(flatten)]
    why: Why,
}

impl Verb for Unfreeze {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        let store = queue.store();
        let cleared = store.unfreeze(self.why.actor(), &self.repo, self.seen)?;
        let note = match cleared {
            0 => queue.not_frozen(&self.repo)?,
            _ => None,
        };
        let mut report = shared.report();
        let document = json!({ "repo": self.repo, "cleared": cleared });
        report.json(&noting(document, note.as_ref()));
        let repo = shown(&self.repo);
        report.line(match cleared {
            0 => format!("`{repo}` was not frozen: nothing was changed"),
            _ => format!(
                "`{repo}` is open again: {} cleared",
                count(cleared, "freeze")
            ),
        });
        report.detail(note.as_deref());
        Ok(report)
    }
}
