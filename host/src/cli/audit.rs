//! `audit`: lists what operators did, and why.

use clap::Args;
use jiff::Timestamp;
use serial_gate::store::{AuditEntry, AuditFilter};

use super::Error;
use super::options::{Shared, past};
use super::output::Report;
use super::text::{shown, shown_or_dash};
use super::verb::Verb;

/// List what operators did, newest first: who, what, from what to what, and why
#[derive(Args)]
#[command(after_help = "\
Changes of the policy concern every repo, so `--repo` leaves them out.

Examples:
  serial-gate audit
  serial-gate audit --repo alpha --limit 5
  serial-gate audit --who kim --since 2h")]
pub struct Audit {
    /// Only what was done in this repo
    #[arg(long, value_parser = super::text::repo)]
    repo: Option<String>,
    /// Only what this person or program did
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only since this time: `2026-11-28T06:00:00Z`, or `2h` for the last two hours
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<Timestamp>,
    /// Show the newest N entries
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

impl Verb for Audit {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let filter = AuditFilter {
            repo: self.repo.as_deref(),
            who: self.who.as_deref(),
            since: self.since,
        };
        let entries = shared.store()?.audit(filter, self.limit)?;
        let mut report = shared.report();
        for entry in &entries {
            report.json(entry);
        }
        if entries.is_empty() {
            report.line(match &self.repo {
                _ if self.who.is_some() || self.since.is_some() => {
                    "the audit has no such entry".into()
                }
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
                subject(entry),
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

fn subject(entry: &AuditEntry) -> String {
    let subject = shown(&entry.subject);
    match entry.work_item_id.as_deref() {
        Some(name) => format!("{subject} ({})", shown(name)),
        None => subject,
    }
}

pub fn change(before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return "-".into();
    }
    format!("{} → {}", shown_or_dash(before), shown_or_dash(after))
}
