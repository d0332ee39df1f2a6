//! `unfreeze`: opens a repo again.

use clap::Args;
use serde_json::json;
use serial_gate::queue::Queue;

use super::Error;
use super::options::{Shared, Why, numbered};
use super::output::{Report, noting};
use super::text::{count, shown};
use super::verb::Verb;

/// Open a frozen repo again: clears all its active freezes, or those of `freeze --all`
#[derive(Args)]
#[command(after_help = "\
Examples:
  serial-gate unfreeze alpha
  serial-gate unfreeze alpha --seen 1764081842312 --reason 'rolled back by hand'
  serial-gate unfreeze --group 1764081842312")]
pub struct Unfreeze {
    /// The repo
    #[arg(required_unless_present = "group", value_parser = super::text::repo)]
    repo: Option<String>,
    /// Clear exactly the freezes of a `freeze --all`, by the number that it printed. A repo that
    /// has another freeze stays frozen
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = numbered)]
    #[arg(conflicts_with_all = ["repo", "seen"])]
    group: Option<i64>,
    /// The newest freeze that you know, by its number: if there is a newer one, nothing is cleared
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = numbered)]
    seen: Option<i64>,
    #[command(flatten)]
    why: Why,
}

impl Verb for Unfreeze {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        if let Some(group) = self.group {
            return self.unfreeze_group(&mut queue, group, shared);
        }
        let repo = self.repo.as_deref().unwrap_or_default();
        let store = queue.store();
        let cleared = store.unfreeze(self.why.actor(), repo, self.seen)?;
        let note = match cleared {
            0 => queue.not_frozen(repo)?,
            _ => None,
        };
        let mut report = shared.report();
        let document = json!({ "repo": repo, "cleared": cleared });
        report.json(&noting(document, note.as_ref()));
        let repo = shown(repo);
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

impl Unfreeze {
    fn unfreeze_group(
        &self,
        queue: &mut Queue,
        group: i64,
        shared: &Shared,
    ) -> Result<Report, Error> {
        let repos = queue.store().unfreeze_group(self.why.actor(), group)?;
        let still = repos.iter().filter(|(_, is_frozen)| *is_frozen);
        let still: Vec<&str> = still.map(|(repo, _)| repo.as_str()).collect();
        let mut report = shared.report();
        report.json(&json!({
            "group": group, "cleared": repos.len(), "still_frozen": still,
        }));
        report.line(match repos.len() {
            0 => format!("no freeze of group {group} is active: nothing was changed"),
            cleared => format!("{} of group {group} cleared", count(cleared, "freeze")),
        });
        for repo in still {
            report.line(format!(
                "  `{}` is still frozen by another freeze",
                shown(repo)
            ));
        }
        Ok(report)
    }
}
