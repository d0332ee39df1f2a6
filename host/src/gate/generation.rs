//! The generation that this process uses: its settings, its limits, its policy.
//!
//! Owns the reading of a generation from the database. Leaves its policy to `loading`, and the
//! change to another generation to `reload`.

use super::failing::Failing;
use super::settings::{Overrides, allowance_of, default_settings, settings_of};
use super::{Error, Loader, Rule};
use crate::error::with_causes;
use crate::model::Settings;
use crate::policy::{self, Allowance, Policy};
use crate::store::{Generation, GenerationState, Store};

/// What this process uses.
pub(crate) struct InUse {
    /// The generation; none for a policy of the caller's, or when the database has none.
    pub generation: Option<Generation>,
    /// The digest of its component; empty without a component.
    pub digest: String,
    pub settings: Settings,
    /// Whether this process overrides its generation's settings.
    pub is_overridden: bool,
    pub allowance: Allowance,
    /// Loaded when it is first needed: freezing a repo needs no policy.
    pub policy: Option<Policy>,
    pub component: ComponentSource,
}

/// Where the component is.
pub(crate) enum ComponentSource {
    Given(Vec<u8>),
    Stored { signature: Option<String> },
    None,
}

impl InUse {
    /// What this process is to use by a rule.
    pub fn read(store: &mut Store, rule: &Rule) -> Result<InUse, Error> {
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
                component: ComponentSource::Given(component.clone()),
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
                    component: ComponentSource::None,
                }))
            }
        }
    }

    /// A generation with this process's overrides. Where a part of it cannot be read, the log says
    /// so and the default holds.
    pub fn of(generation: &Generation, overrides: &Overrides) -> InUse {
        let theirs = settings_or_default(generation);
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
            component: ComponentSource::Stored {
                signature: generation.signature.clone(),
            },
        }
    }

    /// Its number.
    pub fn id(&self) -> Option<i64> {
        self.generation.as_ref().map(|generation| generation.id)
    }

    /// The generation to blame for a failure; none while this process overrides its settings.
    pub fn failing(&self) -> Option<Failing> {
        let generation = self.generation.as_ref().filter(|_| !self.is_overridden)?;
        Some(Failing {
            generation: generation.clone(),
            allowance: self.allowance,
        })
    }

    /// The policy, loaded now if it is not yet, and what it is asked with.
    pub fn loaded(
        &mut self,
        store: &mut Store,
        loader: &Loader,
    ) -> Result<(&Policy, &Settings), Error> {
        let policy = match self.policy.take() {
            Some(policy) => policy,
            None => loader.load(store, self)?,
        };
        Ok((self.policy.insert(policy), &self.settings))
    }
}

/// The stored settings of a generation. Where they cannot be read, the log says so and the defaults
/// hold.
pub(super) fn settings_or_default(generation: &Generation) -> Settings {
    settings_of(generation).unwrap_or_else(|error| {
        tracing::warn!("{}", with_causes(&error));
        default_settings()
    })
}

/// A component from the database, if it is what was checked.
pub fn component(store: &mut Store, digest: &str) -> Result<Vec<u8>, Error> {
    let bytes = store.component(digest)?.ok_or_else(|| Error::NoComponent {
        digest: digest.into(),
    })?;
    if policy::digest(&bytes) != digest {
        return Err(Error::Altered {
            digest: digest.into(),
        });
    }
    Ok(bytes)
}
