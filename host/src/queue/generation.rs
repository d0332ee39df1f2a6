//! The generation that this process goes by: its settings, its limits, its policy.
//!
//! Owns the way from rows to a policy that may be asked: read, checked against its digest and the trust
//! list, compiled, and its clause accepted. When that happens is left to `follow`.

use jiff::Timestamp;

use super::clause::CurrentClause;
use super::settings::{Overrides, allowance_of, default_settings, settings_of};
use super::{Allowance, Error, Options, Rule, with_causes};
use crate::model::Settings;
use crate::policy::{self, Policy, Runtime, Trust};
use crate::store::{Database, Generation, GenerationState, Store};

/// What this process goes by.
pub(super) struct InUse {
    /// The generation; none for a policy of the caller's, or when the database has none.
    pub generation: Option<Generation>,
    /// The digest of its component; empty if there is none.
    pub digest: String,
    pub settings: Settings,
    /// Whether this process was told other settings than its generation has.
    pub is_overridden: bool,
    pub allowance: Allowance,
    /// Loaded when it is first needed: to freeze a repo takes no WebAssembly.
    pub policy: Option<Policy>,
    component: Component,
}

/// Where the component is.
enum Component {
    Given(Vec<u8>),
    Stored { signature: Option<String> },
    None,
}

/// What is needed to count a failure.
#[derive(Clone)]
pub(super) struct Failing {
    pub generation: Generation,
    pub allowance: Allowance,
}

/// A generation that claims can go by at once.
pub(super) struct Ready {
    pub in_use: InUse,
    pub clause: CurrentClause,
}

impl InUse {
    /// What a rule comes to now.
    pub(super) fn read(store: &mut Store, rule: &Rule) -> Result<InUse, Error> {
        match rule {
            Rule::Given {
                component,
                settings,
                allowance,
            } => Ok(InUse {
                generation: None,
                digest: policy::digest(component),
                settings: settings.clone(),
                is_overridden: false,
                allowance: *allowance,
                policy: None,
                component: Component::Given(component.clone()),
            }),
            Rule::Active(overrides) => {
                let active = store.generation_in(GenerationState::Active)?;
                let in_use = active.map(|active| InUse::of(&active, overrides));
                Ok(in_use.unwrap_or_else(|| InUse {
                    generation: None,
                    digest: String::new(),
                    settings: overrides.over(default_settings()),
                    is_overridden: false,
                    allowance: Allowance::default(),
                    policy: None,
                    component: Component::None,
                }))
            }
        }
    }

    /// A generation with this process's own settings. What cannot be read of it is said in the log, and
    /// taken to be the default.
    pub(super) fn of(generation: &Generation, overrides: &Overrides) -> InUse {
        let theirs = settings_of(generation).unwrap_or_else(|error| {
            tracing::warn!("{}", with_causes(&error));
            default_settings()
        });
        let allowance = allowance_of(generation).unwrap_or_else(|error| {
            tracing::warn!("{}", with_causes(&error));
            Allowance::default()
        });
        let settings = overrides.over(theirs.clone());
        InUse {
            generation: Some(generation.clone()),
            digest: generation.digest.clone(),
            is_overridden: settings != theirs,
            settings,
            allowance,
            policy: None,
            component: Component::Stored {
                signature: generation.signature.clone(),
            },
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> Option<i64> {
        self.generation.as_ref().map(|generation| generation.id)
    }

    /// Whose failure it would be. Under settings of this process's own it is nobody's else.
    pub(super) fn failing(&self) -> Option<Failing> {
        let generation = self.generation.as_ref().filter(|_| !self.is_overridden)?;
        Some(Failing {
            generation: generation.clone(),
            allowance: self.allowance,
        })
    }

    /// The policy, loaded now if it is not yet, and what it is asked with.
    pub(super) fn loaded(
        &mut self,
        store: &mut Store,
        options: &Options,
    ) -> Result<(&Policy, &Settings), Error> {
        let policy = match self.policy.take() {
            Some(policy) => policy,
            None => self.load(store, options)?,
        };
        Ok((self.policy.insert(policy), &self.settings))
    }

    /// Reads, checks and compiles the policy.
    fn load(&self, store: &mut Store, options: &Options) -> Result<Policy, Error> {
        let Options { runtime, trust, .. } = options;
        let signature = match &self.component {
            Component::Given(bytes) => return Ok(runtime.load(bytes, self.allowance)?),
            Component::Stored { signature } => signature.as_deref(),
            Component::None => return Err(Error::NoPolicy),
        };
        if let Some(policy) = kept(runtime, &self.digest, self.allowance, trust.as_ref()) {
            return Ok(policy);
        }
        let bytes = component(store, &self.digest)?;
        // What the database says of a signature is checked by each host for itself.
        if let Some(trust) = trust {
            trust.check(&bytes, signature)?;
        }
        Ok(runtime.load(&bytes, self.allowance)?)
    }
}

/// A component from the database, as it was when it was checked.
pub fn component(store: &mut Store, digest: &str) -> Result<Vec<u8>, Error> {
    let digest_of = || digest.to_owned();
    let bytes = store.component(digest)?.ok_or_else(|| Error::NoComponent {
        digest: digest_of(),
    })?;
    if policy::digest(&bytes) != digest {
        return Err(Error::Altered {
            digest: digest_of(),
        });
    }
    Ok(bytes)
}

/// A policy that this process has compiled already. With a trust list it is read again: whoever had it
/// compiled may have trusted others.
pub(super) fn kept(
    runtime: &Runtime,
    digest: &str,
    allowance: Allowance,
    trust: Option<&Trust>,
) -> Option<Policy> {
    match trust {
        Some(_) => None,
        None => runtime.load_kept(digest, allowance),
    }
}

/// Everything that a generation needs before claims can go by it.
pub(super) fn prepare(
    mut in_use: InUse,
    store: &mut Store,
    options: &Options,
    now: Timestamp,
) -> Result<Ready, Error> {
    let policy = in_use.load(store, options)?;
    let clause = if in_use.settings.enabled {
        CurrentClause::of_policy(&policy, &in_use.settings, store, now)?
    } else {
        CurrentClause::off(store, now)?
    };
    in_use.policy = Some(policy);
    Ok(Ready { in_use, clause })
}

/// The same on a separate connection, beside the claims.
pub(super) fn prepare_beside(
    database: &Database,
    in_use: InUse,
    options: &Options,
    now: Timestamp,
) -> Result<Ready, Error> {
    let mut store = Store::open(database)?;
    store.set_claim_budget(options.claim_budget);
    prepare(in_use, &mut store, options, now)
}
