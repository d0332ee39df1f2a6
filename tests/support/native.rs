//! The contract's types as the host generates them, and as the rule has them. The bench uses this,
//! too.

use serial_gate::model;
use serial_gate_default_policy::rule;
use serial_gate_default_policy::serial::Serial;
use serial_gate_default_policy::{settings, snapshot};

pub fn native_settings(settings: &model::Settings) -> Result<settings::Settings<Serial>, String> {
    let model::Settings {
        enabled,
        repos,
        freeze_enabled,
        rules,
    } = settings;
    rule::parse(*enabled, repos, *freeze_enabled, rules.as_deref())
}

pub fn native_state(state: &model::Snapshot) -> snapshot::Snapshot {
    let model::Snapshot {
        symbols,
        tasks,
        jobs,
        freezes,
    } = state.clone();
    snapshot::Snapshot {
        symbols: snapshot::Symbols {
            text: symbols.text,
            ends: symbols.ends,
        },
        tasks: snapshot::Tasks {
            id: tasks.id,
            repo: tasks.repo,
            stage: tasks.stage,
            label: tasks.label,
        },
        jobs: snapshot::Jobs {
            id: jobs.id,
            task_id: jobs.task_id,
            task_id_kind: jobs.task_id_kind,
            repo: jobs.repo,
            agent: jobs.agent,
            status: jobs.status,
        },
        freezes: snapshot::Freezes {
            id: freezes.id,
            repo: freezes.repo,
            cleared_at: freezes.cleared_at,
        },
    }
}

pub fn contract_decision(decision: snapshot::Decision) -> model::Decision {
    let verdict = match decision.verdict {
        snapshot::Verdict::Claim => model::Verdict::Claim,
        snapshot::Verdict::Hold(snapshot::Hold {
            earlier_task,
            freeze,
            rule,
        }) => model::Verdict::Hold(model::Hold {
            earlier_task,
            freeze,
            rule,
        }),
    };
    model::Decision {
        job: decision.job,
        verdict,
    }
}
