//! The component's exports, and the calls of the policy: the only file that uses the generated
//! bindings.

#![allow(unsafe_code, reason = "the generated bindings are unsafe")]
#![allow(missing_docs, reason = "the generated bindings have no documentation")]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::columns::{Symbols, sorted};
use crate::request::{self, ClaimClause, Decide};
use crate::{answer, request::parse};

wit_bindgen::generate!({ path: "wit", world: "json-face-world" });

use exports::serial_gate::policy::json_face::Guest;
use serial_gate::policy::serial_gate as policy;

struct JsonFace;

impl Guest for JsonFace {
    fn describe_json() -> String {
        let policy::Description {
            name,
            version,
            summary,
        } = policy::describe();
        answer::written(&answer::Description {
            name,
            version,
            summary,
        })
    }

    fn decide_json(request: String) -> Result<String, String> {
        let Decide {
            settings,
            now,
            tasks,
            jobs,
            freezes,
        } = parse(&request)?;
        let (tasks, jobs, freezes) = (sorted(tasks)?, sorted(jobs)?, sorted(freezes)?);
        let state = snapshot(&tasks, &jobs, &freezes);
        let decided = policy::decide(&of_policy(settings.0), now, &state).map_err(error)?;
        let decisions = decided.into_iter().map(decision).collect();
        Ok(answer::written(&answer::Decisions { decisions }))
    }

    fn claim_clause_json(request: String) -> Result<String, String> {
        let ClaimClause {
            settings,
            now,
            dialect,
        } = parse(&request)?;
        let dialect = match dialect {
            request::Dialect::Sqlite => policy::Dialect::Sqlite,
            request::Dialect::Postgres => policy::Dialect::Postgres,
        };
        let clause = policy::claim_clause(&of_policy(settings.0), now, dialect).map_err(error)?;
        Ok(answer::written(&answer::Clause {
            text: clause.text,
            notes: clause.notes,
            valid_until: clause.valid_until,
        }))
    }
}

export!(JsonFace);
serial_gate_guest_runtime::metadata!();

fn of_policy(settings: request::Settings<'_>) -> policy::Settings {
    policy::Settings {
        enabled: settings.enabled,
        repos: settings.repos.into_owned(),
        freeze_enabled: settings.freeze_enabled,
        rules: settings.rules.map(|rules| rules.get().into()),
    }
}

fn snapshot(
    tasks: &[request::Task<'_>],
    jobs: &[request::Job<'_>],
    freezes: &[request::Freeze<'_>],
) -> policy::Snapshot {
    let mut symbols = Symbols::default();
    let tasks = policy::Tasks {
        id: tasks.iter().map(|task| task.id.0).collect(),
        work_item: symbols.column(tasks, |task| &task.work_item_id),
        repo: symbols.column(tasks, |task| &task.repo),
        stage: symbols.column(tasks, |task| &task.stage),
        label: symbols.column(tasks, |task| &task.gate_label),
    };
    let jobs = policy::Jobs {
        id: jobs.iter().map(|job| job.id.0).collect(),
        task_id: jobs.iter().map(|job| job.task_id.number).collect(),
        task_id_kind: jobs.iter().map(|job| job.task_id.kind).collect::<Vec<u8>>(),
        repo: symbols.column(jobs, |job| &job.repo),
        agent: symbols.column(jobs, |job| &job.agent),
        status: symbols.column(jobs, |job| &job.status),
    };
    let freezes = policy::Freezes {
        id: freezes.iter().map(|freeze| freeze.id.0).collect(),
        repo: symbols.column(freezes, |freeze| &freeze.repo),
        frozen_at: symbols.column(freezes, |freeze| &freeze.frozen_at),
        cleared_at: symbols.column(freezes, |freeze| &freeze.cleared_at),
        reason: symbols.column(freezes, |freeze| &freeze.reason),
        work_item: symbols.column(freezes, |freeze| &freeze.work_item_id),
    };
    let ends = symbols.ends();
    policy::Snapshot {
        symbols: policy::Symbols {
            text: symbols.text,
            ends,
        },
        tasks,
        jobs,
        freezes,
    }
}

fn decision(decision: policy::Decision) -> answer::Decision {
    let verdict = match decision.verdict {
        policy::Verdict::Claim => answer::Verdict::Claim,
        policy::Verdict::Hold(hold) => answer::Verdict::Hold(answer::Hold {
            earlier_task: hold.earlier_task,
            freeze_row: hold.freeze,
            rule: hold.rule,
        }),
    };
    answer::Decision {
        job: decision.job,
        verdict,
    }
}

fn error(error: policy::PolicyError) -> String {
    match error {
        policy::PolicyError::InvalidRules(why) => format!("invalid-rules: {why}"),
        policy::PolicyError::InvalidSnapshot(why) => format!("invalid-snapshot: {why}"),
    }
}
