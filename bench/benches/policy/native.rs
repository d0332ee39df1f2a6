//! The default rule as a function of this process, over the rows as the library reads them.

#[path = "../../../tests/support/native.rs"]
mod types;

use serial_gate::gate::default_settings;
use serial_gate::model;
use serial_gate_default_policy::rule::Rule;
use serial_gate_default_policy::serial::Serial;
use serial_gate_default_policy::snapshot::{Decision, Snapshot};

pub struct Native(Snapshot);

impl Native {
    pub fn new(state: &model::Snapshot) -> Native {
        Native(types::native_state(state))
    }

    pub fn decide(&self) -> Vec<Decision> {
        let settings = types::native_settings(&default_settings()).unwrap();
        Serial::decide(&settings, 0, &self.0).unwrap()
    }

    /// The answer in the library's type.
    pub fn decisions(&self) -> Vec<model::Decision> {
        let decisions = self.decide().into_iter();
        decisions.map(types::contract_decision).collect()
    }
}
