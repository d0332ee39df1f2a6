//! Generations: every policy that the queue has had, with its settings, and what became of it.
//!
//! Owns the rows as they are read. How they change is left to `succession`, and what the settings
//! and limits mean to the queue: here they are text.

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use super::value::Shown;
use super::{Error, Store};

/// Where a generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GenerationState {
    /// It is being checked, or its check was cut short.
    Candidate,
    /// It decides beside the active one, and nothing goes by it.
    Shadow,
    /// Claims go by it.
    Active,
    /// It was active, or a shadow.
    Retired,
    /// Its check found a reason against it, or it failed in use.
    Refused,
}

impl GenerationState {
    const ALL: [GenerationState; 5] = [
        GenerationState::Candidate,
        GenerationState::Shadow,
        GenerationState::Active,
        GenerationState::Retired,
        GenerationState::Refused,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            GenerationState::Candidate => "candidate",
            GenerationState::Shadow => "shadow",
            GenerationState::Active => "active",
            GenerationState::Retired => "retired",
            GenerationState::Refused => "refused",
        }
    }
}

/// A policy with its settings. Its number alone does not say which it is: in a database that was
/// put in this one's place, such as a backup, another generation may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1.
    pub id: i64,
    /// The SHA-256 of the component.
    pub digest: String,
    /// The policy's name, in its own words.
    pub name: String,
    /// The policy's version, in its own words.
    pub version: String,
    /// The settings, as JSON.
    pub settings: String,
    /// What the policy may use, as JSON.
    pub limits: String,
    /// The component's signature, if it has one.
    pub signature: Option<String>,
    /// Where it stands.
    pub state: GenerationState,
}

/// A generation came into a state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct GenerationEvent {
    /// The generation.
    pub generation: i64,
    /// The state.
    pub state: GenerationState,
    /// When, UTC.
    pub at: String,
    /// Who brought it there.
    pub who: String,
    /// Why.
    pub why: String,
}

const COLUMNS: &str = "id, digest, name, version, settings, limits, signature, state";

impl Store {
    /// How many failures of a generation count towards its rollback.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn failures(&mut self, generation: i64) -> Result<i64, Error> {
        self.doing(|connection| {
            let sql = "SELECT count(*) FROM serial_gate_failure WHERE generation = ?1";
            Ok(connection
                .prepare_cached(sql)?
                .query_row([generation], |row| row.get(0))?)
        })
    }

    /// The number of the active generation, if there is one. A cheap read.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn active_generation_id(&mut self) -> Result<Option<i64>, Error> {
        self.doing(|connection| Ok(active(connection)?))
    }

    /// The generation in a state that only one can have: the active one, or the shadow.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn generation_in(&mut self, state: GenerationState) -> Result<Option<Generation>, Error> {
        self.doing(|connection| Ok(in_state(connection, state)?))
    }

    /// A generation by its number.
    ///
    /// # Errors
    ///
    /// When there is none, or the database cannot be read.
    pub fn generation(&mut self, id: i64) -> Result<Generation, Error> {
        self.doing(|connection| generation(connection, id))
    }

    /// Every generation, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn generations(&mut self) -> Result<Vec<Generation>, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM serial_gate_generation ORDER BY id DESC"
            ))?;
            let generations = query.query_map([], Generation::of_row)?;
            Ok(generations.collect::<Result<_, _>>()?)
        })
    }

    /// What became of a generation, or of all, the newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn generation_events(&mut self, of: Option<i64>) -> Result<Vec<GenerationEvent>, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT generation, state, at, who, why FROM serial_gate_generation_event
                 WHERE ?1 IS NULL OR generation = ?1 ORDER BY id DESC",
            )?;
            let events = query.query_map([of], |row| {
                Ok(GenerationEvent {
                    generation: row.get(0)?,
                    state: row.get(1)?,
                    at: text(row, 2)?,
                    who: text(row, 3)?,
                    why: text(row, 4)?,
                })
            })?;
            Ok(events.collect::<Result<_, _>>()?)
        })
    }

    /// A component by its digest; none when it is not kept, because it was refused.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn component(&mut self, digest: &str) -> Result<Option<Vec<u8>>, Error> {
        self.doing(|connection| {
            let mut query = connection
                .prepare_cached("SELECT component FROM serial_gate_policy WHERE digest = ?1")?;
            // A text is no component either, which is for the digest to say.
            let component = query.query_row([digest], |row| {
                Ok(row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec())
            });
            Ok(component.optional()?)
        })
    }

    /// The generation that was active before the active one and was not refused since; none if
    /// there was none.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn generation_before(&mut self) -> Result<Option<i64>, Error> {
        self.doing(|connection| Ok(before(connection)?))
    }
}

impl Generation {
    /// Whether it is the same policy with the same settings under the same number, whatever their
    /// states.
    pub fn is_the_same(&self, other: &Generation) -> bool {
        let Generation {
            id,
            digest,
            name,
            version,
            settings,
            limits,
            signature,
            state: _,
        } = self;
        (*id, digest, name, version) == (other.id, &other.digest, &other.name, &other.version)
            && (settings, limits, signature) == (&other.settings, &other.limits, &other.signature)
    }

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Generation> {
        Ok(Generation {
            id: row.get(0)?,
            digest: text(row, 1)?,
            name: text(row, 2)?,
            version: text(row, 3)?,
            settings: text(row, 4)?,
            limits: text(row, 5)?,
            signature: row.get::<_, Shown>(6)?.0,
            state: row.get(7)?,
        })
    }
}

/// A text that this project wrote, unless somebody else did: what is no text is shown as one.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(row.get::<_, Shown>(column)?.0.unwrap_or_default())
}

pub(super) fn generation(connection: &Connection, id: i64) -> Result<Generation, Error> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM serial_gate_generation WHERE id = ?1"
    ))?;
    let generation = query.query_row([id], Generation::of_row).optional()?;
    generation.ok_or(Error::NoGeneration { id })
}

pub(super) fn in_state(
    connection: &Connection,
    state: GenerationState,
) -> rusqlite::Result<Option<Generation>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM serial_gate_generation WHERE state = ?1 ORDER BY id DESC LIMIT 1"
    ))?;
    query
        .query_row([state.name()], Generation::of_row)
        .optional()
}

/// Whether its number is still that generation's, whatever state it is in.
pub(super) fn is_kept(connection: &Connection, known: &Generation) -> rusqlite::Result<bool> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM serial_gate_generation WHERE id = ?1"
    ))?;
    let kept = query.query_row([known.id], Generation::of_row).optional()?;
    Ok(kept.is_some_and(|kept| kept.is_the_same(known)))
}

pub(super) fn active(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut query = connection.prepare_cached(
        "SELECT id FROM serial_gate_generation WHERE state = 'active' ORDER BY id DESC LIMIT 1",
    )?;
    query.query_row([], |row| row.get(0)).optional()
}

/// What was active before the active generation first was. One that somebody went back from is left
/// out: to go back once more is to go further back.
pub(super) fn before(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut query = connection.prepare_cached(
        "SELECT e.generation, g.state = 'retired' FROM serial_gate_generation_event e
         JOIN serial_gate_generation g ON g.id = e.generation
         WHERE e.state = 'active' ORDER BY e.id",
    )?;
    let activations: Vec<(i64, bool)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut line: Vec<(i64, bool)> = Vec::new();
    for activation in activations {
        match line.iter().position(|earlier| *earlier == activation) {
            Some(place) => line.truncate(place + 1),
            None => line.push(activation),
        }
    }
    let before_it = line.iter().rev().skip(1);
    Ok(before_it
        .filter(|(_, retired)| *retired)
        .map(|(id, _)| *id)
        .next())
}

impl FromSql for GenerationState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<GenerationState> {
        let named = |state: &GenerationState| value.as_str().ok() == Some(state.name());
        let known = GenerationState::ALL.into_iter().find(named);
        // No claim goes by a state that is none.
        Ok(known.unwrap_or(GenerationState::Refused))
    }
}
