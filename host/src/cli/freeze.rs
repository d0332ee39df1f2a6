//! `freeze`: closes a repo.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::options::{Shared, Who};
use super::output::Output;
use super::text::{command, shown};
use super::{Error, Outcome};

/// Close a repo until it is unfrozen: no task of it starts
#[derive(Args)]
#[command(
    after_help = "Example:\n  serial-gate freeze alpha --reason 'checkout is down since 14:02'"
)]
pub struct Freeze {
    /// The repo
    repo: String,
    /// Why, for whoever asks what is going on
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// The task whose deploy went bad, by its name
    #[arg(long, value_name = "NAME")]
    work_item: Option<String>,
    #[command(flatten)]
    who: Who,
}

impl Freeze {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue()?;
        let freeze = self.who.act(&self.reason, |act| {
            queue.freeze(act, &self.repo, self.work_item.as_deref())
        })?;
        if output.json {
            output.json_line(&serde_json::json!({ "freeze_id": freeze, "repo": self.repo }))?;
            return Ok(Outcome::Done);
        }
        output.line(format!(
            "`{}` is frozen: no task of it starts",
            shown(&self.repo)
        ))?;
        if let Some(command) = command(shared, &["unfreeze", &self.repo]) {
            output.line(format!("  release it with: {command}"))?;
        }
        Ok(Outcome::Done)
    }
}
