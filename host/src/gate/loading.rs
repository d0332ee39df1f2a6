//! From the bytes of a component to a policy that claims can use.
//!
//! Owns the steps: the digest and the signature are checked, the component is compiled, and its
//! clause is accepted. Leaves the moment to `reload`. Callers rely on this: with a trust list, the
//! signature of a component is checked each time that it is loaded.

use std::time::Duration;

use jiff::Timestamp;

use super::clause::CurrentClause;
use super::generation::{ComponentSource, InUse, component};
use super::settings::Overrides;
use super::{Error, Gate};
use crate::model::Description;
use crate::policy::{self, Allowance, Policy, Runtime, Trust};
use crate::store::{Database, Generation, Store};

/// What loads policies. A clone shares the runtime.
#[derive(Clone)]
pub struct Loader {
    /// Compiles and runs the policies.
    pub runtime: Runtime,
    /// The keys that may sign policies; without it, any policy may run.
    pub trust: Option<Trust>,
    /// The time that a query by a clause may take.
    pub claim_budget: Duration,
    /// Whether claims may do without the policy, while the clause that is kept of it is valid.
    pub may_use_kept_clause: bool,
}

/// A generation that claims can use at once.
pub(super) struct Ready {
    pub in_use: InUse,
    pub clause: CurrentClause,
}

impl Loader {
    /// The name and version of a component, if it is a policy that may run here.
    pub fn describe(
        &self,
        component: &[u8],
        signature: Option<&str>,
        allowance: Allowance,
    ) -> Result<Description, policy::Error> {
        if let Some(trust) = &self.trust {
            trust.check(component, signature)?;
        }
        let policy = self.runtime.load(component, allowance)?;
        Ok(policy::texts::fit_description(policy.describe()?))
    }

    /// A policy that this process has compiled already. Always `None` with a trust
    /// list: the policy may have been compiled under another list.
    pub(super) fn compiled(&self, in_use: &InUse) -> Option<Policy> {
        if self.trust.is_some() {
            return None;
        }
        self.runtime.load_kept(&in_use.digest, in_use.allowance)
    }

    /// Reads, checks and compiles a policy.
    pub(super) fn load(&self, store: &mut Store, in_use: &InUse) -> Result<Policy, Error> {
        let signature = match &in_use.component {
            ComponentSource::Given(bytes) => {
                return Ok(self.runtime.load(bytes, in_use.allowance)?);
            }
            ComponentSource::Stored { signature } => signature.as_deref(),
            ComponentSource::None => return Err(Error::NoPolicy),
        };
        if let Some(policy) = self.compiled(in_use) {
            return Ok(policy);
        }
        let bytes = component(store, &in_use.digest)?;
        // Each host checks the signature itself, whatever the database says.
        if let Some(trust) = &self.trust {
            trust.check(&bytes, signature)?;
        }
        Ok(self.runtime.load(&bytes, in_use.allowance)?)
    }

    /// Everything that a generation needs before claims can use it.
    pub(super) fn prepare(
        &self,
        store: &mut Store,
        mut in_use: InUse,
        now: Timestamp,
    ) -> Result<Ready, Error> {
        let policy = self.load(store, &in_use)?;
        let clause = match in_use.settings.enabled {
            true => CurrentClause::of_policy(&policy, &in_use.settings, store, now)?,
            false => CurrentClause::off(store, now)?,
        };
        in_use.policy = Some(policy);
        Ok(Ready { in_use, clause })
    }

    /// The same on its own connection, so that no claim waits for it.
    pub(super) fn prepare_apart(
        &self,
        database: &Database,
        in_use: InUse,
        now: Timestamp,
    ) -> Result<Ready, Error> {
        let mut store = Store::open(database)?;
        store.set_claim_budget(self.claim_budget);
        self.prepare(&mut store, in_use, now)
    }
}

impl Gate {
    /// Whether this host can use a generation: its policy loads, and gives a clause that may run.
    pub fn check_usable(
        &self,
        store: &Store,
        generation: &Generation,
        now: Timestamp,
    ) -> Result<(), Error> {
        let in_use = InUse::of(generation, &Overrides::default());
        let ready = self.loader.prepare_apart(store.database(), in_use, now);
        ready.map(drop)
    }
}
