//! `deploy-verdict`: records how a deploy turned out, and freezes a repo whose deploy went bad.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use serde_json::json;
use serial_gate::store::{self, NewDeploy};

use super::Error;
use super::freeze_remedy::{release, switch_on};
use super::options::{Shared, Who};
use super::output::Report;
use super::text::shown;
use super::verb::Verb;

/// Report how a deploy turned out: a degraded one freezes its repo until an operator clears it
#[derive(Args)]
#[command(after_help = "\
Reporting the same deploy again (the same ID, or without an ID the same work item)
is recorded, but freezes nothing again. A healthy verdict never clears a freeze.

Example:
  serial-gate deploy-verdict alpha --verdict degraded --deploy 118 \\
    --work-item A-1 --detail 'errors at 7 %'")]
pub struct DeployVerdict {
    /// The repo
    #[arg(value_parser = super::text::repo)]
    repo: String,
    /// Whether the deploy is healthy
    #[arg(long)]
    verdict: Verdict,
    /// The deploy's ID in its own system
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    deploy: Option<String>,
    /// The task that was deployed, by its name
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    work_item: Option<String>,
    /// What was observed, for people who look at the queue
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    detail: String,
    #[command(flatten)]
    who: Who,
}

/// Whether a deploy is healthy.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    Healthy,
    Degraded,
}

impl Verb for DeployVerdict {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let deploy = NewDeploy {
            repo: &self.repo,
            verdict: match self.verdict {
                Verdict::Healthy => store::DeployVerdict::Healthy,
                Verdict::Degraded => store::DeployVerdict::Degraded,
            },
            deploy: self.deploy.as_deref(),
            work_item: self.work_item.as_deref(),
        };
        let mut queue = shared.queue()?;
        let deployed = queue.deploy_verdict(self.who.actor(&self.detail), deploy)?;
        let (recorded, frozen) = (deployed.recorded, queue.is_frozen(Some(&self.repo)));
        let mut report = shared.report();
        report.json(&json!({
            "repo": self.repo, "verdict": deploy.verdict, "verdict_id": recorded.id,
            "freeze_id": recorded.freeze_id, "repeated": recorded.repeated, "frozen": frozen,
            "holds": deployed.holds, "note": deployed.note,
        }));
        let repo = shown(&self.repo);
        let note = deployed.note.as_deref().map(shown);
        match (self.verdict, recorded.freeze_id) {
            (_, Some(freeze)) => {
                let but = match note.as_deref() {
                    None => ": no task of it starts".to_owned(),
                    Some(note) => format!(", but {note}"),
                };
                report.line(format!(
                    "`{repo}` is frozen, because its deploy is degraded{but} (freeze {freeze})"
                ));
            }
            (Verdict::Degraded, None) => report.line(format!(
                "this deploy of `{repo}` is known to be degraded: nothing new was frozen"
            )),
            (Verdict::Healthy, _) => report.line(format!("the deploy of `{repo}` is healthy")),
        }
        if recorded.freeze_id.is_none() {
            match (frozen, note) {
                (true, None) => {
                    report.line(format!(
                        "  `{repo}` is still frozen: an operator clears that"
                    ));
                }
                (true, Some(note)) => {
                    report.line(format!("  `{repo}` is still frozen, but {note}"));
                }
                (false, Some(note)) => report.line(format!("  {note}")),
                (false, None) => {}
            }
        }
        if frozen
            && !deployed.holds
            && let Some(command) = switch_on(&mut queue, shared, &self.repo)
        {
            report.line(format!("  make it hold with: {command}"));
        }
        let newest = queue.store().active_freeze(Some(&self.repo))?;
        if let Some(newest) = newest.filter(|_| frozen)
            && let Some(command) = release(shared, &self.repo, newest.id)
        {
            report.line(format!("  release it with: {command}"));
        }
        Ok(report)
    }
}
