//! `audit`: lists what operators did, and why.

use clap::Args;

use super::Error;
use super::options::Shared;
use super::output::Report;
use super::text::{shown, shown_or_dash};
use super::verb::Verb;

/// List what operators did, newest first: who, what, from what to what, and why
#[derive(Args)]
#[command(after_help = "\
Changes of the policy concern every repo, so `--repo` leaves them out.

Examples:
  serial-gate audit
  serial-gate audit --repo alpha --limit 5")]
pub struct Audit {
    /// Only what was done in this repo
    #[arg(long)]
    repo: Option<String>,
    /// Show the newest N entries
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

impl Verb for Audit {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let entries = shared.store()?.audit(self.repo.as_deref(), self.limit)?;
        let mut report = shared.report();
        for entry in &entries {
            report.json(entry);
        }
        if entries.is_empty() {
            report.line(match &self.repo {
                Some(repo) => format!("the audit has no entry about `{}`", shown(repo)),
                None => "the audit is empty".into(),
            });
            return Ok(report);
        }
        let rows = entries.iter().map(|entry| {
            vec![
                entry.at.clone(),
                shown(&entry.who),
                shown(&entry.action),
                shown_or_dash(entry.repo.as_deref()),
                shown(&entry.subject),
                change(entry.before.as_deref(), entry.after.as_deref()),
                shown_or_dash(Some(entry.why.as_str()).filter(|why| !why.is_empty())),
            ]
        });
        report.table(
            &["at (utc)", "who", "what", "repo", "to", "change", "why"],
            rows,
        );
        Ok(report)
    }
}

fn change(before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return "-".into();
    }
    format!("{} → {}", shown_or_dash(before), shown_or_dash(after))
}
