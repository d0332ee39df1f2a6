//! How one generation follows another.
//!
//! Owns the changes of their states: that at most one is active and at most one is a shadow. A
//! component is stored once, however many generations use it. Callers rely on this: a change is one
//! transaction, on the disk when the method returns, and its event says who made it and why.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::alerts::{self, NewAlert};
use super::effect::Effect;
use super::generations::{active, before, generation, in_state, is_kept};
use super::time::latest;
use super::transaction::Transaction;
use super::{AlertKind, Error, Generation, GenerationState, Store, sql_time};

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
pub struct Act<'a> {
    /// Now.
    pub now: Timestamp,
    /// Who.
    pub who: &'a str,
    /// Why.
    pub why: &'a str,
}

/// What a caller knew when it decided on a change. Each is compared as a whole: its number may be
/// another one's by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The generation that is to be put somewhere, where it stood.
    pub generation: &'a Generation,
    /// The active generation.
    pub active: Option<&'a Generation>,
}

impl Store {
    /// Adds a generation as a candidate and returns it as it is kept.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn add_candidate(
        &mut self,
        new: NewGeneration<'_>,
        act: Act<'_>,
    ) -> Result<Generation, Error> {
        self.writing_durably(|transaction| {
            let id = add(transaction, new, GenerationState::Candidate, act)?;
            check_added(transaction, id, new)?;
            check_state(transaction, id, GenerationState::Candidate)?;
            generation(transaction, id)
        })
    }

    /// Makes the generation that was seen the active one or the shadow, and retires the one that
    /// was. If another program has changed meanwhile what was seen, nothing happens.
    ///
    /// # Errors
    ///
    /// When there is no such generation, it is in that place or active already, something has
    /// changed meanwhile, or the database refuses.
    pub fn put(
        &mut self,
        place: GenerationState,
        seen: Seen<'_>,
        act: Act<'_>,
    ) -> Result<(), Error> {
        let id = seen.generation.id;
        self.writing_durably(|transaction| {
            let generation = generation(transaction, id)?;
            let state = generation.state;
            if state == place || state == GenerationState::Active {
                return Err(Error::AlreadyIn {
                    generation: id,
                    state,
                });
            }
            let active = in_state(transaction, GenerationState::Active)?;
            let now = Seen {
                generation: &generation,
                active: active.as_ref(),
            };
            if now != seen {
                return Err(Error::Meanwhile);
            }
            if place == GenerationState::Active {
                // What it did before was forgiven by whoever activates it.
                transaction.execute(
                    "DELETE FROM serial_gate_failure WHERE generation = ?1",
                    [id],
                )?;
            }
            let mut query = transaction
                .prepare_cached("SELECT id FROM serial_gate_generation WHERE state = ?1")?;
            let before: Vec<i64> = query
                .query_map([place.name()], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for before in before {
                let why = format!("generation {id} took its place");
                let act = Act { why: &why, ..act };
                change(transaction, before, GenerationState::Retired, act)?;
            }
            change(transaction, id, place, act)?;
            check_state(transaction, id, place)
        })
    }

    /// Ends the shadow's time. None when there is none.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn stop_shadow(&mut self, act: Act<'_>) -> Result<Option<i64>, Error> {
        self.writing_durably(|transaction| {
            let shadow = transaction
                .query_row(
                    "SELECT id FROM serial_gate_generation WHERE state = 'shadow'",
                    [],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(shadow) = shadow {
                change(transaction, shadow, GenerationState::Retired, act)?;
                check_state(transaction, shadow, GenerationState::Retired)?;
            }
            Ok(shadow)
        })
    }

    /// Refuses a candidate. Its component is not kept unless a generation has it that was not
    /// refused, or was active once.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn refuse_candidate(&mut self, candidate: &Generation, act: Act<'_>) -> Result<(), Error> {
        let id = candidate.id;
        self.writing_durably(|transaction| {
                if generation(transaction, id)? != *candidate {
                    return Err(Error::Meanwhile);
                }
                change(transaction, id, GenerationState::Refused, act)?;
                transaction.execute(
                    "DELETE FROM serial_gate_policy
                     WHERE digest = (SELECT digest FROM serial_gate_generation WHERE id = ?1)
                       AND digest NOT IN (
                           SELECT digest FROM serial_gate_generation g WHERE state != 'refused' OR EXISTS (
                               SELECT 1 FROM serial_gate_generation_event e
                               WHERE e.generation = g.id AND e.state = 'active'))",
                    [id],
                )?;
                check_state(transaction, id, GenerationState::Refused)
        })
    }

    /// Writes down that a generation failed in use. When that was `allowed` times since `since` and
    /// it is active, it is refused, and the one before it is active again: its number is returned.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn failed_in_use(
        &mut self,
        failed: &Generation,
        allowed: u32,
        since: Timestamp,
        act: Act<'_>,
    ) -> Result<Option<i64>, Error> {
        self.writing_durably(|transaction| fail(transaction, failed, allowed, since, act))
    }
}

/// The same in the transaction of what the failure was found with.
pub(super) fn fail(
    transaction: &Transaction<'_>,
    failed: &Generation,
    allowed: u32,
    since: Timestamp,
    act: Act<'_>,
) -> Result<Option<i64>, Error> {
    let id = failed.id;
    if !is_kept(transaction, failed)? {
        return Ok(None);
    }
    // A clock that was ahead would have its failures counted for ever.
    transaction.execute(
        "DELETE FROM serial_gate_failure WHERE at <= ?1 OR at > ?2",
        [sql_time(since), latest(act.now, Duration::ZERO)],
    )?;
    transaction.execute(
        "INSERT INTO serial_gate_failure (generation, at, what) VALUES (?1, ?2, ?3)",
        params![id, sql_time(act.now), act.why],
    )?;
    let failures: u32 = transaction.query_row(
        "SELECT count(*) FROM serial_gate_failure WHERE generation = ?1",
        [id],
        |row| row.get(0),
    )?;
    if failures < allowed || active(transaction)? != Some(id) {
        return Ok(None);
    }
    let Some(good) = before(transaction)? else {
        return Ok(None);
    };
    let why = format!("failed {failures} times in use: {}", act.why);
    change(
        transaction,
        id,
        GenerationState::Refused,
        Act { why: &why, ..act },
    )?;
    let why = format!("generation {id} {why}");
    change(
        transaction,
        good,
        GenerationState::Active,
        Act { why: &why, ..act },
    )?;
    let alert = NewAlert {
        kind: AlertKind::Rollback,
        repo: None,
        work_item: None,
        subject: Some(good),
        who: act.who,
        why: &why,
    };
    alerts::add(transaction, act.now, alert)?;
    check_state(transaction, id, GenerationState::Refused)?;
    check_state(transaction, good, GenerationState::Active)?;
    Ok(Some(good))
}

/// The first generation of a queue that has none. True if it was added.
pub(super) fn add_first(
    transaction: &Transaction<'_>,
    first: NewGeneration<'_>,
    act: Act<'_>,
) -> rusqlite::Result<bool> {
    let any = transaction
        .prepare("SELECT 1 FROM serial_gate_generation")?
        .exists([])?;
    if !any {
        add(transaction, first, GenerationState::Active, act)?;
    }
    Ok(!any)
}

fn add(
    transaction: &Transaction<'_>,
    new: NewGeneration<'_>,
    state: GenerationState,
    act: Act<'_>,
) -> rusqlite::Result<i64> {
    let NewGeneration {
        component,
        signature,
        digest,
        name,
        version,
        settings,
        limits,
    } = new;
    transaction.execute(
        // The digest is of these bytes, so others under it were altered.
        "INSERT OR REPLACE INTO serial_gate_policy (digest, component) VALUES (?1, ?2)",
        params![digest, component],
    )?;
    let id = transaction.query_row(
        "INSERT INTO serial_gate_generation (digest, name, version, settings, limits, signature, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
        params![digest, name, version, settings, limits, signature, state.name()],
        |row| row.get(0),
    )?;
    write_down(transaction, id, state, act)?;
    Ok(id)
}

/// Refuses a generation that is not kept as it was added.
fn check_added(
    transaction: &Transaction<'_>,
    id: i64,
    new: NewGeneration<'_>,
) -> Result<(), Error> {
    let effect = Effect {
        what: &format!("generation {id}"),
        table: "serial_gate_generation",
    };
    let query = "SELECT 1 FROM serial_gate_generation AS added JOIN serial_gate_policy AS kept USING (digest)
        WHERE added.id = ?1 AND digest = ?2 AND settings = ?3 AND limits = ?4 AND signature IS ?5 AND component = ?6";
    let values = params![
        id,
        new.digest,
        new.settings,
        new.limits,
        new.signature,
        new.component
    ];
    effect.is_there(transaction, query, values)
}

/// Refuses a change after which a generation, or its history, says otherwise.
fn check_state(
    transaction: &Transaction<'_>,
    id: i64,
    state: GenerationState,
) -> Result<(), Error> {
    let effect = Effect {
        what: &format!("the change of generation {id} to `{}`", state.name()),
        table: "serial_gate_generation",
    };
    let query = "SELECT 1 FROM serial_gate_generation WHERE id = ?1 AND state = ?2 AND ?2 = (
            SELECT state FROM serial_gate_generation_event WHERE generation = ?1 ORDER BY id DESC LIMIT 1)";
    effect.is_there(transaction, query, params![id, state.name()])
}

fn change(
    transaction: &Transaction<'_>,
    id: i64,
    state: GenerationState,
    act: Act<'_>,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE serial_gate_generation SET state = ?2 WHERE id = ?1",
        params![id, state.name()],
    )?;
    write_down(transaction, id, state, act)
}

fn write_down(
    transaction: &Transaction<'_>,
    id: i64,
    state: GenerationState,
    act: Act<'_>,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO serial_gate_generation_event (generation, state, at, who, why)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, state.name(), sql_time(act.now), act.who, act.why],
    )?;
    Ok(())
}
