//! The default rule as a function of this process, over the rows as the library reads them.

use serial_gate::model;
use serial_gate_default_policy::rule::{Rule, parse};
use serial_gate_default_policy::serial::Serial;
use serial_gate_default_policy::snapshot::{
    Decision, Freezes, Jobs, Snapshot, Symbols, Tasks, Verdict,
};

use crate::rows::Outcome;

pub struct Native(Snapshot);

impl Native {
    pub fn new(state: &model::Snapshot) -> Native {
        let model::Snapshot {
            symbols,
            tasks,
            jobs,
            freezes,
        } = state.clone();
        Native(Snapshot {
            symbols: Symbols {
                text: symbols.text,
                ends: symbols.ends,
            },
            tasks: Tasks {
                id: tasks.id,
                repo: tasks.repo,
                stage: tasks.stage,
                label: tasks.label,
            },
            jobs: Jobs {
                id: jobs.id,
                task_id: jobs.task_id,
                task_id_kind: jobs.task_id_kind,
                repo: jobs.repo,
                agent: jobs.agent,
                status: jobs.status,
            },
            freezes: Freezes {
                id: freezes.id,
                repo: freezes.repo,
                cleared_at: freezes.cleared_at,
            },
        })
    }

    pub fn decide(&self) -> Vec<Decision> {
        let settings = parse::<Serial>(true, "", true, None).unwrap();
        Serial::decide(&settings, 0, &self.0).unwrap()
    }
}

/// The answer in the form that all are compared in.
pub fn outcomes(answer: &[Decision]) -> Vec<Outcome> {
    let outcome = |decision: &Decision| {
        let (earlier_task, freeze) = match &decision.verdict {
            Verdict::Claim => (None, None),
            Verdict::Hold(hold) => (hold.earlier_task, hold.freeze),
        };
        Outcome {
            job: decision.job,
            earlier_task,
            freeze,
        }
    };
    answer.iter().map(outcome).collect()
}
