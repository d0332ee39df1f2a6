//! Proposals of policies, and who makes them.

use jiff::Timestamp;
use serial_gate::gate::default_settings;
use serial_gate::policy::Allowance;
use serial_gate::rollout::Proposal;
use serial_gate::store::{Actor, GenerationState};

use super::Gate;
use super::hostile::{CLAIM, DECIDE_ALL, HARMLESS, Hostile};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn actor(now: Timestamp) -> Actor<'static> {
    Actor {
        now,
        who: "tests",
        why: "a test",
    }
}

/// Lets every job through, until the time comes at which it traps.
pub fn traps_from(second: &'static str) -> Vec<u8> {
    let claim_clause: &'static str = Box::leak(
        format!(
            "(if (i64.ge_s (local.get 7) (i64.const {second})) (then unreachable)) i32.const 3072"
        )
        .into_boxed_str(),
    );
    Hostile {
        decide: DECIDE_ALL,
        claim_clause,
        module: CLAIM,
        ..HARMLESS
    }
    .component()
}

/// Under the default settings, by an operator who sees what is active now.
pub fn proposal(gate: &Gate, component: Vec<u8>) -> Proposal {
    Proposal {
        component,
        signature: None,
        settings: default_settings(),
        allowance: Allowance::default(),
        base: gate
            .queue()
            .store()
            .generation_in(GenerationState::Active)
            .unwrap(),
    }
}
