//! How one generation follows another.
//!
//! Owns the changes of their states: at most one is active, and at most one is a shadow. A
//! component is stored once, however many generations use it. Callers rely on this: a change is one
//! transaction, on the disk when the method returns, and its event has who made it and why.

use std::time::Duration;

use jiff::Timestamp;

use super::alerts::{self, NewAlert};
use super::effect::Effect;
use super::generations::{active, before, generation, in_state, is_kept};
use crate::store::engine::{Tx, values};
use crate::store::time::latest;
use crate::store::{AlertKind, Error, Generation, GenerationState, Store, sql_time};

/// A policy that becomes a generation.
#[derive(Debug, Clone, Copy)]
pub struct NewGeneration<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its signature, if it has one.
    pub signature: Option<&'a str>,
    /// The SHA-256 of the component.
    pub digest: &'a str,
    /// The policy's name.
    pub name: &'a str,
    /// The policy's version.
    pub version: &'a str,
    /// The settings, as JSON.
    pub settings: &'a str,
    /// What the policy may use, as JSON.
    pub limits: &'a str,
}

/// Who changes something, when and why.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// Now.
    pub now: Timestamp,
    /// Who.
    pub who: &'a str,
    /// Why.
    pub why: &'a str,
}

/// What a caller knew when it decided on a change. Each generation is compared as a whole, because
/// another may have its number by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The generation to move, in the state it had.
    pub generation: &'a Generation,
    /// The active generation.
    pub active: Option<&'a Generation>,
}

impl Store {
    /// Adds a generation as a candidate and returns it as stored.
    pub fn add_candidate(
        &mut self,
        new: NewGeneration<'_>,
        actor: Actor<'_>,
    ) -> Result<Generation, Error> {
        self.write_durably(|tx| {
            let id = add(tx, new, GenerationState::Candidate, actor)?;
            check_added(tx, id, new)?;
            check_state(tx, id, GenerationState::Candidate)?;
            generation(tx, id)
        })
    }

    /// Makes the seen generation active or the shadow, and retires the one that was. Nothing
    /// happens if another program has changed what was seen.
    ///
    /// # Errors
    ///
    /// When there is no such generation, it is in that state or active already, or something has
    /// changed in the meantime.
    pub fn put(
        &mut self,
        place: GenerationState,
        seen: Seen<'_>,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let id = seen.generation.id;
        self.write_durably(|tx| {
            let generation = generation(tx, id)?;
            let state = generation.state;
            if state == place || state == GenerationState::Active {
                return Err(Error::AlreadyIn {
                    generation: id,
                    state,
                });
            }
            let active = in_state(tx, GenerationState::Active)?;
            let now = Seen {
                generation: &generation,
                active: active.as_ref(),
            };
            if now != seen {
                return Err(Error::Meanwhile);
            }
            if place == GenerationState::Active {
                // Its earlier failures no longer count: an operator has activated it again.
                tx.execute(
                    "DELETE FROM serial_gate_failure WHERE generation = $1",
                    values![id],
                )?;
            }
            let before: Vec<i64> = tx.rows(
                "SELECT id FROM serial_gate_generation WHERE state = $1",
                values![place.name()],
                |row| row.get(0),
            )?;
            for before in before {
                let why = format!("generation {id} took its place");
                let actor = Actor { why: &why, ..actor };
                change(tx, before, GenerationState::Retired, actor)?;
            }
            change(tx, id, place, actor)?;
            check_state(tx, id, place)
        })
    }

    /// Retires the shadow and returns its number, if there is one.
    pub fn stop_shadow(&mut self, actor: Actor<'_>) -> Result<Option<i64>, Error> {
        self.write_durably(|tx| {
            let shadow = tx.row(
                "SELECT id FROM serial_gate_generation WHERE state = 'shadow'",
                &[],
                |row| row.get(0),
            )?;
            if let Some(shadow) = shadow {
                change(tx, shadow, GenerationState::Retired, actor)?;
                check_state(tx, shadow, GenerationState::Retired)?;
            }
            Ok(shadow)
        })
    }

    /// Refuses a candidate. Its component is deleted unless another generation uses it that was not
    /// refused, or was once active.
    pub fn refuse_candidate(
        &mut self,
        candidate: &Generation,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let id = candidate.id;
        self.write_durably(|tx| {
            if generation(tx, id)? != *candidate {
                return Err(Error::Meanwhile);
            }
            change(tx, id, GenerationState::Refused, actor)?;
            tx.execute(
                "DELETE FROM serial_gate_policy
                     WHERE digest = (SELECT digest FROM serial_gate_generation WHERE id = $1)
                       AND digest NOT IN (
                           SELECT digest FROM serial_gate_generation g WHERE state != 'refused'
                           OR EXISTS (
                               SELECT 1 FROM serial_gate_generation_event e
                               WHERE e.generation = g.id AND e.state = 'active'))",
                values![id],
            )?;
            check_state(tx, id, GenerationState::Refused)
        })
    }

    /// Stores that a generation failed in use. If it is active and has failed `allowed` times since
    /// `since`, it is refused and the previous one becomes active again; that one's number is
    /// returned.
    pub fn failed_in_use(
        &mut self,
        failed: &Generation,
        allowed: u32,
        since: Timestamp,
        actor: Actor<'_>,
    ) -> Result<Option<i64>, Error> {
        self.write_durably(|tx| fail(tx, failed, allowed, since, actor))
    }
}

/// The same as a part of a transaction.
pub(crate) fn fail(
    tx: &dyn Tx,
    failed: &Generation,
    allowed: u32,
    since: Timestamp,
    actor: Actor<'_>,
) -> Result<Option<i64>, Error> {
    let id = failed.id;
    if !is_kept(tx, failed)? {
        return Ok(None);
    }
    // Failures by a clock ahead would count for ever.
    tx.execute(
        "DELETE FROM serial_gate_failure WHERE at <= $1 OR at > $2",
        values![sql_time(since), latest(actor.now, Duration::ZERO)],
    )?;
    tx.execute(
        "INSERT INTO serial_gate_failure (generation, at, what) VALUES ($1, $2, $3)",
        values![id, sql_time(actor.now), actor.why],
    )?;
    let failures: u32 = tx.only(
        "SELECT count(*) FROM serial_gate_failure WHERE generation = $1",
        values![id],
        |row| row.get(0),
    )?;
    if failures < allowed || active(tx)? != Some(id) {
        return Ok(None);
    }
    let Some(good) = before(tx)? else {
        return Ok(None);
    };
    let why = format!("failed {failures} times in use: {}", actor.why);
    change(
        tx,
        id,
        GenerationState::Refused,
        Actor { why: &why, ..actor },
    )?;
    let why = format!("generation {id} {why}");
    change(
        tx,
        good,
        GenerationState::Active,
        Actor { why: &why, ..actor },
    )?;
    let alert = NewAlert {
        kind: AlertKind::Rollback,
        repo: None,
        work_item: None,
        subject: Some(good),
        who: actor.who,
        why: &why,
    };
    alerts::add(tx, actor.now, alert)?;
    check_state(tx, id, GenerationState::Refused)?;
    check_state(tx, good, GenerationState::Active)?;
    Ok(Some(good))
}

/// Adds the first generation of a queue. Returns false if there is a generation already.
pub(crate) fn add_first(
    tx: &dyn Tx,
    first: NewGeneration<'_>,
    actor: Actor<'_>,
) -> Result<bool, Error> {
    let any = tx.exists("SELECT 1 FROM serial_gate_generation", &[])?;
    if !any {
        add(tx, first, GenerationState::Active, actor)?;
    }
    Ok(!any)
}

fn add(
    tx: &dyn Tx,
    new: NewGeneration<'_>,
    state: GenerationState,
    actor: Actor<'_>,
) -> Result<i64, Error> {
    let NewGeneration {
        component,
        signature,
        digest,
        name,
        version,
        settings,
        limits,
    } = new;
    tx.execute(
        // The digest is of these bytes, so other bytes under it were altered.
        "INSERT INTO serial_gate_policy (digest, component) VALUES ($1, $2)
         ON CONFLICT (digest) DO UPDATE SET component = excluded.component",
        values![digest, component],
    )?;
    let id = tx.only(
        "INSERT INTO serial_gate_generation (digest, name, version, settings, limits,
        signature, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        values![
            digest,
            name,
            version,
            settings,
            limits,
            signature,
            state.name()
        ],
        |row| row.get(0),
    )?;
    write_down(tx, id, state, actor)?;
    Ok(id)
}

/// Refuses a generation that is not stored as it was added.
fn check_added(tx: &dyn Tx, id: i64, new: NewGeneration<'_>) -> Result<(), Error> {
    let effect = Effect {
        what: &format!("generation {id}"),
        table: "serial_gate_generation",
    };
    let query = "SELECT 1 FROM serial_gate_generation AS added
        JOIN serial_gate_policy AS kept USING (digest)
        WHERE added.id = $1 AND digest = $2 AND settings = $3 AND limits = $4
        AND signature IS NOT DISTINCT FROM $5 AND component = $6";
    let values = values![
        id,
        new.digest,
        new.settings,
        new.limits,
        new.signature,
        new.component
    ];
    effect.is_there(tx, query, values)
}

/// Refuses a change that a generation, or its history, does not show afterwards.
fn check_state(tx: &dyn Tx, id: i64, state: GenerationState) -> Result<(), Error> {
    let effect = Effect {
        what: &format!("the change of generation {id} to `{}`", state.name()),
        table: "serial_gate_generation",
    };
    let query = "SELECT 1 FROM serial_gate_generation WHERE id = $1 AND state = $2 AND $2 = (
            SELECT state FROM serial_gate_generation_event WHERE generation = $1 ORDER BY id DESC
            LIMIT 1)";
    effect.is_there(tx, query, values![id, state.name()])
}

fn change(tx: &dyn Tx, id: i64, state: GenerationState, actor: Actor<'_>) -> Result<(), Error> {
    tx.execute(
        "UPDATE serial_gate_generation SET state = $2 WHERE id = $1",
        values![id, state.name()],
    )?;
    write_down(tx, id, state, actor)
}

fn write_down(tx: &dyn Tx, id: i64, state: GenerationState, actor: Actor<'_>) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO serial_gate_generation_event (generation, state, at, who, why)
         VALUES ($1, $2, $3, $4, $5)",
        values![id, state.name(), sql_time(actor.now), actor.who, actor.why],
    )?;
    Ok(())
}
