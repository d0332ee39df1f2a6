//! The generation that this process goes by, and how it follows a change.
//!
//! Owns the moment at which another generation becomes this process's own. Callers rely on this: a
//! policy, its settings, its limits and its clause change together and never in part; no claim waits
//! for a compiler, because a policy that is not compiled yet is read, compiled and asked for its
//! clause in a thread beside it; and until that is done, or if it fails, claims go by the one before.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use super::clause::CurrentClause;
use super::settings::{Allowance, Overrides, allowance_of, default_settings, settings_of};
use super::{Error, Options, Queue, Rule, with_causes};
use crate::model::{Description, Settings};
use crate::policy::{self, Policy, Runtime, Trust};
use crate::store::{self, Act, ClaimConnection, Generation, GenerationState, Store};

/// After how long a generation that could not be loaded is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Who rolls a failing generation back.
const THE_HOST: &str = "serial-gate";

/// What this process goes by.
pub(super) struct InUse {
    /// The generation; none for a policy of the caller's, or when the database has none.
    pub id: Option<i64>,
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

/// A generation that is being loaded beside the claims.
pub(super) struct Incoming {
    generation: i64,
    failing: Option<Failing>,
    thread: JoinHandle<Result<Ready, Error>>,
}

/// What is needed to count a failure.
#[derive(Clone, Copy)]
pub(super) struct Failing {
    generation: i64,
    allowance: Allowance,
}

struct Ready {
    in_use: InUse,
    clause: CurrentClause,
}

/// What is known of the database's generations.
#[derive(Default)]
pub(super) struct Following {
    /// The database's version when it was last looked at.
    version: Option<i64>,
    incoming: Option<Incoming>,
    /// A generation that could not be loaded, and when it is tried again.
    failed: Option<(i64, Timestamp)>,
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
                id: None,
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
                    id: None,
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
            id: Some(generation.id),
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

    /// Whose failure it would be. Under settings of this process's own it is nobody's else.
    pub(super) fn failing(&self) -> Option<Failing> {
        let generation = self.id.filter(|_| !self.is_overridden)?;
        Some(Failing {
            generation,
            allowance: self.allowance,
        })
    }

    /// The policy, loaded now if it is not yet, and what it is asked with.
    pub(super) fn loaded(
        &mut self,
        store: &mut Store,
        runtime: &Runtime,
        trust: Option<&Trust>,
    ) -> Result<(&Policy, &Settings), Error> {
        let policy = match self.policy.take() {
            Some(policy) => policy,
            None => self.load(store, runtime, trust)?,
        };
        Ok((self.policy.insert(policy), &self.settings))
    }

    /// Reads, checks and compiles the policy.
    fn load(
        &self,
        store: &mut Store,
        runtime: &Runtime,
        trust: Option<&Trust>,
    ) -> Result<Policy, Error> {
        let limits = self.allowance.limits();
        let signature = match &self.component {
            Component::Given(bytes) => return Ok(runtime.load(bytes, limits)?),
            Component::Stored { signature } => signature.as_deref(),
            Component::None => return Err(Error::NoPolicy),
        };
        if let Some(policy) = kept(runtime, &self.digest, &self.allowance, trust) {
            return Ok(policy);
        }
        let bytes = component(store, &self.digest)?;
        // What the database says of a signature is checked by each host for itself.
        if let Some(trust) = trust {
            trust.check(&bytes, signature)?;
        }
        Ok(runtime.load(&bytes, limits)?)
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

impl Queue {
    /// The generation that answers come from; none for a policy of the caller's.
    pub fn generation(&self) -> Option<i64> {
        self.in_use.id
    }

    /// Whether another generation is being loaded: the next claim may go by it.
    pub fn is_changing(&self) -> bool {
        self.following.incoming.is_some()
    }

    /// Notices that another generation is active. It never fails: what cannot be read or loaded is
    /// said in the log, and this process goes on as it was.
    pub(super) fn follow(&mut self, now: Timestamp) {
        if let Rule::Active(_) = self.rule
            && let Err(error) = self.try_to_follow(now)
        {
            tracing::warn!(
                "the active generation is not known: {}",
                with_causes(&error)
            );
        }
    }

    fn try_to_follow(&mut self, now: Timestamp) -> Result<(), Error> {
        self.adopt(now)?;
        let retry = matches!(self.following.failed, Some((_, at)) if at <= now);
        let version = self.store.data_version()?;
        if self.following.version == Some(version) && !retry {
            return Ok(());
        }
        let active = self.store.active_generation_id()?;
        self.following.version = Some(version);
        let under_way = self
            .following
            .incoming
            .as_ref()
            .map(|incoming| incoming.generation);
        self.following
            .failed
            .take_if(|(failed, _)| Some(*failed) != active);
        let waits = matches!(self.following.failed, Some((_, at)) if now < at);
        if active == self.in_use.id || active == under_way || waits {
            return Ok(());
        }
        self.following.failed = None;
        if self.in_use.policy.is_none() {
            // Nothing is in use yet that could go on meanwhile.
            self.in_use = InUse::read(&mut self.store, &self.rule)?;
            self.clause = None;
            return Ok(());
        }
        self.change(now)
    }

    /// Goes over to the active generation, now if its policy is compiled already, and else once it is.
    fn change(&mut self, now: Timestamp) -> Result<(), Error> {
        let Rule::Active(overrides) = &self.rule else {
            return Ok(());
        };
        let Some(active) = self.store.generation_in(GenerationState::Active)? else {
            return Err(store::Error::NoActiveGeneration.into());
        };
        let generation = active.id;
        let (path, overrides) = (self.store.path().to_owned(), overrides.clone());
        let (runtime, options) = (self.runtime()?.clone(), self.options.clone());
        let in_use = InUse::of(&active, &overrides);
        let failing = in_use.failing();
        if kept(
            &runtime,
            &active.digest,
            &in_use.allowance,
            options.trust.as_ref(),
        )
        .is_some()
        {
            let (store, claims) = (&mut self.store, &mut self.claims);
            let ready = prepare(in_use, store, claims, &runtime, &options, now);
            return self.go_over(generation, failing, ready, now);
        }
        let thread = thread::Builder::new()
            .name("policy-loader".into())
            .spawn(move || prepare_beside(&path, in_use, &runtime, &options, now))
            .map_err(Error::Thread)?;
        self.following.incoming = Some(Incoming {
            generation,
            failing,
            thread,
        });
        Ok(())
    }

    /// Goes over to a generation that has been loaded.
    fn adopt(&mut self, now: Timestamp) -> Result<(), Error> {
        let Some(incoming) = self
            .following
            .incoming
            .take_if(|incoming| incoming.thread.is_finished())
        else {
            return Ok(());
        };
        let ready = incoming.thread.join().unwrap_or(Err(Error::LoaderEnded));
        self.go_over(incoming.generation, incoming.failing, ready, now)
    }

    fn go_over(
        &mut self,
        generation: i64,
        failing: Option<Failing>,
        ready: Result<Ready, Error>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match ready {
            Ok(ready) => {
                tracing::info!("claims go by generation {generation} from now on");
                self.in_use = ready.in_use;
                self.clause = Some(ready.clause);
                self.kept = false;
                // Another one may be active by now.
                self.following.version = None;
            }
            Err(error) => {
                self.following.failed =
                    Some((generation, now.checked_add(RETRY).unwrap_or(Timestamp::MAX)));
                let current = self.in_use.id.unwrap_or_default();
                tracing::warn!(
                    "generation {generation} cannot be used, claims go by generation {current}: {}",
                    with_causes(&error)
                );
                self.count_failure(failing, now, &error);
            }
        }
        Ok(())
    }

    /// Counts a failure of a policy against its generation, if it was in a claim: who only looks changes
    /// nothing. Too many, and the one before is active again: then its number is returned.
    pub(super) fn count_failure(
        &mut self,
        failing: Option<Failing>,
        now: Timestamp,
        error: &Error,
    ) -> Option<i64> {
        let Failing {
            generation,
            allowance,
        } = failing?;
        if !self.claiming || !error.is_a_failure_of_the_policy() || allowance.failures == 0 {
            return None;
        }
        let within = Duration::from_secs(60 * u64::from(allowance.failures_within_minutes));
        let since = now.checked_sub(within).unwrap_or(Timestamp::MIN);
        let act = Act {
            now,
            who: THE_HOST,
            why: &with_causes(error),
        };
        let back = self
            .store
            .failed_in_use(generation, allowance.failures, since, act)
            .unwrap_or_else(|error| {
                tracing::warn!("a failure of generation {generation} is not counted: {error}");
                None
            });
        if let Some(good) = back {
            tracing::error!(
                "generation {generation} failed too often, generation {good} is active again"
            );
            self.following.version = None;
        }
        back
    }

    /// Who a component is, if it is a policy that may run here.
    ///
    /// # Errors
    ///
    /// When it is none, or is not signed by somebody who is trusted.
    pub fn describe(
        &mut self,
        component: &[u8],
        signature: Option<&str>,
        allowance: Allowance,
    ) -> Result<Description, policy::Error> {
        if let Some(trust) = &self.options.trust {
            trust.check(component, signature)?;
        }
        self.runtime()?
            .load(component, allowance.limits())?
            .describe()
    }

    /// Whether this host could go by a generation: its policy loads, and gives a clause that may run.
    ///
    /// # Errors
    ///
    /// When it could not, with the reason.
    pub fn could_go_by(&mut self, generation: &Generation, now: Timestamp) -> Result<(), Error> {
        let (runtime, path) = (self.runtime()?.clone(), self.store.path().to_owned());
        let in_use = InUse::of(generation, &Overrides::default());
        prepare_beside(&path, in_use, &runtime, &self.options, now).map(drop)
    }

    /// The policy, loaded now if it is not yet, and what it is asked with.
    pub(super) fn loaded(&mut self) -> Result<(&Policy, &Settings, &mut ClaimConnection), Error> {
        let runtime = self.runtime()?.clone();
        let (policy, settings) =
            self.in_use
                .loaded(&mut self.store, &runtime, self.options.trust.as_ref())?;
        Ok((policy, settings, &mut self.claims))
    }

    pub(super) fn runtime(&mut self) -> Result<&Runtime, policy::Error> {
        let runtime = match self.options.runtime.take() {
            Some(runtime) => runtime,
            None => Runtime::new()?,
        };
        Ok(self.options.runtime.insert(runtime))
    }
}

/// A policy that this process has compiled already. With a trust list it is read again: whoever had it
/// compiled may have trusted others.
fn kept(
    runtime: &Runtime,
    digest: &str,
    allowance: &Allowance,
    trust: Option<&Trust>,
) -> Option<Policy> {
    match trust {
        Some(_) => None,
        None => runtime.load_kept(digest, allowance.limits()),
    }
}

/// Everything that a generation needs before claims can go by it.
fn prepare(
    mut in_use: InUse,
    store: &mut Store,
    claims: &mut ClaimConnection,
    runtime: &Runtime,
    options: &Options,
    now: Timestamp,
) -> Result<Ready, Error> {
    let policy = in_use.load(store, runtime, options.trust.as_ref())?;
    let clause = if in_use.settings.enabled {
        CurrentClause::of_policy(&policy, &in_use.settings, claims, now)?
    } else {
        CurrentClause::off(claims, now)?
    };
    in_use.policy = Some(policy);
    Ok(Ready { in_use, clause })
}

/// The same on connections of its own, beside the claims.
fn prepare_beside(
    path: &Path,
    in_use: InUse,
    runtime: &Runtime,
    options: &Options,
    now: Timestamp,
) -> Result<Ready, Error> {
    let mut store = Store::open(path)?;
    let mut claims = ClaimConnection::open(path, options.claim_budget)?;
    prepare(in_use, &mut store, &mut claims, runtime, options, now)
}
