//! What the gate has made in a schema, and whether it is as this version makes it.
//!
//! Owns the mark of an index, a trigger or a function: a comment with the digest of the statement
//! that made it, because the server keeps a statement only as it reads it. The digest covers the
//! schema's name, which is part of every function. Leaves the making to `migrate`. Callers rely on
//! this: a disabled trigger and an index that could not be completed count as missing.

use sha2::{Digest, Sha256};

use super::catalog::{self, Found};
use super::functions;
use super::schema::{INDEXES, UNIQUE, create_index};
use super::triggers;
use super::tx::Session;
use crate::printable::hex;
use crate::store::Error;

/// Something that the gate makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub kind: Kind,
    pub name: String,
    /// The table of an index or a trigger; empty for a function.
    pub table: &'static str,
    pub create: String,
}

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    Function,
    Trigger,
}

/// Who made an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// This version.
    Here,
    /// Another version, or another program.
    Elsewhere,
    /// It is missing, or the server does not use it.
    Nowhere,
}

/// Every object, in the order in which they are made.
pub(crate) fn all(schema: &str) -> Vec<Object> {
    let indexes = |unique: &'static str, indexes: &'static [super::schema::Index]| {
        let schema = schema.to_owned();
        indexes.iter().map(move |index| Object {
            kind: Kind::Index,
            name: index.0.into(),
            table: index.1,
            create: create_index(&schema, unique, index),
        })
    };
    let functions = functions::without_clause(schema).into_iter();
    let functions = functions
        .chain(triggers::functions(schema))
        .map(|create| Object {
            kind: Kind::Function,
            name: name_of(&create, schema),
            table: "",
            create,
        });
    let triggers = triggers::all(schema).into_iter().map(|trigger| Object {
        kind: Kind::Trigger,
        name: trigger.name,
        table: trigger.table,
        create: trigger.create,
    });
    indexes("", &INDEXES)
        .chain(indexes("UNIQUE", &UNIQUE))
        .chain(functions)
        .chain(triggers)
        .collect()
}

/// The name in the statement that makes a function.
fn name_of(create: &str, schema: &str) -> String {
    let after = create.split_once(&format!("FUNCTION {schema}."));
    let name = after.and_then(|(_, rest)| rest.split_once('('));
    name.map_or_else(String::new, |(name, _)| name.into())
}

/// The objects that are missing, or not as this version makes them.
pub(crate) fn not_as_made(session: &Session<'_>) -> Result<Vec<(Object, Made)>, Error> {
    let indexes = catalog::indexes(session)?;
    let functions = catalog::functions(session)?;
    let triggers = catalog::triggers(session)?;
    let objects = all(session.schema()).into_iter().map(|object| {
        let found = match object.kind {
            Kind::Index => &indexes,
            Kind::Function => &functions,
            Kind::Trigger => &triggers,
        };
        let made = object.made(found.get(&object.name));
        (object, made)
    });
    Ok(objects.filter(|(_, made)| *made != Made::Here).collect())
}

impl Object {
    fn made(&self, found: Option<&Found>) -> Made {
        match found {
            None => Made::Nowhere,
            Some(found) if found.comment.as_deref() != Some(&self.mark()) => Made::Elsewhere,
            Some(found) if !found.is_in_use || found.is_always != self.is_always() => Made::Nowhere,
            Some(_) => Made::Here,
        }
    }

    /// Whether it is a trigger that fires for rows that arrive by replication, too.
    fn is_always(&self) -> bool {
        self.create.contains("ENABLE ALWAYS TRIGGER")
    }

    fn mark(&self) -> String {
        let digest = hex(&Sha256::digest(&self.create));
        format!("serial gate: {}", digest.get(..16).unwrap_or_default())
    }

    /// The statements that make it, whatever is there of this name.
    pub(crate) fn make(&self, schema: &str) -> String {
        let Object {
            name,
            table,
            create,
            ..
        } = self;
        let mark = self.mark();
        match self.kind {
            Kind::Index => format!(
                "DROP INDEX IF EXISTS {schema}.{name}; {create}
                 COMMENT ON INDEX {schema}.{name} IS '{mark}';"
            ),
            Kind::Trigger => format!(
                "DROP TRIGGER IF EXISTS {name} ON {schema}.{table}; {create}
                 COMMENT ON TRIGGER {name} ON {schema}.{table} IS '{mark}';"
            ),
            // The function of a trigger never changes its parameters, and triggers need it.
            Kind::Function if create.contains("RETURNS trigger") => {
                format!("{create} COMMENT ON FUNCTION {schema}.{name} IS '{mark}';")
            }
            Kind::Function => format!(
                "DROP ROUTINE IF EXISTS {schema}.{name};
                 {create} COMMENT ON FUNCTION {schema}.{name} IS '{mark}';"
            ),
        }
    }
}
