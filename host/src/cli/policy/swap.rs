//! `policy swap`: makes another policy the active one of a running queue.

use clap::Args;
use serial_gate::conform::Stage;
use serial_gate::policy::is_built_in;
use serial_gate::queue::Queue;
use serial_gate::rollout::{self, Place};

use super::proposal::{Allow, File, NewRepos, Reason, list_stages, note_stored_rules};
use super::source::Origin;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::{command, shown};
use crate::cli::verb::Verb;

/// Check a policy and make it the active one; a refused one changes nothing
#[derive(Args)]
#[command(after_help = "\
The settings stay as they are, unless this command overrides them; the new generation
stores the result. Every process that claims follows with its next claim, without a
restart.

Examples:
  serial-gate policy swap my-policy.wasm --reason 'two tasks at a time'
  serial-gate policy swap builtin:hotfix-lane --reason 'hotfixes go first'
  serial-gate policy swap wip-limit.wasm --rules '{\"limit\":3}' --reason 'more at once'
  serial-gate policy swap oci://ghcr.io/example/my-policy:1.0 --reason 'from the registry'
  serial-gate policy swap built-in --rules '{}' --reason 'back to the usual rule'")]
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

impl Verb for Swap {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let (allow, repos) = (&self.allow, &self.repos);
        propose(
            &self.file,
            allow,
            repos,
            &self.reason,
            Place::Active,
            shared,
        )
    }
}

/// Proposes a policy for a place, and reports whether it was accepted.
pub fn propose(
    file: &File,
    allow: &Allow,
    repos: &NewRepos,
    reason: &Reason,
    place: Place,
    shared: &Shared,
) -> Result<Report, Error> {
    let mut queue = shared.queue_as_stored()?;
    let (proposal, origin) = file.proposal(shared, allow, Some(&mut queue))?;
    repos.check(&mut queue, shared)?;
    let mut swapped = rollout::swap(&mut queue, &proposal, place, reason.actor())?;
    if is_built_in(&proposal.component) {
        for stage in &mut swapped.stages {
            in_plain_words(stage);
        }
    }
    let mut report = shared.report();
    Origin::add(origin.as_ref(), &mut report);
    list_stages(&swapped.stages, shared, &mut report);
    note_stored_rules(&swapped.stages, &proposal.settings, shared, &mut report);
    let generation = swapped.generation;
    if !swapped.is_accepted() {
        add_refused(&mut queue, generation, &mut report)?;
        return Ok(report);
    }
    report.json(&serde_json::json!({ "generation": generation, "accepted": true }));
    let policy = policy(&mut queue, generation)?;
    let (what, next, command) = match place {
        Place::Active => {
            let back = ["policy", "rollback", "--reason", "TEXT"];
            ("active", "go back with", command(shared, &back))
        }
        Place::Shadow => {
            let status = command(shared, &["policy", "shadow", "status"]);
            ("the shadow", "after some claims, look at", status)
        }
    };
    let line = format!("generation {generation} ({policy}) is {what}");
    report.line(toned(Tone::Free, line));
    if let Some(command) = command {
        report.line(format!("  {next}: {command}"));
    }
    if place == Place::Active {
        for note in queue.names_without_rows()? {
            report.note(&note);
        }
    }
    Ok(report)
}

/// Leaves out what only a policy's author can mend.
fn in_plain_words(stage: &mut Stage) {
    if let Ok(found) = &mut stage.found
        && stage.name == "claims"
        && found.starts_with("not flat")
    {
        *found = "not flat: each looks at every held job before the first that may be claimed; \
                  \"What a claim costs\" in docs/workers.md says what that means"
            .into();
    }
}

/// Reports that a generation was refused.
pub fn add_refused(queue: &mut Queue, generation: i64, report: &mut Report) -> Result<(), Error> {
    report.json(&serde_json::json!({ "generation": generation, "accepted": false }));
    let policy = policy(queue, generation)?;
    let line = format!("generation {generation} ({policy}) is refused: nothing has changed");
    report.line(toned(Tone::Held, line));
    Ok(())
}

/// A generation's policy by its name.
fn policy(queue: &mut Queue, generation: i64) -> Result<String, Error> {
    let row = queue.store().generation(generation)?;
    Ok(format!("`{}` {}", shown(&row.name), shown(&row.version)))
}
