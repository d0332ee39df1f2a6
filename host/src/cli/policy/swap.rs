//! `policy swap`: another policy for a running queue.

use clap::Args;
use serial_gate::queue::Queue;
use serial_gate::rollout::{self, Place};

use super::proposal::{Allow, File, NewRepos, Reason, print_stages};
use crate::cli::adoption::note;
use crate::cli::options::Shared;
use crate::cli::output::{Output, Tone, toned};
use crate::cli::text::{command, shown};
use crate::cli::{Error, Outcome};

/// Check a policy and make it the active one; a refused one changes nothing
#[derive(Args)]
#[command(
    after_help = "The settings stay as they are unless this command is told otherwise; they become the new\ngeneration's. Every process that claims follows within its next claims, without a restart.\n\nExamples:\n  serial-gate policy swap my-policy.wasm --reason 'two tasks at a time'\n  \
    serial-gate policy swap wip-limit.wasm --rules '{\"limit\":3}' --reason 'more at once'\n  serial-gate policy swap built-in --rules '{}' --reason 'back to the usual rule'"
)]
pub struct Swap {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    reason: Reason,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    repos: NewRepos,
}

impl Swap {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        propose(
            &self.file,
            &self.allow,
            &self.repos,
            self.reason,
            Place::Active,
            shared,
            output,
        )
    }
}

/// Proposes a policy for a place and prints what became of it.
pub fn propose(
    file: &File,
    allow: &Allow,
    repos: &NewRepos,
    reason: Reason,
    place: Place,
    shared: &Shared,
    output: &mut Output,
) -> Result<Outcome, Error> {
    let mut queue = shared.queue_as_stored()?;
    let proposal = file.proposal(shared, allow, Some(&mut queue))?;
    repos.check(&mut queue, shared)?;
    let swapped = reason.act(|act| rollout::swap(&mut queue, &proposal, place, act))?;
    let outcome = print_stages(&swapped.stages, output)?;
    let generation = swapped.generation;
    if !swapped.is_accepted() {
        say_refused(&mut queue, generation, output)?;
        return Ok(outcome);
    }
    if output.json {
        output.json_line(&serde_json::json!({ "generation": generation, "accepted": true }))?;
        return Ok(outcome);
    }
    let policy = policy(&mut queue, generation)?;
    match place {
        Place::Active => {
            output.line(toned(
                Tone::Free,
                format!("generation {generation} ({policy}) is active"),
            ))?;
            let back = ["policy", "rollback", "--reason", "TEXT"];
            if let Some(command) = command(shared, &back) {
                output.line(format!("  go back with: {command}"))?;
            }
            for text in queue.names_without_rows()? {
                note(output, &text)?;
            }
        }
        Place::Shadow => {
            output.line(toned(
                Tone::Free,
                format!("generation {generation} ({policy}) is the shadow"),
            ))?;
            if let Some(command) = command(shared, &["policy", "shadow", "status"]) {
                output.line(format!("  after some claims, look at: {command}"))?;
            }
        }
    }
    Ok(outcome)
}

/// Says that a generation is refused.
pub fn say_refused(queue: &mut Queue, generation: i64, output: &mut Output) -> Result<(), Error> {
    if output.json {
        output.json_line(&serde_json::json!({ "generation": generation, "accepted": false }))?;
        return Ok(());
    }
    let policy = policy(queue, generation)?;
    output.line(toned(
        Tone::Held,
        format!("generation {generation} ({policy}) is refused: nothing has changed"),
    ))?;
    Ok(())
}

/// A generation's policy by its name.
fn policy(queue: &mut Queue, generation: i64) -> Result<String, Error> {
    let row = queue.store().generation(generation)?;
    Ok(format!("`{}` {}", shown(&row.name), shown(&row.version)))
}
