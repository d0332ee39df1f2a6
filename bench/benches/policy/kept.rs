//! The built-in component in one instance for all calls, without limits.
//!
//! The library makes a fresh instance for each call, so that no call leaves anything behind. The
//! difference is what the fresh instance and the limits cost.

use serde_json::{Value, json};
use serial_gate::model;
use serial_gate::policy::DEFAULT_POLICY;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

mod generated {
    #![allow(missing_docs, clippy::all, reason = "generated")]

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "policy",
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

use generated::PolicyPre;
use generated::exports::serial_gate::policy::serial_gate::{Decision, Settings, Snapshot};

/// The component, compiled.
pub struct Compiled {
    engine: Engine,
    policy: PolicyPre<()>,
}

/// One instance, and the arguments of its calls.
pub struct Kept {
    store: Store<()>,
    policy: generated::Policy,
    settings: Settings,
    snapshot: Snapshot,
}

impl Compiled {
    pub fn new() -> Compiled {
        let engine = Engine::default();
        let component = Component::new(&engine, DEFAULT_POLICY).unwrap();
        let ready = Linker::new(&engine).instantiate_pre(&component).unwrap();
        Compiled {
            engine,
            policy: PolicyPre::new(ready).unwrap(),
        }
    }

    pub fn instantiate(&self) -> (Store<()>, generated::Policy) {
        let mut store = Store::new(&self.engine, ());
        let policy = self.policy.instantiate(&mut store).unwrap();
        (store, policy)
    }

    pub fn keep(&self, settings: &model::Settings, snapshot: &model::Snapshot) -> Kept {
        let (store, policy) = self.instantiate();
        // The same types, generated once more.
        let again = |value: Value| serde_json::from_value(value).unwrap();
        Kept {
            store,
            policy,
            settings: serde_json::from_value(json!(settings)).unwrap(),
            snapshot: again(json!(snapshot)),
        }
    }
}

impl Kept {
    pub fn decide(&mut self) -> Vec<Decision> {
        let rule = self.policy.serial_gate_policy_serial_gate();
        rule.call_decide(&mut self.store, &self.settings, 0, &self.snapshot)
            .unwrap()
            .unwrap()
    }
}

/// The answer in the library's type.
pub fn decisions(answer: &[Decision]) -> Vec<model::Decision> {
    serde_json::from_value(json!(answer)).unwrap()
}
