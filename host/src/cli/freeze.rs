//! `freeze`: closes a repo, or all of them.

use clap::Args;
use jiff::Timestamp;
use serial_gate::queue::{NewFreeze, Queue, frozen_words};
use serial_gate::store::sql_time;

use super::Error;
use super::freeze_remedy::{release, switch_on};
use super::options::{Shared, Who, future, reason};
use super::output::Report;
use super::text::{command, shown};
use super::verb::Verb;

/// Close a repo, or all known ones, until it is unfrozen: no task of it starts
#[derive(Args)]
#[command(after_help = "\
A freeze holds the first job of each task, and lets tasks that have started go on. It
does not hold a job of another agent, even if that was added to a task that waits.
Where the gate does not act, it holds nothing, and the command says so.

Examples:
  serial-gate freeze alpha --reason 'checkout is down since 14:02'
  serial-gate freeze alpha --until 2h --reason 'release is being tested'
  serial-gate freeze --all --reason 'the build machines are being moved'
  serial-gate freeze omega --new --reason 'closed until it is launched'")]
pub struct Freeze {
    /// The repo
    #[arg(required_unless_present = "all", value_parser = super::text::repo)]
    repo: Option<String>,
    /// All repos that are known now; a repo that appears later is not covered
    #[arg(long, conflicts_with_all = ["repo", "new", "work_item"])]
    all: bool,
    /// Remind people then: `2026-11-28T14:00:00Z`, or `2h`. The repo stays closed until it is
    /// unfrozen
    #[arg(long, value_name = "TIME", value_parser = future)]
    until: Option<Timestamp>,
    /// Why, for people who look at the queue
    #[arg(long, value_name = "TEXT", value_parser = reason)]
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
        let Some(repo) = &self.repo else {
            return self.freeze_all(&mut queue, shared);
        };
        let freeze = NewFreeze {
            repo,
            work_item: self.work_item.as_deref(),
            until: self.until,
            new: self.new,
        };
        let frozen = queue.freeze(self.who.actor(&self.reason), freeze)?;
        let mut report = shared.report();
        report.json(&frozen);
        let note = frozen.note.as_deref().map(shown);
        let said = frozen_words(&shown(repo), note.as_deref());
        report.line(format!("{said} (freeze {})", frozen.freeze_id));
        self.describe_until(&mut report);
        if !frozen.holds
            && let Some(command) = switch_on(&mut queue, shared, repo)
        {
            report.line(format!("  make it hold with: {command}"));
        }
        if let Some(command) = release(shared, repo, frozen.freeze_id) {
            report.line(format!("  release it with: {command}"));
        }
        Ok(report)
    }
}

impl Freeze {
    fn freeze_all(&self, queue: &mut Queue, shared: &Shared) -> Result<Report, Error> {
        let frozen = queue.freeze_all(self.who.actor(&self.reason), self.until)?;
        let mut report = shared.report();
        report.json(&frozen);
        report.line(frozen.in_words());
        for note in &frozen.not_held {
            report.line(format!("  {}", shown(note)));
        }
        report.line("  a repo that appears later is not covered");
        self.describe_until(&mut report);
        let group = frozen.group.to_string();
        if let Some(command) = command(shared, &["unfreeze", "--group", &group]) {
            report.line(format!("  release exactly these with: {command}"));
        }
        Ok(report)
    }

    fn describe_until(&self, report: &mut Report) {
        if let Some(until) = self.until {
            report.line(format!(
                "  there is a reminder at {} UTC; only `unfreeze` opens a repo",
                sql_time(until)
            ));
        }
    }
}
