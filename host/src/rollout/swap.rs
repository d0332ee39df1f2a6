//! A new generation: proposed, checked, and then active, a shadow, or refused.
//!
//! Owns what is written when. A file that is not a policy is not stored. A candidate is stored
//! before its check, so that the history has every attempt; if the process dies meanwhile, it stays
//! a candidate, which no claim uses. Leaves the check to `conform`. Callers rely on this: the
//! change itself is one transaction.

use super::Error;
use crate::conform::{Candidate, Stage, check_policy};
use crate::error::with_causes;
use crate::gate::{self, allowance_of, default_settings, settings_of, stored};
use crate::model::Settings;
use crate::policy;
use crate::policy::Allowance;
use crate::queue::Queue;
use crate::store::{self, Actor, Generation, GenerationState, NewGeneration, Seen};

/// A policy with its settings, as an operator proposes it.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The component.
    pub component: Vec<u8>,
    /// Its signature, if it has one.
    pub signature: Option<String>,
    /// The settings.
    pub settings: Settings,
    /// What it may use.
    pub allowance: Allowance,
    /// The generation from which the settings were taken: if another one is active by the time of
    /// the swap, nothing is swapped.
    pub base: Option<Generation>,
}

impl Proposal {
    /// A component under the settings and limits of the active generation. Where these cannot be
    /// read, which is a reason to swap, the defaults hold.
    pub fn over(
        active: Option<&Generation>,
        component: Vec<u8>,
        signature: Option<String>,
    ) -> Proposal {
        let settings = active.and_then(|active| settings_of(active).ok());
        let allowance = active.and_then(|active| allowance_of(active).ok());
        Proposal {
            component,
            signature,
            settings: settings.unwrap_or_else(default_settings),
            allowance: allowance.unwrap_or_default(),
            base: active.cloned(),
        }
    }
}

/// Where a proposal is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Claims use it.
    Active,
    /// It decides as well as the active one, and no claim uses its answers.
    Shadow,
}

/// The result of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// Its number.
    pub generation: i64,
    /// What the check found, stage by stage.
    pub stages: Vec<Stage>,
}

impl Swapped {
    /// Whether it got its place.
    pub fn is_accepted(&self) -> bool {
        self.stages.iter().all(|stage| stage.found.is_ok())
    }
}

/// Checks a proposal and puts it in its place.
///
/// # Errors
///
/// When it is not a policy, or nothing would change. A policy that does not pass its check is not
/// an error: it is refused, and the stages say why.
pub fn swap(
    queue: &mut Queue,
    proposal: &Proposal,
    place: Place,
    actor: Actor<'_>,
) -> Result<Swapped, Error> {
    let Proposal {
        component,
        signature,
        settings,
        allowance,
        base,
    } = proposal;
    let description = queue
        .describe(component, signature.as_deref(), *allowance)
        .map_err(Error::NoPolicy)?;
    let digest = policy::digest(component);
    let (settings_text, limits_text) = (stored(settings), stored(allowance));
    let place_state = match place {
        Place::Active => GenerationState::Active,
        Place::Shadow => GenerationState::Shadow,
    };
    if let Some(there) = queue.store().generation_in(place_state)?
        && (
            &there.digest,
            &there.settings,
            &there.limits,
            &there.signature,
        ) == (&digest, &settings_text, &limits_text, signature)
        && gate::component(queue.store(), &digest).is_ok()
    {
        return Err(Error::NothingNew {
            generation: there.id,
        });
    }
    let new = NewGeneration {
        component,
        signature: signature.as_deref(),
        digest: &digest,
        name: &description.name,
        version: &description.version,
        settings: &settings_text,
        limits: &limits_text,
    };
    let candidate = queue.store_mut().add_candidate(new, actor)?;
    let generation = candidate.id;
    let fixtures = queue.store().fixtures()?;
    let to_check = Candidate {
        component,
        signature: signature.as_deref(),
        trust: None,
        settings,
        allowance: *allowance,
        fixtures: &fixtures,
    };
    let refuse = |queue: &mut Queue, why: &str| {
        let actor = Actor { why, ..actor };
        queue.store_mut().refuse_candidate(&candidate, actor)
    };
    let stages = match check_policy(to_check, queue.runtime(), actor.now) {
        Ok(stages) => stages,
        Err(error) => {
            refuse(queue, &with_causes(&error))?;
            return Err(error.into());
        }
    };
    let refused = stages.iter().find_map(|stage| {
        let reason = stage.found.as_ref().err()?;
        Some(format!("{}: {reason}", stage.name))
    });
    if let Some(why) = refused {
        refuse(queue, &why)?;
        return Ok(Swapped { generation, stages });
    }
    let seen = Seen {
        generation: &candidate,
        active: base.as_ref(),
    };
    if let Err(error) = queue.store_mut().put(place_state, seen, actor) {
        refuse(queue, &error.to_string())?;
        return Err(error.into());
    }
    if place == Place::Active {
        prepare_claims(queue, actor);
    }
    Ok(Swapped { generation, stages })
}

/// Makes what claims need in the database, for processes that may not make it.
fn prepare_claims(queue: &mut Queue, actor: Actor<'_>) {
    if let Err(error) = queue.prepare_claims(actor.now) {
        tracing::warn!(
            "claims are not prepared yet, and the first one will be slower: {}",
            with_causes(&error)
        );
    }
}

/// Makes an earlier generation active again: this one, or the one before. Returns its number. With
/// `seen`, the generation that the caller knows to be active, nothing is changed when another one
/// is.
///
/// # Errors
///
/// When there is none, it was never active or is active now, or this host cannot run it.
pub fn roll_back(
    queue: &mut Queue,
    to: Option<i64>,
    seen: Option<i64>,
    actor: Actor<'_>,
) -> Result<i64, Error> {
    let active = queue.store().generation_in(GenerationState::Active)?;
    if seen.is_some() && seen != active.as_ref().map(|active| active.id) {
        return Err(store::Error::Meanwhile.into());
    }
    let id = match to {
        Some(id) => id,
        None => queue
            .store()
            .generation_before()?
            .ok_or(Error::NothingBefore)?,
    };
    let generation = queue.store().generation(id)?;
    let events = queue.store().generation_events(Some(id))?;
    if !events
        .iter()
        .any(|event| event.state == GenerationState::Active)
    {
        return Err(Error::NeverActive { generation: id });
    }
    activate(queue, &generation, active.as_ref(), actor)
}

/// Makes the shadow the active generation. Returns its number.
pub fn promote(queue: &mut Queue, actor: Actor<'_>) -> Result<i64, Error> {
    let active = queue.store().generation_in(GenerationState::Active)?;
    let shadow = queue
        .store()
        .generation_in(GenerationState::Shadow)?
        .ok_or(Error::NoShadow)?;
    activate(queue, &shadow, active.as_ref(), actor)
}

/// Makes a stored generation active, if this host can run it and nothing has changed since it was
/// read. Returns its number.
fn activate(
    queue: &mut Queue,
    generation: &Generation,
    active: Option<&Generation>,
    actor: Actor<'_>,
) -> Result<i64, Error> {
    let id = generation.id;
    // It may have been broken meanwhile, or another host may have written it.
    queue
        .check_usable(generation, actor.now)
        .map_err(|cause| Error::Unusable {
            generation: id,
            cause,
        })?;
    let seen = Seen { generation, active };
    queue
        .store_mut()
        .put(GenerationState::Active, seen, actor)?;
    prepare_claims(queue, actor);
    Ok(id)
}
