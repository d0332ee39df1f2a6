//! Arguments and output that several verbs share: a policy's file, its limits, and the stages of
//! its check.

use clap::Args;
use serial_gate::conform::Stage;
use serial_gate::gate::{default_settings, settings_of};
use serial_gate::model::Settings;
use serial_gate::policy::Allowance;
use serial_gate::queue::Queue;
use serial_gate::rollout::Proposal;
use serial_gate::store::{Actor, GenerationState};

use super::source::{Fetched, Origin, Sha256, Source};
use crate::cli::options::{Shared, Who, at_least, between};
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::{gate, shown};
use crate::cli::{Error, Outcome, error_remedy};

/// A policy's component.
#[derive(Args)]
pub struct File {
    /// The policy: a component, a rule file `RULE.sql`, `built-in`, `builtin:NAME`, or an address,
    /// `https://…` or `oci://…`
    #[arg(value_name = "POLICY", value_parser = Source::parser())]
    pub source: Source,
    /// The component's SHA-256; `https://` needs it
    #[arg(long, value_name = "HEX", value_parser = Sha256::parse)]
    pub sha256: Option<Sha256>,
}

/// The limits of a policy. Those that are not given stay as they are.
#[derive(Args)]
#[command(next_help_heading = "Limits of the policy")]
pub struct Allow {
    /// Time for `claim-clause`, in milliseconds [default: 50]
    #[arg(long, value_name = "MS", value_parser = between(1u64, 3_600_000))]
    clause_ms: Option<u64>,
    /// Time for `decide`, in milliseconds [default: 1000]
    #[arg(long, value_name = "MS", value_parser = between(1u64, 3_600_000))]
    decide_ms: Option<u64>,
    /// Memory for a call, in MiB [default: 64]
    #[arg(long, value_name = "MIB", value_parser = between(1u32, 4095))]
    memory_mib: Option<u32>,
    /// Size of an answer, in MiB [default: 16]
    #[arg(long, value_name = "MIB", value_parser = between(1u32, 4095))]
    result_mib: Option<u32>,
    /// Roll back automatically after this many failures in use; 0 means never [default: 3]
    #[arg(long, value_name = "N", value_parser = at_least(0u32))]
    failures: Option<u32>,
    /// Count only failures within this many minutes [default: 10]
    #[arg(long, value_name = "N", value_parser = at_least(1u32))]
    failures_within_minutes: Option<u32>,
}

/// The repos that a stored scope may name.
#[derive(Args)]
pub struct NewRepos {
    /// The scope may name repos that nothing in the queue has yet
    #[arg(long)]
    pub new: bool,
}

#[derive(Args)]
pub struct Reason {
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::options::reason)]
    pub reason: String,
    #[command(flatten)]
    pub who: Who,
}

impl NewRepos {
    /// Refuses a scope from flags that names unknown repos.
    pub fn check(&self, queue: &mut Queue, shared: &Shared) -> Result<(), Error> {
        let active = queue.store().generation_in(GenerationState::Active)?;
        let stored = active.and_then(|active| settings_of(&active).ok());
        let settings = shared
            .by_flags
            .over(stored.unwrap_or_else(default_settings));
        Ok(queue.check_scope(&settings, self.new)?)
    }
}

impl File {
    /// The component and its signature.
    pub fn read(&self) -> Result<Fetched, Error> {
        self.source.read(self.sha256.as_ref())
    }

    /// The same, if no signature is needed or a trusted key signed it.
    pub fn read_trusted(&self, shared: &Shared) -> Result<Fetched, Error> {
        let fetched = self.read()?;
        if let Some(trust) = &shared.trust {
            trust
                .check(&fetched.component, fetched.signature.as_deref())
                .map_err(Error::policy_file(&self.source))?;
        }
        Ok(fetched)
    }

    /// The policy with the active one's settings and limits, as far as this command does not
    /// override them.
    pub fn proposal(
        &self,
        shared: &Shared,
        allow: &Allow,
        queue: Option<&mut Queue>,
    ) -> Result<(Proposal, Option<Origin>), Error> {
        let fetched = self.read()?;
        let active = match queue {
            Some(queue) => queue.store().generation_in(GenerationState::Active)?,
            None => None,
        };
        let proposal = Proposal::over(active.as_ref(), fetched.component, fetched.signature);
        let proposal = Proposal {
            settings: shared.overrides.over(proposal.settings),
            allowance: allow.over(proposal.allowance),
            ..proposal
        };
        Ok((proposal, fetched.origin))
    }
}

impl Allow {
    /// The limits over those of a generation.
    pub fn over(&self, allowance: Allowance) -> Allowance {
        Allowance {
            clause_ms: self.clause_ms.unwrap_or(allowance.clause_ms),
            decide_ms: self.decide_ms.unwrap_or(allowance.decide_ms),
            memory_mib: self.memory_mib.unwrap_or(allowance.memory_mib),
            result_mib: self.result_mib.unwrap_or(allowance.result_mib),
            failures: self.failures.unwrap_or(allowance.failures),
            failures_within_minutes: self
                .failures_within_minutes
                .unwrap_or(allowance.failures_within_minutes),
        }
    }
}

impl Reason {
    /// This person, now, for this reason.
    pub fn actor(&self) -> Actor<'_> {
        self.who.actor(&self.reason)
    }
}

/// Adds the result of each stage of a check. A refusal makes the verb fail.
pub fn list_stages(stages: &[Stage], shared: &Shared, report: &mut Report) {
    let gate = gate(shared);
    for stage in stages {
        let line = match &stage.found {
            Ok(found) => format!("{}       {}", toned(Tone::Free, "ok"), shown(found)),
            Err(reason) => {
                report.outcome = Outcome::Failed;
                let remedy = stage.remedy.as_ref();
                let remedy = remedy.map(|remedy| error_remedy::in_words(remedy, &gate));
                let remedy = remedy.map(|remedy| format!(": {remedy}"));
                let reason = shown(&format!("{reason}{}", remedy.unwrap_or_default()));
                format!("{}  {reason}", toned(Tone::Held, "refused"))
            }
        };
        report.json(&serde_json::Value::from(stage));
        report.line(format!("{:<12} {line}", stage.name));
        for note in &stage.notes {
            report.note(note);
        }
    }
}

/// Says where rules come from that a policy refuses, if nobody gave them with this command.
pub fn note_stored_rules(
    stages: &[Stage],
    settings: &Settings,
    shared: &Shared,
    report: &mut Report,
) {
    let Some(rules) = settings
        .rules
        .as_ref()
        .filter(|_| shared.overrides.rules.is_none())
    else {
        return;
    };
    if stages
        .iter()
        .any(|stage| stage.name == "clause" && stage.found.is_err())
    {
        report.note(&format!(
            "the rules are those that the queue has stored, `{rules}`: give this policy its own, as in \
             `--rules '{{…}}'`, or `--rules '{{}}'` for its defaults"
        ));
    }
}
