//! `freeze`: closes a repo.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serial_gate::queue::{NewFreeze, frozen_words};

use super::Error;
use super::freeze_remedy::{release, switch_on};
use super::options::{Shared, Who};
use super::output::Report;
use super::text::shown;
use super::verb::Verb;

/// Close a repo until it is unfrozen: no task of it starts
#[derive(Args)]
#[command(after_help = "\
A freeze holds the first job of each task, and lets tasks that have started go on. It
does not hold a job of another agent, even if that was added to a task that waits.
Where the gate does not act, it holds nothing, and the command says so.

Examples:
  serial-gate freeze alpha --reason 'checkout is down since 14:02'
  serial-gate freeze omega --new --reason 'closed until it is launched'")]
pub struct Freeze {
    /// The repo
    repo: String,
    /// Why, for people who look at the queue
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// The task whose deploy went bad, by its name
    #[arg(long, value_name = "NAME")]
    work_item: Option<String>,
    /// The repo is new: nothing in the queue has its name yet
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    who: Who,
}

impl Verb for Freeze {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue()?;
        let freeze = NewFreeze {
            repo: &self.repo,
            work_item: self.work_item.as_deref(),
            new: self.new,
        };
        let frozen = queue.freeze(self.who.actor(&self.reason), freeze)?;
        let mut report = shared.report();
        report.json(&frozen);
        let note = frozen.note.as_deref().map(shown);
        let said = frozen_words(&shown(&self.repo), note.as_deref());
        report.line(format!("{said} (freeze {})", frozen.freeze_id));
        if !frozen.holds
            && let Some(command) = switch_on(&mut queue, shared, &self.repo)
        {
            report.line(format!("  make it hold with: {command}"));
        }
        if let Some(command) = release(shared, &self.repo, frozen.freeze_id) {
            report.line(format!("  release it with: {command}"));
        }
        Ok(report)
    }
}
