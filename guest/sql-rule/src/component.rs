//! The rule file as a WebAssembly component: the conversions from the contract's types and back.

#![allow(unsafe_code, reason = "the generated exports are unsafe")]

use alloc::borrow::ToOwned;
use alloc::string::ToString;
use alloc::vec::Vec;

use serial_gate_clause::Column;
use serial_gate_default_policy::component::exports::serial_gate::policy::serial_gate as contract;
use serial_gate_default_policy::component::{export, metadata};

use crate::decide::Fault;
use crate::{Error, Rows, RuleFile, Settings, State, slot};

/// The place of the rule file. `slot::component` writes it into the compiled component, so that no
/// code may have these bytes inlined.
#[unsafe(no_mangle)]
static SERIAL_GATE_RULE_FILE: slot::Slot = slot::empty();

struct SqlRule;

impl contract::Guest for SqlRule {
    fn describe() -> contract::Description {
        match file() {
            Ok(file) => contract::Description {
                name: file.name,
                version: file.version,
                summary: file.summary,
            },
            Err(error) => contract::Description {
                name: "sql-rule".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                summary: error.to_string(),
            },
        }
    }

    fn decide(
        settings: contract::Settings,
        _: contract::Timestamp,
        snapshot: contract::Snapshot,
    ) -> Result<Vec<contract::Decision>, contract::PolicyError> {
        let decisions = file().map_err(Fault::Rules).and_then(|file| {
            let state = state(snapshot);
            file.decide(read(&settings), &state)
        });
        match decisions {
            Ok(decisions) => Ok(decisions.into_iter().map(Into::into).collect()),
            Err(Fault::Rules(error)) => Err(invalid(&error)),
            Err(Fault::Snapshot(what)) => Err(contract::PolicyError::InvalidSnapshot(what)),
        }
    }

    fn claim_clause(
        settings: contract::Settings,
        _: contract::Timestamp,
        _: contract::Dialect,
    ) -> Result<contract::Clause, contract::PolicyError> {
        let answer = file().and_then(|file| file.claim_clause(read(&settings)));
        let answer = answer.map_err(|error| invalid(&error))?;
        Ok(contract::Clause {
            text: answer.text,
            notes: answer.notes,
            valid_until: None,
        })
    }
}

export!(SqlRule);
metadata!();

fn file() -> Result<RuleFile, Error> {
    // The compiler knows what the bytes were when it compiled this.
    let slot = core::hint::black_box(&SERIAL_GATE_RULE_FILE);
    RuleFile::read(slot::file(slot).unwrap_or_default())
}

fn invalid(error: &Error) -> contract::PolicyError {
    contract::PolicyError::InvalidRules(error.to_string())
}

fn read(settings: &contract::Settings) -> Settings<'_> {
    Settings {
        enabled: settings.enabled,
        repos: &settings.repos,
        freeze_enabled: settings.freeze_enabled,
        rules: settings.rules.as_deref(),
    }
}

/// Moves the columns; no row is copied.
fn state(snapshot: contract::Snapshot) -> State {
    let contract::Snapshot {
        symbols: contract::Symbols { text, ends },
        tasks,
        jobs,
        freezes,
    } = snapshot;
    State {
        text,
        ends,
        tasks: Rows {
            ids: tasks.id,
            task_ids: (Vec::new(), Vec::new()),
            texts: Vec::from([
                (Column::WorkItemId, tasks.work_item),
                (Column::Repo, tasks.repo),
                (Column::Stage, tasks.stage),
                (Column::GateLabel, tasks.label),
            ]),
        },
        jobs: Rows {
            ids: jobs.id,
            task_ids: (jobs.task_id, jobs.task_id_kind),
            texts: Vec::from([
                (Column::Repo, jobs.repo),
                (Column::Agent, jobs.agent),
                (Column::Status, jobs.status),
            ]),
        },
        freezes: Rows {
            ids: freezes.id,
            task_ids: (Vec::new(), Vec::new()),
            texts: Vec::from([
                (Column::Repo, freezes.repo),
                (Column::FrozenAt, freezes.frozen_at),
                (Column::ClearedAt, freezes.cleared_at),
                (Column::Reason, freezes.reason),
                (Column::WorkItemId, freezes.work_item),
            ]),
        },
    }
}

impl From<crate::Decision> for contract::Decision {
    fn from(decision: crate::Decision) -> contract::Decision {
        let verdict = match decision.hold {
            None => contract::Verdict::Claim,
            Some(crate::Hold {
                earlier_task,
                freeze,
                rule,
            }) => contract::Verdict::Hold(contract::Hold {
                earlier_task,
                freeze,
                rule,
            }),
        };
        contract::Decision {
            job: decision.job,
            verdict,
        }
    }
}
