//! Generations: every policy that the queue has had, with its settings and its history.
//!
//! Owns the rows as they are read. Leaves their changes to `succession`, and the meaning of
//! settings and limits to the queue: here they are text.

use crate::store::engine::{FromValue, Row, Tx, Value, values};
use crate::store::{Error, Store};

/// The state of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GenerationState {
    /// It is being checked, or its check was interrupted.
    Candidate,
    /// It decides in the background, and no claim uses it.
    Shadow,
    /// Claims use it.
    Active,
    /// It was active, or a shadow.
    Retired,
    /// Its check failed, or it failed in use.
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

/// A policy with its settings. Its number alone does not identify it: in a restored backup another
/// generation may have the number.
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
    /// Its state.
    pub state: GenerationState,
}

/// A generation changed its state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct GenerationEvent {
    /// The generation.
    pub generation: i64,
    /// The state.
    pub state: GenerationState,
    /// When, UTC.
    #[serde(serialize_with = "crate::store::rfc3339")]
    #[schema(format = DateTime)]
    pub at: String,
    /// Who changed it.
    pub who: String,
    /// Why.
    pub why: String,
}

const COLUMNS: &str = "id, digest, name, version, settings, limits, signature, state";

impl Store {
    /// How many failures of a generation count towards its rollback.
    pub fn failures(&mut self, generation: i64) -> Result<i64, Error> {
        self.read(|tx| {
            let sql = "SELECT count(*) FROM serial_gate_failure WHERE generation = $1";
            tx.only(sql, values![generation], |row| row.get(0))
        })
    }

    /// The number of the active generation, if there is one. A cheap read.
    pub fn active_generation_id(&mut self) -> Result<Option<i64>, Error> {
        self.read(|tx| active(tx))
    }

    /// The generation in a state that only one can have: the active one, or the shadow.
    pub fn generation_in(&mut self, state: GenerationState) -> Result<Option<Generation>, Error> {
        self.read_fast(|tx| in_state(tx, state))
    }

    /// A generation by its number.
    ///
    /// # Errors
    ///
    /// When there is no such generation.
    pub fn generation(&mut self, id: i64) -> Result<Generation, Error> {
        self.read(|tx| generation(tx, id))
    }

    /// Every generation, the newest first.
    pub fn generations(&mut self) -> Result<Vec<Generation>, Error> {
        self.read(|tx| {
            tx.rows(
                &format!("SELECT {COLUMNS} FROM serial_gate_generation ORDER BY id DESC"),
                &[],
                Generation::of_row,
            )
        })
    }

    /// The history of a generation, or of all, the newest first.
    pub fn generation_events(&mut self, of: Option<i64>) -> Result<Vec<GenerationEvent>, Error> {
        self.read(|tx| {
            tx.rows(
                "SELECT generation, state, at, who, why FROM serial_gate_generation_event
                 WHERE CAST($1 AS BIGINT) IS NULL OR generation = $1 ORDER BY id DESC",
                values![of],
                |row| {
                    Ok(GenerationEvent {
                        generation: row.get(0)?,
                        state: row.get(1)?,
                        at: text(row, 2)?,
                        who: text(row, 3)?,
                        why: text(row, 4)?,
                    })
                },
            )
        })
    }

    /// A component by its digest; none if it was refused and not kept.
    pub fn component(&mut self, digest: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read(|tx| {
            // The digest shows whether it is the component.
            tx.row(
                "SELECT component FROM serial_gate_policy WHERE digest = $1",
                values![digest],
                |row| row.bytes(0),
            )
        })
    }

    /// The generation that was active before the active one and was not refused since.
    pub fn generation_before(&mut self) -> Result<Option<i64>, Error> {
        self.read(|tx| before(tx))
    }
}

impl Generation {
    /// Whether it is the same policy with the same settings and number, in whatever state.
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

    fn of_row(row: Row<'_>) -> Result<Generation, Error> {
        Ok(Generation {
            id: row.get(0)?,
            digest: text(row, 1)?,
            name: text(row, 2)?,
            version: text(row, 3)?,
            settings: text(row, 4)?,
            limits: text(row, 5)?,
            signature: row.shown(6)?,
            state: row.get(7)?,
        })
    }
}

/// A text. Any other value, by another program, is shown as text.
fn text(row: Row<'_>, column: usize) -> Result<String, Error> {
    Ok(row.shown(column)?.unwrap_or_default())
}

pub(crate) fn generation(tx: &dyn Tx, id: i64) -> Result<Generation, Error> {
    let generation = tx.row(
        &format!("SELECT {COLUMNS} FROM serial_gate_generation WHERE id = $1"),
        values![id],
        Generation::of_row,
    )?;
    generation.ok_or(Error::NoGeneration { id })
}

pub(crate) fn in_state(tx: &dyn Tx, state: GenerationState) -> Result<Option<Generation>, Error> {
    tx.row(
        &format!(
            "SELECT {COLUMNS} FROM serial_gate_generation WHERE state = $1 ORDER BY id DESC
             LIMIT 1"
        ),
        values![state.name()],
        Generation::of_row,
    )
}

/// Whether its number is still that generation's, whatever state it is in.
pub(crate) fn is_kept(tx: &dyn Tx, known: &Generation) -> Result<bool, Error> {
    let kept = tx.row(
        &format!("SELECT {COLUMNS} FROM serial_gate_generation WHERE id = $1"),
        values![known.id],
        Generation::of_row,
    )?;
    Ok(kept.is_some_and(|kept| kept.is_the_same(known)))
}

pub(crate) fn active(tx: &dyn Tx) -> Result<Option<i64>, Error> {
    tx.row(
        "SELECT id FROM serial_gate_generation WHERE state = 'active' ORDER BY id DESC LIMIT 1",
        &[],
        |row| row.get(0),
    )
}

/// What was active before the active generation first was. A generation that was rolled back is
/// left out, so a second rollback goes further back.
pub(crate) fn before(tx: &dyn Tx) -> Result<Option<i64>, Error> {
    let activations: Vec<(i64, bool)> = tx.rows(
        "SELECT e.generation, g.state = 'retired' FROM serial_gate_generation_event e
         JOIN serial_gate_generation g ON g.id = e.generation
         WHERE e.state = 'active' ORDER BY e.id",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
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

impl FromValue for GenerationState {
    fn from_value(value: Value<'_>) -> Option<GenerationState> {
        let name = String::from_value(value)?;
        let known = GenerationState::ALL
            .into_iter()
            .find(|known| known.name() == name);
        // No claim uses a generation in a state that this version does not know.
        Some(known.unwrap_or(GenerationState::Refused))
    }
}
