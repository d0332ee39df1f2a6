//! What a sentence promises, and what the next claim then does.
//!
//! Owns the worlds: the states of the gate in which a sentence must still be true. Each file takes
//! one kind of sentence through them. A promise that tasks are held is followed by a claim that
//! finds nothing, and a promise that they start by a claim that finds a job. The real binary makes
//! both.

mod added;
mod freezes;
mod known;
mod overrides;
mod plans;
mod stages;
mod words;

use std::sync::OnceLock;

use jiff::Timestamp;
use serial_gate::gate::{default_settings, stored};
use serial_gate::policy;
use serial_gate::policy::Allowance;
use serial_gate::store::{Actor, GenerationState, NewGeneration, Seen};

use crate::support::Gate;
use crate::support::components::component;
use crate::support::engine::Backup;
use crate::support::hostile::{HARMLESS, Hostile, clause_at};

/// A state of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    On,
    GateOff,
    GateOffHere,
    LayerOff,
    OutOfScope,
    OutOfRules,
    InTheRules,
    OtherStages,
    OtherAgents,
    IgnoresFreezes,
    HotfixLane,
    PolicyFails,
}

/// All of them, each with whether the gate holds the first job of a task in the frozen `alpha`.
pub const WORLDS: [(World, bool); 12] = [
    (World::On, true),
    (World::GateOff, false),
    (World::GateOffHere, false),
    (World::LayerOff, false),
    (World::OutOfScope, false),
    (World::OutOfRules, false),
    (World::InTheRules, true),
    (World::OtherStages, true),
    (World::OtherAgents, false),
    (World::IgnoresFreezes, false),
    (World::HotfixLane, true),
    (World::PolicyFails, true),
];

impl World {
    /// A queue in this state, in which one task of `alpha` and one of `beta` could start.
    ///
    /// A state is prepared once and copied: each change of the settings checks the policy.
    pub fn gate(self) -> Gate {
        static PREPARED: [OnceLock<Backup>; WORLDS.len()] =
            [const { OnceLock::new() }; WORLDS.len()];
        let prepared = PREPARED[self as usize].get_or_init(|| self.prepared());
        let gate = Gate::empty();
        gate.restore(prepared);
        match self {
            World::GateOffHere => {
                gate.with_environment(vec![("SERIAL_GATE_ENABLED", "false".into())])
            }
            _ => gate,
        }
    }

    fn prepared(self) -> Backup {
        let gate = Gate::new();
        for repo in ["alpha", "beta"] {
            gate.run(&["task", "add", repo]).succeeds();
        }
        // Only the jobs of `alpha` are claimed here.
        gate.program()
            .run("UPDATE jobs SET status = 'waits' WHERE repo = 'beta'");
        match self {
            World::On | World::GateOffHere => {}
            World::GateOff => set(&gate, &["--enabled", "false"]),
            World::LayerOff => set(&gate, &["--freeze-enabled", "false"]),
            World::OutOfScope => set(&gate, &["--repos", "beta"]),
            World::OutOfRules => set(&gate, &["--rules", r#"{"repos":["beta"]}"#]),
            World::InTheRules => set(&gate, &["--rules", r#"{"repos":["alpha"]}"#]),
            World::OtherStages => set(&gate, &["--rules", r#"{"finished_stages":["merged"]}"#]),
            World::OtherAgents => set(&gate, &["--rules", r#"{"gated_agents":["planner"]}"#]),
            World::IgnoresFreezes => put(&gate, &ignores_freezes()),
            World::HotfixLane => put(&gate, component("hotfix-lane")),
            World::PolicyFails => put(
                &gate,
                &Hostile {
                    claim_clause: "unreachable",
                    ..HARMLESS
                }
                .component(),
            ),
        }
        gate.backup()
    }
}

/// Whether the next claim finds a job.
#[track_caller]
pub fn is_claimed(gate: &Gate) -> bool {
    let ran = gate.run(&["claim", "--worker", "w"]);
    match ran.code {
        Some(0) => true,
        Some(3) => false,
        _ => panic!("{}", ran.stderr),
    }
}

pub fn set(gate: &Gate, settings: &[&str]) {
    let arguments = [&["policy", "settings", "--reason", "r"], settings].concat();
    gate.run(&arguments).succeeds();
}

/// A policy by others, which keeps the order of tasks and knows no freezes.
fn ignores_freezes() -> Vec<u8> {
    Hostile {
        claim_clause: clause_at!("4096", "139"),
        module: r#"(data (i32.const 4096) "AND (jobs.agent <> 'analyst' OR NOT EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND t.id < jobs.task_id AND t.stage <> 'done' ))")"#,
        ..HARMLESS
    }
    .component()
}

/// Makes a policy active without a check, which some of these would not pass.
fn put(gate: &Gate, component: &[u8]) {
    let mut store = gate.store();
    let actor = Actor {
        now: Timestamp::now(),
        who: "ops",
        why: "r",
    };
    let active = store.generation_in(GenerationState::Active).unwrap();
    let new = NewGeneration {
        component,
        signature: None,
        digest: &policy::digest(component),
        name: "another",
        version: "1.0.0",
        settings: &stored(&default_settings()),
        limits: &stored(&Allowance {
            failures: 0,
            ..Allowance::default()
        }),
    };
    let generation = store.add_candidate(new, actor).unwrap();
    let seen = Seen {
        generation: &generation,
        active: active.as_ref(),
    };
    store.put(GenerationState::Active, seen, actor).unwrap();
}
