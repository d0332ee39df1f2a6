//! The versions of the contract: a component of any of them is called through the current one.
//!
//! Owns which versions there are and what each is asked. What an older version has otherwise stands
//! in a file of its own. Callers rely on this: an older policy is never told what its version
//! lacks, and answers in today's types.

use wasmtime::component::{Func, Instance, InstancePre};
use wasmtime::{Engine, Result, Store, format_err};

use super::contract::{ClaimClause, Describe, check_type_of_today};
use super::limits::Meter;
use super::{v0_1, v0_2};
use crate::model::{
    self, Clause, Component, ComponentPre, Decision, Description, Dialect, PolicyError, Settings,
    Snapshot,
};

/// A version of the contract that this host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The current one, `wit/serial-gate.wit`.
    V0_3,
    V0_2,
    V0_1,
}

impl Version {
    /// The newest first: it is taken of a component that exports several.
    pub(super) const ALL: [Version; 3] = [Version::V0_3, Version::V0_2, Version::V0_1];

    pub(super) fn interface(self) -> &'static str {
        match self {
            Version::V0_3 => model::INTERFACE,
            Version::V0_2 => "serial-gate:policy/serial-gate@0.2.0",
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

    /// How a function's type differs from this version's, if it does.
    pub(super) fn check_type(
        self,
        name: &str,
        function: &Func,
        store: &Store<Meter>,
    ) -> Result<()> {
        match self {
            Version::V0_3 => check_type_of_today(name, function, store),
            Version::V0_2 => v0_2::check_type(name, function, store),
            Version::V0_1 => v0_1::check_type(name, function, store),
        }
    }
}

/// A component that is ready to be instantiated, by its version.
pub(super) enum Ready {
    Current(ComponentPre<Meter>),
    Older(InstancePre<Meter>, Version),
}

impl Ready {
    pub(super) fn new(component: InstancePre<Meter>, version: Version) -> Result<Ready> {
        match version {
            Version::V0_3 => ComponentPre::new(component).map(Ready::Current),
            older => Ok(Ready::Older(component, older)),
        }
    }

    pub(super) fn version(&self) -> Version {
        match self {
            Ready::Current(_) => Version::V0_3,
            Ready::Older(_, version) => *version,
        }
    }

    pub(super) fn component(&self) -> &InstancePre<Meter> {
        match self {
            Ready::Current(component) => component.instance_pre(),
            Ready::Older(component, _) => component,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.component().engine()
    }

    pub(super) fn instantiate(&self, store: &mut Store<Meter>) -> Result<Running> {
        match self {
            Ready::Current(component) => component.instantiate(store).map(Running::Current),
            Ready::Older(component, version) => {
                Older::instantiate(component, *version, store).map(Running::Older)
            }
        }
    }
}

/// An instance, by its version. Its functions have the types that its version gives them.
pub(super) enum Running {
    Current(Component),
    Older(Older),
}

impl Running {
    pub(super) fn describe(&self, store: &mut Store<Meter>) -> Result<Description> {
        match self {
            Running::Current(policy) => {
                policy.serial_gate_policy_serial_gate().call_describe(store)
            }
            Running::Older(policy) => {
                let describe: Describe = policy.describe.typed(&*store)?;
                Ok(describe.call(store, ())?.0)
            }
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
            Running::Older(policy) => match policy.version {
                Version::V0_1 => v0_1::decide(&policy.decide, store, settings, snapshot),
                _ => v0_2::decide(&policy.decide, store, settings, now, snapshot),
            },
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
            Running::Older(policy) => match policy.version {
                Version::V0_1 => v0_1::claim_clause(&policy.claim_clause, store, settings, dialect),
                _ => {
                    let claim_clause: ClaimClause<'_> = policy.claim_clause.typed(&*store)?;
                    Ok(claim_clause.call(store, (settings, now, dialect))?.0)
                }
            },
        }
    }
}

/// An instance of an older version.
pub(super) struct Older {
    version: Version,
    describe: Func,
    decide: Func,
    claim_clause: Func,
}

impl Older {
    fn instantiate(
        component: &InstancePre<Meter>,
        version: Version,
        store: &mut Store<Meter>,
    ) -> Result<Older> {
        let instance = component.instantiate(&mut *store)?;
        let mut function = |name| {
            let function = version.function(&instance, store, name)?;
            version.check_type(name, &function, store)?;
            Ok::<Func, wasmtime::Error>(function)
        };
        Ok(Older {
            version,
            describe: function("describe")?,
            decide: function("decide")?,
            claim_clause: function("claim-clause")?,
        })
    }
}
