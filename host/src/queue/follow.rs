//! How this process follows a change of the active generation.
//!
//! Owns the moment at which another generation becomes this process's own. Callers rely on this: a
//! policy, its settings, its limits and its clause change together and never in part; a generation is compared as a whole,
//! because its number is another one's where a backup was put in place of the database; no claim waits
//! for a compiler, because a policy that is not compiled yet is read, compiled and asked for its
//! clause in a thread beside it; and until that is done, or if it fails, claims go by the one before.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use super::generation::{Failing, InUse, Ready, kept, prepare, prepare_beside};
use super::recent::is_recent;
use super::settings::Overrides;
use super::{Allowance, Error, Queue, Rule, with_causes};
use crate::model::{Description, Settings};
use crate::policy::{self, Policy, Runtime};
use crate::store::{self, Act, Generation, GenerationState, Store};

/// After how long a generation that could not be loaded is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Who rolls a failing generation back.
const THE_HOST: &str = "serial-gate";

/// A generation that is being loaded beside the claims.
pub(super) struct Incoming {
    generation: Generation,
    failing: Option<Failing>,
    thread: JoinHandle<Result<Ready, Error>>,
}

/// What is known of the database's generations.
#[derive(Default)]
pub(super) struct Following {
    /// The database's version when it was last looked at.
    version: Option<i64>,
    incoming: Option<Incoming>,
    /// A generation that could not be loaded, and when it was tried last.
    failed: Option<(Generation, Timestamp)>,
    /// The active generation, from when it could not be loaded until it is in use, or another one is active.
    not_loaded: Option<i64>,
    /// Whether that is because nobody who is trusted vouches for it.
    not_trusted: bool,
    /// Whether there was no active generation.
    none_is_active: bool,
}

impl Following {
    /// Whether there was no active generation when it was looked for last.
    pub(super) fn none_is_active(&self) -> bool {
        self.none_is_active
    }

    /// The active generation, if it could not be loaded.
    pub(super) fn could_not_load(&self) -> Option<i64> {
        self.not_loaded
    }

    /// Whether that is because it is not trusted here.
    pub(super) fn does_not_trust(&self) -> bool {
        self.not_trusted
    }

    /// The active generation is not trusted here, and another one is in use instead.
    pub(super) fn is_not_trusted(&mut self, active: Generation, now: Timestamp) {
        self.not_loaded = Some(active.id);
        self.not_trusted = true;
        self.failed = Some((active, now));
    }

    /// Looks at the active generation the next time, whatever the database's version says.
    pub(super) fn look_again(&mut self) {
        self.version = None;
    }
}

impl Queue {
    /// The generation that answers come from; none for a policy of the caller's.
    pub fn generation(&self) -> Option<i64> {
        self.in_use.id()
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
        self.adopt(now);
        let retry =
            matches!(self.following.failed, Some((_, last)) if !is_recent(last, now, RETRY));
        let version = self.store.data_version()?;
        if self.following.version == Some(version) && !retry {
            return Ok(());
        }
        let active = self.store.generation_in(GenerationState::Active)?;
        self.following.version = Some(version);
        self.following.none_is_active = active.is_none();
        let id = active.as_ref().map(|active| active.id);
        self.following
            .not_loaded
            .take_if(|failed| Some(*failed) != id || active == self.in_use.generation);
        let incoming = self.following.incoming.as_ref();
        let under_way = incoming.map(|incoming| &incoming.generation);
        if active == self.in_use.generation || active.as_ref() == under_way {
            self.following.failed = None;
            return Ok(());
        }
        self.following
            .failed
            .take_if(|(failed, _)| Some(&*failed) != active.as_ref());
        // Neither its signature nor the keys are others than they were.
        let is_not_trusted = self.following.failed.is_some() && self.following.not_trusted;
        if is_not_trusted
            || matches!(self.following.failed, Some((_, last)) if is_recent(last, now, RETRY))
        {
            return Ok(());
        }
        self.following.failed = None;
        if self.in_use.policy.is_none() {
            // Nothing is in use yet that could go on meanwhile.
            self.in_use = InUse::read(&mut self.store, &self.rule)?;
            self.clause = None;
            return Ok(());
        }
        match active {
            Some(active) => self.change(active, now),
            None => Err(store::Error::NoActiveGeneration.into()),
        }
    }

    /// Goes over to the active generation, now if its policy is compiled already, and else once it is.
    fn change(&mut self, active: Generation, now: Timestamp) -> Result<(), Error> {
        let Rule::Active(overrides) = &self.rule else {
            return Ok(());
        };
        let (database, overrides) = (self.store.database().clone(), overrides.clone());
        let options = self.options.clone();
        let in_use = InUse::of(&active, &overrides);
        let failing = in_use.failing();
        if kept(
            &options.runtime,
            &active.digest,
            in_use.allowance,
            options.trust.as_ref(),
        )
        .is_some()
        {
            let ready = prepare(in_use, &mut self.store, &options, now);
            self.go_over(active, failing, ready, now);
            return Ok(());
        }
        let thread = thread::Builder::new()
            .name("policy-loader".into())
            .spawn(move || prepare_beside(&database, in_use, &options, now))
            .map_err(Error::Thread)?;
        self.following.incoming = Some(Incoming {
            generation: active,
            failing,
            thread,
        });
        Ok(())
    }

    /// Goes over to a generation that has been loaded.
    fn adopt(&mut self, now: Timestamp) {
        let loaded = |incoming: &mut Incoming| incoming.thread.is_finished();
        if let Some(incoming) = self.following.incoming.take_if(loaded) {
            let ready = incoming.thread.join().unwrap_or(Err(Error::LoaderEnded));
            self.go_over(incoming.generation, incoming.failing, ready, now);
        }
    }

    fn go_over(
        &mut self,
        generation: Generation,
        failing: Option<Failing>,
        ready: Result<Ready, Error>,
        now: Timestamp,
    ) {
        match ready {
            Ok(ready) => {
                tracing::info!("claims go by generation {} from now on", generation.id);
                self.in_use = ready.in_use;
                self.clause = Some(Arc::new(ready.clause));
                self.kept = None;
                self.following.not_loaded = None;
                // Another one may be active by now.
                self.following.look_again();
            }
            Err(error) => {
                let current = self.in_use.id().unwrap_or_default();
                tracing::warn!(
                    "generation {} cannot be used, claims go by generation {current}: {}",
                    generation.id,
                    with_causes(&error)
                );
                self.following.not_loaded = Some(generation.id);
                self.following.not_trusted = error.is_of_trust();
                self.following.failed = Some((generation, now));
                self.count_failure(failing, now, &error);
            }
        }
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
            .failed_in_use(&generation, allowance.failures, since, act)
            .unwrap_or_else(|error| {
                tracing::warn!(
                    "a failure of generation {} is not counted: {error}",
                    generation.id
                );
                None
            });
        if let Some(good) = back {
            tracing::error!(
                "generation {} failed too often, generation {good} is active again",
                generation.id
            );
            self.following.look_again();
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
        let policy = self.options.runtime.load(component, allowance)?;
        Ok(policy::texts::fit_description(policy.describe()?))
    }

    /// Whether this host could go by a generation: its policy loads, and gives a clause that may run.
    ///
    /// # Errors
    ///
    /// When it could not, with the reason.
    pub fn could_go_by(&mut self, generation: &Generation, now: Timestamp) -> Result<(), Error> {
        let database = self.store.database().clone();
        let in_use = InUse::of(generation, &Overrides::default());
        prepare_beside(&database, in_use, &self.options, now).map(drop)
    }

    /// The policy, loaded now if it is not yet, and what it is asked with.
    pub(super) fn loaded(&mut self) -> Result<(&Policy, &Settings, &mut Store), Error> {
        let (policy, settings) = self.in_use.loaded(&mut self.store, &self.options)?;
        Ok((policy, settings, &mut self.store))
    }

    /// What compiles and runs the policies.
    pub fn runtime(&self) -> &Runtime {
        &self.options.runtime
    }
}
