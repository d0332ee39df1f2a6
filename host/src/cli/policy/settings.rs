//! `policy settings`: the settings of the active generation, and a new generation with others.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serial_gate::life::{self, Place, Proposal};
use serial_gate::queue::{allowance_of, component, settings_of, stored};

use super::proposal::{Allow, NewRepos, Reason, print_stages};
use super::rollback::say_active;
use super::show::{generation, json};
use super::swap::say_refused;
use crate::cli::options::{Shared, Who};
use crate::cli::output::Output;
use crate::cli::text::shown;
use crate::cli::{Error, Outcome};

/// Show the settings that this command sees, or with `--reason` make them everybody's
#[derive(Args)]
#[command(
    after_help = "The same policy with other settings is a new generation, so `policy rollback` goes back.\n\nExamples:\n  serial-gate policy settings\n  serial-gate policy settings --repos alpha,beta --reason 'gamma needs no gate'\n  serial-gate policy settings --decide-ms 3000 --reason 'a long queue'"
)]
pub struct Settings {
    /// Why: makes the settings of this command a new generation
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    repos: NewRepos,
}

impl Settings {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut queue = shared.queue_as_stored()?;
        let active = generation(queue.store(), None)?;
        let (theirs, their_allowance) = (settings_of(&active)?, allowance_of(&active)?);
        let settings = shared.overrides.over(theirs.clone());
        let allowance = self.allow.over(their_allowance);
        let Some(reason) = self.reason else {
            let (theirs, settings) = (stored(&theirs), stored(&settings));
            let limits = stored(&allowance);
            if output.json {
                output.json_line(&serde_json::json!({
                    "generation": active.id, "settings": json(&settings), "limits": json(&limits),
                }))?;
                return Ok(Outcome::Done);
            }
            output.line(format!("generation {}  {}", active.id, shown(&theirs)))?;
            if theirs != settings {
                output.line(format!("here          {}", shown(&settings)))?;
                output.line("make them everybody's with `--reason TEXT`")?;
            }
            output.line(format!("limits        {}", shown(&limits)))?;
            return Ok(Outcome::Done);
        };
        self.repos.check(&mut queue, shared)?;
        let proposal = Proposal {
            component: component(queue.store(), &active.digest)?,
            signature: active.signature.clone(),
            settings,
            allowance,
            base: Some(active),
        };
        let reason = Reason {
            reason,
            who: self.who,
        };
        let swapped = reason.act(|act| life::swap(&mut queue, &proposal, Place::Active, act))?;
        if !swapped.is_accepted() {
            let outcome = print_stages(&swapped.stages, output)?;
            say_refused(&mut queue, swapped.generation, output)?;
            return Ok(outcome);
        }
        say_active(&mut queue, swapped.generation, output)
    }
}
