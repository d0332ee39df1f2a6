//! The default policy as a WebAssembly component: the only file that knows of the bindings.
//!
//! It converts, calls the rule, and converts back; no rule is decided here.

#![allow(unsafe_code, reason = "the generated bindings are unsafe")]
#![allow(
    missing_docs,
    reason = "the generated bindings have no documentation of their own"
)]

use alloc::vec::Vec;

use crate::{clause, decide, settings, snapshot};

wit_bindgen::generate!({ path: "../wit", world: "policy" });

use exports::serial_gate::policy::serial_gate::{
    Clause, Decision, Description, Dialect, Guest, Hold, PolicyError, Settings, Snapshot, TaskRef,
    Timestamp, Verdict,
};

struct DefaultPolicy;

export!(DefaultPolicy);

impl Guest for DefaultPolicy {
    fn describe() -> Description {
        Description {
            name: crate::NAME.into(),
            version: crate::VERSION.into(),
            summary: "a task starts when every earlier task of its repo is done and the repo is not frozen".into(),
        }
    }

    fn decide(
        settings: Settings,
        _: Timestamp,
        snapshot: Snapshot,
    ) -> Result<Vec<Decision>, PolicyError> {
        let settings = parsed(&settings)?;
        let decisions = decide::decide(&settings, &queue_state(snapshot))
            .map_err(PolicyError::InvalidSnapshot)?;
        Ok(decisions.into_iter().map(contract_decision).collect())
    }

    fn claim_clause(settings: Settings, _: Timestamp, _: Dialect) -> Result<Clause, PolicyError> {
        let settings = parsed(&settings)?;
        Ok(Clause {
            text: clause::claim_clause(&settings),
            notes: settings.scope.notes().to_vec(),
            valid_until: None,
        })
    }
}

fn parsed(settings: &Settings) -> Result<settings::Settings, PolicyError> {
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
        TaskRef::AfterEveryId => snapshot::TaskRef::AfterEveryId,
    }
}

fn contract_decision(decision: snapshot::Decision) -> Decision {
    let verdict = match decision.verdict {
        snapshot::Verdict::Claim => Verdict::Claim,
        snapshot::Verdict::Hold {
            earlier_task,
            freeze,
        } => Verdict::Hold(Hold {
            earlier_task,
            freeze,
            rule: None,
        }),
    };
    Decision {
        job: decision.job,
        verdict,
    }
}
