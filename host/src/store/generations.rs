//! Generations: every policy that the queue has had, with its settings, and who changed what when.
//!
//! Owns the states and that at most one generation is active and at most one is a shadow. What the
//! settings and limits mean is left to the queue: here they are text. A component is stored once,
//! however many generations use it. Callers rely on this: a change of states is one transaction,
//! on the disk when the method returns, and its event says who made it and why.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Error, Store, sql_time};

/// Where a generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
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

/// A policy with its settings.
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
    /// Where it stands.
    pub state: GenerationState,
}

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

/// A generation came into a state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
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

/// A component as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredComponent {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its signature, if it has one.
    pub signature: Option<String>,
}

const COLUMNS: &str = "id, digest, name, version, settings, limits, state";

impl Store {
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
        self.doing(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM serial_gate_generation WHERE state = ?1 ORDER BY id DESC LIMIT 1"
            ))?;
            Ok(query
                .query_row([state.name()], Generation::of_row)
                .optional()?)
        })
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
                    at: row.get(2)?,
                    who: row.get(3)?,
                    why: row.get(4)?,
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
    pub fn component(&mut self, digest: &str) -> Result<Option<StoredComponent>, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT component, signature FROM serial_gate_policy WHERE digest = ?1",
            )?;
            let component = query.query_row([digest], |row| {
                Ok(StoredComponent {
                    bytes: row.get(0)?,
                    signature: row.get(1)?,
                })
            });
            Ok(component.optional()?)
        })
    }

    /// Adds a generation as a candidate and returns its number.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn add_candidate(&mut self, new: NewGeneration<'_>, act: Act<'_>) -> Result<i64, Error> {
        self.durably(|store| {
            store.writing(|transaction| Ok(add(transaction, new, GenerationState::Candidate, act)?))
        })
    }

    /// Makes a generation the active one, and retires the one that was.
    ///
    /// # Errors
    ///
    /// When there is no such generation, it is active already, or the database refuses.
    pub fn activate(&mut self, id: i64, act: Act<'_>) -> Result<(), Error> {
        self.take_the_place_in(GenerationState::Active, id, act)
    }

    /// Makes a generation the shadow, and retires the one that was.
    ///
    /// # Errors
    ///
    /// When there is no such generation, it is the shadow or the active one already, or the database
    /// refuses.
    pub fn shadow(&mut self, id: i64, act: Act<'_>) -> Result<(), Error> {
        self.take_the_place_in(GenerationState::Shadow, id, act)
    }

    fn take_the_place_in(
        &mut self,
        place: GenerationState,
        id: i64,
        act: Act<'_>,
    ) -> Result<(), Error> {
        self.durably(|store| {
            store.writing(|transaction| {
                let state = generation(transaction, id)?.state;
                if state == place || state == GenerationState::Active {
                    return Err(Error::AlreadyIn {
                        generation: id,
                        state,
                    });
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
                Ok(change(transaction, id, place, act)?)
            })
        })
    }

    /// Ends the shadow's time. False when there is none.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn stop_shadow(&mut self, act: Act<'_>) -> Result<Option<i64>, Error> {
        self.durably(|store| {
            let Some(shadow) = store.generation_in(GenerationState::Shadow)? else {
                return Ok(None);
            };
            store.writing(|transaction| {
                change(transaction, shadow.id, GenerationState::Retired, act)?;
                Ok(Some(shadow.id))
            })
        })
    }

    /// Refuses a candidate. Its component is not kept unless another generation has it too.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn refuse_candidate(&mut self, id: i64, act: Act<'_>) -> Result<(), Error> {
        self.durably(|store| {
            store.writing(|transaction| {
                change(transaction, id, GenerationState::Refused, act)?;
                transaction.execute(
                    "DELETE FROM serial_gate_policy
                     WHERE digest = (SELECT digest FROM serial_gate_generation WHERE id = ?1)
                       AND digest NOT IN (SELECT digest FROM serial_gate_generation WHERE state != 'refused')",
                    [id],
                )?;
                Ok(())
            })
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

    /// Writes down that the active generation failed in use. When that was `allowed` times since
    /// `since`, it is refused, and the one before it is active again: its number is returned.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub fn failed_in_use(
        &mut self,
        id: i64,
        allowed: u32,
        since: Timestamp,
        act: Act<'_>,
    ) -> Result<Option<i64>, Error> {
        self.durably(|store| {
            store.writing(|transaction| {
                transaction.execute(
                    "INSERT INTO serial_gate_failure (generation, at, what) VALUES (?1, ?2, ?3)",
                    params![id, sql_time(act.now), act.why],
                )?;
                let failures: u32 = transaction.query_row(
                    "SELECT count(*) FROM serial_gate_failure WHERE generation = ?1 AND at > ?2",
                    params![id, sql_time(since)],
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
                Ok(Some(good))
            })
        })
    }
}

impl Generation {
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Generation> {
        Ok(Generation {
            id: row.get(0)?,
            digest: row.get(1)?,
            name: row.get(2)?,
            version: row.get(3)?,
            settings: row.get(4)?,
            limits: row.get(5)?,
            state: row.get(6)?,
        })
    }
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
        "INSERT INTO serial_gate_policy (digest, component, signature) VALUES (?1, ?2, ?3)
         ON CONFLICT (digest) DO UPDATE SET signature = coalesce(excluded.signature, signature)",
        params![digest, component, signature],
    )?;
    transaction.execute(
        "INSERT INTO serial_gate_generation (digest, name, version, settings, limits, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![digest, name, version, settings, limits, state.name()],
    )?;
    let id = transaction.last_insert_rowid();
    write_down(transaction, id, state, act)?;
    Ok(id)
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

fn generation(connection: &Connection, id: i64) -> Result<Generation, Error> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM serial_gate_generation WHERE id = ?1"
    ))?;
    let generation = query.query_row([id], Generation::of_row).optional()?;
    generation.ok_or(Error::NoGeneration { id })
}

fn active(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut query = connection
        .prepare_cached("SELECT id FROM serial_gate_generation WHERE state = 'active'")?;
    query.query_row([], |row| row.get(0)).optional()
}

fn before(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut query = connection.prepare_cached(
        "SELECT e.generation FROM serial_gate_generation_event e
         JOIN serial_gate_generation g ON g.id = e.generation
         WHERE e.state = 'active' AND g.state = 'retired' ORDER BY e.id DESC LIMIT 1",
    )?;
    query.query_row([], |row| row.get(0)).optional()
}

impl FromSql for GenerationState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<GenerationState> {
        let name = value.as_str()?;
        GenerationState::ALL
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or(FromSqlError::InvalidType)
    }
}
