//! `deploy-verdict`: what became of a deploy, and the freeze of a repo whose deploy went bad.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use serial_gate::store::{self, NewDeploy};

use super::options::{Shared, Who};
use super::output::Output;
use super::remedy::{release, switch_on};
use super::text::shown;
use super::{Error, Outcome};

/// Report how a deploy turned out: a degraded one freezes its repo until an operator clears it
#[derive(Args)]
#[command(
    after_help = "A verdict that is repeated for the same deploy (the same ID, or without one the same work item)\nis written down, and freezes nothing again. A healthy one never clears a freeze.\n\nExample:\n  serial-gate deploy-verdict alpha --verdict degraded --deploy 118 --work-item A-1 --detail 'errors at 7 %'"
)]
pub struct DeployVerdict {
    /// The repo
    repo: String,
    /// How the deploy is
    #[arg(long)]
    verdict: Verdict,
    /// The deploy, by the name that its system gave it
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    deploy: Option<String>,
    /// The task that was deployed, by its name
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    work_item: Option<String>,
    /// What was seen, for people who look at the queue
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

/// How a deploy is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    Healthy,
    Degraded,
}

impl DeployVerdict {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
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
        let deployed = self
            .who
            .act(&self.detail, |act| queue.deploy_verdict(act, deploy))?;
        let (recorded, frozen) = (deployed.recorded, queue.is_frozen(Some(&self.repo)));
        if output.json {
            output.json_line(&serde_json::json!({
                "repo": self.repo, "verdict": deploy.verdict, "verdict_id": recorded.id,
                "freeze_id": recorded.freeze_id, "repeated": recorded.repeated, "frozen": frozen,
                "holds": deployed.holds, "note": deployed.note,
            }))?;
            return Ok(Outcome::Done);
        }
        let repo = shown(&self.repo);
        let note = deployed.note.as_deref().map(shown);
        match (self.verdict, recorded.freeze_id) {
            (_, Some(freeze)) => {
                let but = match note.as_deref() {
                    None => ": no task of it starts".to_owned(),
                    Some(note) => format!(", but {note}"),
                };
                output.line(format!(
                    "`{repo}` is frozen, because its deploy is degraded{but} (freeze {freeze})"
                ))?;
            }
            (Verdict::Degraded, None) => output.line(format!(
                "this deploy of `{repo}` is known to be degraded: nothing new was frozen"
            ))?,
            (Verdict::Healthy, _) => output.line(format!("the deploy of `{repo}` is healthy"))?,
        }
        if recorded.freeze_id.is_none() {
            match (frozen, note) {
                (true, None) => {
                    output.line(format!(
                        "  `{repo}` is still frozen: an operator clears that"
                    ))?;
                }
                (true, Some(note)) => {
                    output.line(format!("  `{repo}` is still frozen, but {note}"))?;
                }
                (false, Some(note)) => output.line(format!("  {note}"))?,
                (false, None) => {}
            }
        }
        if frozen
            && !deployed.holds
            && let Some(command) = switch_on(&mut queue, shared, &self.repo)
        {
            output.line(format!("  make it hold with: {command}"))?;
        }
        let newest = queue.store().active_freeze(Some(&self.repo))?;
        if let Some(newest) = newest.filter(|_| frozen)
            && let Some(command) = release(shared, &self.repo, newest.id)
        {
            output.line(format!("  release it with: {command}"))?;
        }
        Ok(Outcome::Done)
    }
}
