//! The change from the generation in use to another one.
//!
//! Owns the moment of the change. Leaves the steps of loading to `loading`. Callers rely on this:
//!
//! - A policy, its settings, its limits and its clause change together and never in part.
//! - Generations are compared as a whole: in a restored backup another one may have the number.
//! - No claim waits for a compiler: a policy that is not compiled yet is loaded in a thread. Until
//!   that is done, and if it fails, claims use the generation before.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use super::failing::Failing;
use super::generation::InUse;
use super::loading::Ready;
use super::{Current, Error, Gate, Purpose, Rule};
use crate::error::with_causes;
use crate::recent::is_recent;
use crate::store::{self, Generation, GenerationState, Store};

/// After how long a generation that could not be loaded is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A generation that is being loaded in the background.
struct Incoming {
    generation: Generation,
    failing: Option<Failing>,
    thread: JoinHandle<Result<Ready, Error>>,
}

/// What is known of the database's generations.
#[derive(Default)]
pub(super) struct Reload {
    /// The database's version when it was last looked at.
    version: Option<i64>,
    incoming: Option<Incoming>,
    /// A generation that could not be loaded, and when it was tried last.
    failed: Option<(Generation, Timestamp)>,
    /// The active generation, from when it could not be loaded until it is in use, or another one
    /// is active.
    pub not_loaded: Option<i64>,
    /// Whether that is because it is not trusted here.
    pub not_trusted: bool,
    /// Whether there was no active generation.
    pub none_is_active: bool,
}

impl Gate {
    /// Whether another generation is being loaded: the next claim may use it.
    pub fn is_changing(&self) -> bool {
        self.reload.incoming.is_some()
    }

    /// Makes the next question read the active generation, even if the database's version is the
    /// same.
    pub fn look_again(&mut self) {
        self.reload.version = None;
    }

    /// The active generation is not trusted here, and another one is in use instead.
    pub(super) fn note_distrust(&mut self, active: Generation, now: Timestamp) {
        self.reload.not_loaded = Some(active.id);
        self.reload.not_trusted = true;
        self.reload.failed = Some((active, now));
    }

    /// Notices that another generation is active. It never fails: where it cannot be read or
    /// loaded, the log says so, and this process keeps what it uses.
    pub(super) fn reload(&mut self, store: &mut Store, purpose: Purpose, now: Timestamp) {
        if let Rule::Active(_) = self.rule
            && let Err(error) = self.try_to_reload(store, purpose, now)
        {
            tracing::warn!(
                "the active generation is not known: {}",
                with_causes(&error)
            );
        }
    }

    fn try_to_reload(
        &mut self,
        store: &mut Store,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(), Error> {
        let loaded = |incoming: &mut Incoming| incoming.thread.is_finished();
        if let Some(incoming) = self.reload.incoming.take_if(loaded) {
            let ready = incoming.thread.join().unwrap_or(Err(Error::LoaderEnded));
            self.change_to(
                store,
                incoming.generation,
                incoming.failing,
                ready,
                purpose,
                now,
            );
        }
        let is_to_be_tried = |failed: &(Generation, Timestamp)| !is_recent(failed.1, now, RETRY);
        let retry = self.reload.failed.as_ref().is_some_and(is_to_be_tried);
        let version = store.data_version()?;
        if self.reload.version == Some(version) && !retry {
            return Ok(());
        }
        let active = store.generation_in(GenerationState::Active)?;
        let reload = &mut self.reload;
        reload.version = Some(version);
        reload.none_is_active = active.is_none();
        let id = active.as_ref().map(|active| active.id);
        reload
            .not_loaded
            .take_if(|failed| Some(*failed) != id || active == self.in_use.generation);
        let under_way = reload.incoming.as_ref();
        let under_way = under_way.map(|incoming| &incoming.generation);
        if active == self.in_use.generation || active.as_ref() == under_way {
            reload.failed = None;
            return Ok(());
        }
        reload
            .failed
            .take_if(|(failed, _)| Some(&*failed) != active.as_ref());
        // An untrusted one is not tried again: neither its signature nor the keys have changed.
        let is_not_trusted = reload.failed.is_some() && reload.not_trusted;
        if is_not_trusted || (reload.failed.is_some() && !retry) {
            return Ok(());
        }
        reload.failed = None;
        if self.in_use.policy.is_none() {
            // No policy is in use that claims could keep meanwhile.
            return self.read_anew(store);
        }
        match active {
            Some(active) => self.begin(store, active, purpose, now),
            None => Err(store::Error::NoActiveGeneration.into()),
        }
    }

    /// Changes to the active generation: at once if its policy is compiled already, and else when
    /// it has been loaded.
    fn begin(
        &mut self,
        store: &mut Store,
        active: Generation,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Rule::Active(overrides) = &self.rule else {
            return Ok(());
        };
        let in_use = InUse::of(&active, overrides);
        let failing = in_use.failing();
        if self.loader.compiled(&in_use).is_some() {
            let ready = self.loader.prepare(store, in_use, now);
            self.change_to(store, active, failing, ready, purpose, now);
            return Ok(());
        }
        let (database, loader) = (store.database().clone(), self.loader.clone());
        let thread = thread::Builder::new()
            .name("policy-loader".into())
            .spawn(move || loader.prepare_apart(&database, in_use, now))
            .map_err(Error::Thread)?;
        self.reload.incoming = Some(Incoming {
            generation: active,
            failing,
            thread,
        });
        Ok(())
    }

    fn change_to(
        &mut self,
        store: &mut Store,
        generation: Generation,
        failing: Option<Failing>,
        ready: Result<Ready, Error>,
        purpose: Purpose,
        now: Timestamp,
    ) {
        match ready {
            Ok(ready) => {
                tracing::info!("claims use generation {} from now on", generation.id);
                self.in_use = ready.in_use;
                self.current = Some(Current::new(ready.clause));
                self.reload.not_loaded = None;
                // Another one may be active by now.
                self.look_again();
            }
            Err(error) => {
                let current = self.in_use.id().unwrap_or_default();
                tracing::warn!(
                    "generation {} cannot be used, claims go on with generation {current}: {}",
                    generation.id,
                    with_causes(&error)
                );
                self.reload.not_loaded = Some(generation.id);
                self.reload.not_trusted = error.is_of_trust();
                self.reload.failed = Some((generation, now));
                self.count_failure(store, purpose, failing, now, &error);
            }
        }
    }
}
