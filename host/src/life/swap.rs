//! A new generation: proposed, checked, and then in its place or refused.
//!
//! Owns what is written when. A file that is not even a policy is not stored. A candidate is stored
//! before its check, so that the history has every attempt; if the process dies meanwhile, it stays a
//! candidate, which nothing goes by. The change itself is one transaction.

use super::Error;
use crate::conform::{Candidate, Stage, check_policy};
use crate::model::Settings;
use crate::policy;
use crate::queue::{self, Allowance, Queue, allowance_of, default_settings, settings_of, stored};
use crate::store::{self, Act, Generation, GenerationState, NewGeneration, Seen};

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
    /// The generation whose settings these were before they were changed: if another is active by the
    /// time of the swap, nothing is swapped.
    pub base: Option<Generation>,
}

impl Proposal {
    /// A component under the settings and limits of the active generation. One that cannot be read is a
    /// reason to swap, not against it: the defaults hold then.
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
    /// Claims go by it.
    Active,
    /// It decides beside the active one.
    Shadow,
}

/// What became of a proposal.
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
/// When it is no policy, nothing would change, or the database refuses. A policy that does not pass
/// its check is no error: it is refused, and the stages say why.
pub fn swap(
    queue: &mut Queue,
    proposal: &Proposal,
    place: Place,
    act: Act<'_>,
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
        && queue::component(queue.store(), &digest).is_ok()
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
    let candidate = queue.store().add_candidate(new, act)?;
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
    let stages = match check_policy(to_check, queue.runtime(), act.now) {
        Ok(stages) => stages,
        Err(error) => {
            let why = queue::with_causes(&error);
            let act = Act { why: &why, ..act };
            queue.store().refuse_candidate(&candidate, act)?;
            return Err(error.into());
        }
    };
    let refused = stages
        .iter()
        .find_map(|stage| Some((stage.name, stage.found.as_ref().err()?)));
    match refused {
        Some((name, reason)) => {
            let why = format!("{name}: {reason}");
            let act = Act { why: &why, ..act };
            queue.store().refuse_candidate(&candidate, act)?;
        }
        None => {
            let seen = Seen {
                generation: &candidate,
                active: base.as_ref(),
            };
            let put = queue.store().put(place_state, seen, act);
            if let Err(error) = put {
                let why = error.to_string();
                let act = Act { why: &why, ..act };
                queue.store().refuse_candidate(&candidate, act)?;
                return Err(error.into());
            }
        }
    }
    Ok(Swapped { generation, stages })
}

/// Makes an earlier generation active again: this one, or the one before. Returns its number. With `seen`, the generation
/// that the caller knows to be active, nothing is changed when it is another.
///
/// # Errors
///
/// When there is none, it was never active or is active now, another is active than was seen, or this host cannot run it.
pub fn roll_back(
    queue: &mut Queue,
    to: Option<i64>,
    seen: Option<i64>,
    act: Act<'_>,
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
    go_by(queue, &generation, active.as_ref(), act)
}

/// Makes the shadow the active generation. Returns its number.
///
/// # Errors
///
/// When there is none, or this host cannot run it.
pub fn promote(queue: &mut Queue, act: Act<'_>) -> Result<i64, Error> {
    let active = queue.store().generation_in(GenerationState::Active)?;
    let shadow = queue
        .store()
        .generation_in(GenerationState::Shadow)?
        .ok_or(Error::NoShadow)?;
    go_by(queue, &shadow, active.as_ref(), act)
}

/// Makes a stored generation active, if this host can run it and nothing has changed since it was read.
/// Returns its number.
fn go_by(
    queue: &mut Queue,
    generation: &Generation,
    active: Option<&Generation>,
    act: Act<'_>,
) -> Result<i64, Error> {
    let id = generation.id;
    // It may have been broken meanwhile, or another host may have written it.
    queue
        .could_go_by(generation, act.now)
        .map_err(|cause| Error::Unusable {
            generation: id,
            cause,
        })?;
    let seen = Seen { generation, active };
    queue.store().put(GenerationState::Active, seen, act)?;
    Ok(id)
}
