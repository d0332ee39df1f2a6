//! `policy settings`: shows the settings of the active generation, or stores others as a new one.

use clap::Args;
use serial_gate::gate::{allowance_of, component, settings_of, stored};
use serial_gate::model;
use serial_gate::policy::Allowance;
use serial_gate::rollout::{self, Place, Proposal};

use super::proposal::{Allow, NewRepos, list_stages};
use super::rollback::report_active;
use super::show::{generation, json};
use super::swap::add_refused;
use crate::cli::Error;
use crate::cli::options::{Shared, Who};
use crate::cli::output::Report;
use crate::cli::text::{count, shown};
use crate::cli::verb::Verb;

/// Show the settings of this command, or with `--reason` store them for every process
#[derive(Args)]
#[command(after_help = "\
The same policy with other settings is a new generation, so `policy rollback` undoes
the change.

Examples:
  serial-gate policy settings
  serial-gate policy settings --repos alpha,beta --reason 'gamma needs no gate'
  serial-gate policy settings --decide-ms 3000 --reason 'a long queue'")]
pub struct Settings {
    /// Why: stores the settings of this command as a new generation
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::options::reason)]
    reason: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    allow: Allow,
    #[command(flatten)]
    repos: NewRepos,
}

impl Verb for Settings {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut queue = shared.queue_as_stored()?;
        let active = generation(queue.store(), None)?;
        let (theirs, their_allowance) = (settings_of(&active)?, allowance_of(&active)?);
        let settings = shared.overrides.over(theirs.clone());
        let allowance = self.allow.over(their_allowance);
        let Some(reason) = self.reason else {
            let mut report = shared.report();
            report.json(&serde_json::json!({
                "generation": active.id,
                "settings": json(&stored(&settings)),
                "limits": json(&stored(&allowance)),
            }));
            describe(active.id, [&theirs, &settings], allowance, &mut report);
            return Ok(report);
        };
        self.repos.check(&mut queue, shared)?;
        let proposal = Proposal {
            component: component(queue.store(), &active.digest)?,
            signature: active.signature.clone(),
            settings,
            allowance,
            base: Some(active),
        };
        let actor = self.who.actor(&reason);
        let swapped = rollout::swap(&mut queue, &proposal, Place::Active, actor)?;
        if !swapped.is_accepted() {
            let mut report = shared.report();
            list_stages(&swapped.stages, shared, &mut report);
            add_refused(&mut queue, swapped.generation, &mut report)?;
            return Ok(report);
        }
        report_active(&mut queue, swapped.generation, shared)
    }
}

/// Adds the stored settings, this command's if they differ, and the limits.
fn describe(
    generation: i64,
    [theirs, here]: [&model::Settings; 2],
    allowance: Allowance,
    report: &mut Report,
) {
    let of_everybody = format!("generation {generation}");
    let mut headings = vec!["setting", &of_everybody];
    let is_other = theirs != here;
    if is_other {
        headings.push("here");
    }
    let rows = in_words(theirs).into_iter().zip(in_words(here));
    let rows = rows.map(|((name, theirs), (_, here))| {
        let mut row = vec![name.to_owned(), theirs];
        row.extend(is_other.then_some(here));
        row
    });
    report.table(&headings, rows);
    if is_other {
        report.line("to store this command's settings for every process, add `--reason TEXT`");
    }
    let Allowance {
        clause_ms,
        decide_ms,
        memory_mib,
        result_mib,
        failures,
        failures_within_minutes,
    } = allowance;
    report.line(format!(
        "limits of a call: {clause_ms} ms for the clause, {decide_ms} ms for decisions, \
         {memory_mib} MiB of memory, {result_mib} MiB of answer"
    ));
    report.line(match failures {
        0 => "a policy that fails stays active".into(),
        _ => format!(
            "after {} within {failures_within_minutes} min the previous generation is active again",
            count(usize::try_from(failures).unwrap_or(usize::MAX), "failure")
        ),
    });
}

fn in_words(settings: &model::Settings) -> [(&'static str, String); 4] {
    let model::Settings {
        enabled,
        repos,
        freeze_enabled,
        rules,
    } = settings;
    let repos = match repos.as_str() {
        "" => "all".into(),
        repos => shown(repos),
    };
    let rules = match rules {
        Some(rules) => shown(rules),
        None => "the policy's own".into(),
    };
    [
        ("enabled", enabled.to_string()),
        ("repos", repos),
        ("freeze_enabled", freeze_enabled.to_string()),
        ("rules", rules),
    ]
}
