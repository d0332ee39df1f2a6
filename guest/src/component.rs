//! A rule as a WebAssembly component: the only file that knows of the bindings.
//!
//! It converts, calls the rule, and converts back; no rule is decided here. A policy exports itself
//! with two lines, as the default one does below.

#![allow(unsafe_code, reason = "the generated bindings are unsafe")]
#![allow(
    missing_docs,
    reason = "the generated bindings have no documentation of their own"
)]

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::rule::Rule;
use crate::{settings, snapshot};

wit_bindgen::generate!({
    path: "../wit",
    world: "policy",
    // Other crates export their rules by the same bindings.
    pub_export_macro: true,
    default_bindings_module: "serial_gate_default_policy::component",
});

use exports::serial_gate::policy::serial_gate::{
    Clause, Decision, Description, Dialect, Guest, Hold, PolicyError, Settings, Snapshot, TaskRef,
    Timestamp, Verdict,
};

/// A rule as the contract's exports. `export!` takes a plain name, so a policy gives it one.
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
        let decisions = R::decide(&settings, now, &queue_state(snapshot))
            .map_err(PolicyError::InvalidSnapshot)?;
        Ok(decisions.into_iter().map(contract_decision).collect())
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

fn parsed<R: Rule>(settings: &Settings) -> Result<settings::Settings<R>, PolicyError> {
    settings::Settings::parse(
        settings.enabled,
        &settings.repos,
        settings.freeze_enabled,
        settings.rules.as_deref(),
    )
    .map_err(PolicyError::InvalidRules)
}

fn queue_state(contract: Snapshot) -> snapshot::Snapshot {
    snapshot::Snapshot {
        symbols: contract.symbols,
        tasks: contract
            .tasks
            .iter()
            .map(|task| snapshot::Task {
                id: task.id,
                repo: task.repo,
                stage: task.stage,
                label: task.label,
            })
            .collect(),
        jobs: contract
            .jobs
            .iter()
            .map(|job| snapshot::Job {
                id: job.id,
                task_id: job.task_id.map(task_ref),
                repo: job.repo,
                agent: job.agent,
                status: job.status,
            })
            .collect(),
        freezes: contract
            .freezes
            .iter()
            .map(|freeze| snapshot::Freeze {
                id: freeze.id,
                repo: freeze.repo,
                active: freeze.cleared_at.is_none(),
            })
            .collect(),
    }
}

fn task_ref(contract: TaskRef) -> snapshot::TaskRef {
    match contract {
        TaskRef::Id(id) => snapshot::TaskRef::Id(id),
        TaskRef::BeforeId(id) => snapshot::TaskRef::BeforeId(id),
        TaskRef::AfterEveryId => snapshot::TaskRef::AfterEveryId,
    }
}

fn contract_decision(decision: snapshot::Decision) -> Decision {
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
