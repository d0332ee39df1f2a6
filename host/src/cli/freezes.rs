//! `freezes`: freezes, newest first, with filters.
//!
//! Owns the flags and the table. Leaves the rows, the filters and the JSON, which is that of
//! `GET /v1/freezes`, to the store, and the pages to `lists`.

use clap::Args;
use serde_json::json;
use serial_gate::store::FreezeFilter;

use super::Error;
use super::lists::Range;
use super::options::Shared;
use super::output::Report;
use super::text::{moment_or_dash, shown_or_dash};
use super::verb::Verb;

/// List freezes, active and cleared ones, the newest first
#[derive(Args)]
#[command(after_help = "\
Examples:
  serial-gate freezes --active
  serial-gate freezes --repo alpha --since 24h --json")]
pub struct Freezes {
    /// Only this repo
    #[arg(long, value_parser = super::text::repo)]
    repo: Option<String>,
    /// Only freezes that are not cleared
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    range: Range,
}

impl Verb for Freezes {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        let filter = FreezeFilter {
            repo: self.repo.as_deref(),
            active: self.active.then_some(true),
            since: self.range.since,
        };
        let page = self
            .range
            .read(|page| Ok(queue.store().freezes(filter, page)?))?;
        let mut report = shared.report();
        report.json(&json!({ "freezes": page.rows, "next": page.next }));
        if page.rows.is_empty() {
            report.line("no such freeze");
        } else {
            let rows = page.rows.iter().map(|freeze| {
                vec![
                    freeze.freeze_id.to_string(),
                    shown_or_dash(freeze.repo.as_deref()),
                    moment_or_dash(freeze.frozen_at.as_deref()),
                    moment_or_dash(freeze.until.as_deref()),
                    moment_or_dash(freeze.cleared_at.as_deref()),
                    freeze
                        .group
                        .map_or_else(|| "-".into(), |group| group.to_string()),
                    shown_or_dash(freeze.reason.as_deref()),
                ]
            });
            report.table(
                &[
                    "number", "repo", "since", "until", "cleared", "group", "reason",
                ],
                rows,
            );
        }
        self.range.describe_more(page.next, &mut report);
        Ok(report)
    }
}
