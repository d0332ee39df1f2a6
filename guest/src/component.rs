//! A rule as a WebAssembly component: the only file that uses the generated bindings.
//!
//! Owns the conversions from the contract's types to the rule's, and back. Two lines export a
//! policy: see the default one below.

#![allow(unsafe_code, reason = "the generated bindings are unsafe")]
#![allow(missing_docs, reason = "the generated bindings have no documentation")]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

pub use serial_gate_guest_runtime::metadata;

use crate::rule::{self, Rule};
use crate::{settings, snapshot};

wit_bindgen::generate!({
    path: "wit",
    world: "policy",
    // Other crates export their rules with these bindings.
    pub_export_macro: true,
    default_bindings_module: "serial_gate_default_policy::component",
});

use exports::serial_gate::policy::serial_gate::{
    Clause, Decision, Description, Dialect, Freezes, Guest, Hold, Jobs, PolicyError, Settings,
    Snapshot, Symbols, Tasks, Timestamp, Verdict,
};

/// The contract's exports for a rule. `export!` takes a plain name, so a policy names this type.
pub struct Exports<R>(PhantomData<R>);

impl<R: Rule> Guest for Exports<R> {
    fn describe() -> Description {
        Description {
            name: R::NAME.into(),
            version: R::VERSION.into(),
            summary: R::SUMMARY.into(),
        }
    }

    fn decide(
        settings: Settings,
        now: Timestamp,
        snapshot: Snapshot,
    ) -> Result<Vec<Decision>, PolicyError> {
        let settings = parsed::<R>(&settings)?;
        queue_state(snapshot)
            .and_then(|state| R::decide(&settings, now, &state))
            .map_err(PolicyError::InvalidSnapshot)
    }

    fn claim_clause(settings: Settings, now: Timestamp, _: Dialect) -> Result<Clause, PolicyError> {
        let settings = parsed::<R>(&settings)?;
        Ok(Clause {
            text: R::claim_clause(&settings, now),
            notes: settings.scope.notes().to_vec(),
            valid_until: R::valid_until(&settings, now),
        })
    }
}

#[cfg(feature = "component")]
type DefaultPolicy = Exports<crate::serial::Serial>;
#[cfg(feature = "component")]
export!(DefaultPolicy with_types_in self);
#[cfg(feature = "component")]
metadata!();

fn parsed<R: Rule>(settings: &Settings) -> Result<settings::Settings<R>, PolicyError> {
    rule::parse(
        settings.enabled,
        &settings.repos,
        settings.freeze_enabled,
        settings.rules.as_deref(),
    )
    .map_err(PolicyError::InvalidRules)
}

/// Moves the columns; no row is copied.
fn queue_state(contract: Snapshot) -> Result<snapshot::Snapshot, String> {
    let Symbols { text, ends } = contract.symbols;
    Ok(snapshot::Snapshot {
        symbols: snapshot::Symbols { text, ends },
        tasks: tasks(contract.tasks)?,
        jobs: jobs(contract.jobs)?,
        freezes: freezes(contract.freezes)?,
    })
}

fn tasks(contract: Tasks) -> Result<snapshot::Tasks, String> {
    let Tasks {
        id,
        work_item,
        repo,
        stage,
        label,
    } = contract;
    let lengths = [work_item.len(), repo.len(), stage.len(), label.len()];
    check_lengths("tasks", id.len(), &lengths)?;
    Ok(snapshot::Tasks {
        id,
        repo,
        stage,
        label,
    })
}

fn jobs(contract: Jobs) -> Result<snapshot::Jobs, String> {
    let Jobs {
        id,
        task_id,
        task_id_kind,
        repo,
        agent,
        status,
    } = contract;
    let lengths = [
        task_id.len(),
        task_id_kind.len(),
        repo.len(),
        agent.len(),
        status.len(),
    ];
    check_lengths("jobs", id.len(), &lengths)?;
    Ok(snapshot::Jobs {
        id,
        task_id,
        task_id_kind,
        repo,
        agent,
        status,
    })
}

fn freezes(contract: Freezes) -> Result<snapshot::Freezes, String> {
    let Freezes {
        id,
        repo,
        frozen_at,
        cleared_at,
        reason,
        work_item,
    } = contract;
    let lengths = [
        repo.len(),
        frozen_at.len(),
        cleared_at.len(),
        reason.len(),
        work_item.len(),
    ];
    check_lengths("freezes", id.len(), &lengths)?;
    Ok(snapshot::Freezes {
        id,
        repo,
        cleared_at,
    })
}

fn check_lengths(table: &str, rows: usize, columns: &[usize]) -> Result<(), String> {
    if columns.iter().all(|length| *length == rows) {
        return Ok(());
    }
    Err(format!("the columns of `{table}` differ in length"))
}

impl From<snapshot::Decision> for Decision {
    fn from(decision: snapshot::Decision) -> Decision {
        let verdict = match decision.verdict {
            snapshot::Verdict::Claim => Verdict::Claim,
            snapshot::Verdict::Hold(snapshot::Hold {
                earlier_task,
                freeze,
                rule,
            }) => Verdict::Hold(Hold {
                earlier_task,
                freeze,
                rule,
            }),
        };
        Decision {
            job: decision.job,
            verdict,
        }
    }
}
