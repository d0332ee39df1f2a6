//! The versions of the contract: a component of any of them is called through the current one.
//!
//! Owns which versions there are and what each is asked. What an older version has otherwise stands in
//! a file of its own. Callers rely on this: an older policy is never told what its version lacks, and
//! answers in today's types.

use wasmtime::component::{Func, Instance, InstancePre};
use wasmtime::{Engine, Result, Store, format_err};

use super::limits::Meter;
use super::v0_1;
use crate::model::{
    self, Clause, Component, ComponentPre, Decision, Description, Dialect, PolicyError, Settings,
    Snapshot,
};

/// A version of the contract that this host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The current one, `wit/serial-gate.wit`.
    V0_2,
    V0_1,
}

impl Version {
    /// The newest first: it is taken of a component that exports several.
    pub(super) const ALL: [Version; 2] = [Version::V0_2, Version::V0_1];

    pub(super) fn interface(self) -> &'static str {
        match self {
            Version::V0_2 => model::INTERFACE,
            Version::V0_1 => "serial-gate:policy/serial-gate@0.1.0",
        }
    }

    /// A function of the interface.
    pub(super) fn function(
        self,
        instance: &Instance,
        store: &mut Store<Meter>,
        name: &str,
    ) -> Result<Func> {
        let interface = instance.get_export_index(&mut *store, None, self.interface());
        interface
            .and_then(|interface| instance.get_export_index(&mut *store, Some(&interface), name))
            .and_then(|index| instance.get_func(&mut *store, index))
            .ok_or_else(|| format_err!("there is no function `{name}`"))
    }
}

/// A component that is ready to be instantiated, by its version.
pub(super) enum Ready {
    Current(ComponentPre<Meter>),
    V0_1(InstancePre<Meter>),
}

impl Ready {
    pub(super) fn new(component: InstancePre<Meter>, version: Version) -> Result<Ready> {
        match version {
            Version::V0_2 => ComponentPre::new(component).map(Ready::Current),
            Version::V0_1 => Ok(Ready::V0_1(component)),
        }
    }

    pub(super) fn version(&self) -> Version {
        match self {
            Ready::Current(_) => Version::V0_2,
            Ready::V0_1(_) => Version::V0_1,
        }
    }

    pub(super) fn component(&self) -> &InstancePre<Meter> {
        match self {
            Ready::Current(component) => component.instance_pre(),
            Ready::V0_1(component) => component,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.component().engine()
    }

    pub(super) fn instantiate(&self, store: &mut Store<Meter>) -> Result<Running> {
        match self {
            Ready::Current(component) => component.instantiate(store).map(Running::Current),
            Ready::V0_1(component) => {
                v0_1::Component::instantiate(component, store).map(Running::V0_1)
            }
        }
    }
}

/// An instance, by its version. Its functions have the types that its version gives them.
pub(super) enum Running {
    Current(Component),
    V0_1(v0_1::Component),
}

impl Running {
    pub(super) fn describe(&self, store: &mut Store<Meter>) -> Result<Description> {
        match self {
            Running::Current(policy) => {
                policy.serial_gate_policy_serial_gate().call_describe(store)
            }
            Running::V0_1(policy) => policy.call_describe(store),
        }
    }

    pub(super) fn decide(
        &self,
        store: &mut Store<Meter>,
        settings: &Settings,
        now: i64,
        snapshot: &Snapshot,
    ) -> Result<std::result::Result<Vec<Decision>, PolicyError>> {
        match self {
            Running::Current(policy) => policy
                .serial_gate_policy_serial_gate()
                .call_decide(store, settings, now, snapshot),
            Running::V0_1(policy) => policy.call_decide(store, settings, snapshot),
        }
    }

    pub(super) fn claim_clause(
        &self,
        store: &mut Store<Meter>,
        settings: &Settings,
        now: i64,
        dialect: Dialect,
    ) -> Result<std::result::Result<Clause, PolicyError>> {
        match self {
            Running::Current(policy) => policy
                .serial_gate_policy_serial_gate()
                .call_claim_clause(store, settings, now, dialect),
            Running::V0_1(policy) => policy.call_claim_clause(store, settings, dialect),
        }
    }
}
