//! What a server's catalogs say of the queue's schema: its tables, columns, indexes, triggers and
//! functions.
//!
//! Owns the queries on `pg_catalog`. Leaves to `shared`, `rights` and `migrate` what follows from
//! the answers. Callers rely on this: every name is compared as the server does, byte by byte.

use std::collections::BTreeMap;

use super::tx::Session;
use crate::store::Error;
use crate::store::engine::{Tx, values};

/// A table, or something else of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub kind: Kind,
    /// The role that owns it.
    pub owner: String,
    /// Whether this role is its owner, or a member of it.
    pub is_mine: bool,
    /// Whether other tables inherit from it.
    pub has_children: bool,
    /// Whether row-level security hides rows from this role.
    pub hides_rows: bool,
    /// The table of an index.
    pub table: Option<String>,
}

/// What kind of thing has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    Partitioned,
    Foreign,
    View,
    Index,
    Sequence,
    Other,
}

impl Kind {
    fn of(relkind: &str) -> Kind {
        match relkind {
            "r" => Kind::Table,
            "p" => Kind::Partitioned,
            "f" => Kind::Foreign,
            "v" | "m" => Kind::View,
            "i" | "I" => Kind::Index,
            "S" => Kind::Sequence,
            _ => Kind::Other,
        }
    }

    /// For a sentence.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Kind::Table => "a table",
            Kind::Partitioned => "a partitioned table",
            Kind::Foreign => "a foreign table",
            Kind::View => "a view",
            Kind::Index => "an index",
            Kind::Sequence => "a sequence",
            Kind::Other => "a type",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its type, as it is declared.
    pub declared: String,
    /// The type below a domain.
    pub base: String,
    pub is_generated: bool,
    /// Whether no two rows have one value, and every row has one.
    pub is_key: bool,
    /// The collation, if it is not the database's.
    pub collation: Option<String>,
}

/// Every relation of the schema, by its name.
pub(crate) fn relations(session: &Session<'_>) -> Result<BTreeMap<String, Relation>, Error> {
    let tx: &dyn Tx = session;
    let rows = tx.rows(
        "SELECT c.relname, c.relkind, r.rolname, pg_has_role(c.relowner, 'USAGE'),
            EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid),
            c.relkind IN ('r', 'p') AND row_security_active(c.oid),
            (SELECT t.relname FROM pg_catalog.pg_index x
             JOIN pg_catalog.pg_class t ON t.oid = x.indrelid WHERE x.indexrelid = c.oid)
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
         WHERE c.relnamespace = to_regnamespace($1)",
        values![session.schema()],
        |row| {
            let relation = Relation {
                kind: Kind::of(&row.get::<String>(1)?),
                owner: row.get(2)?,
                is_mine: row.get(3)?,
                has_children: row.get(4)?,
                hides_rows: row.get(5)?,
                table: row.get(6)?,
            };
            Ok((row.get(0)?, relation))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// The columns of every table and view of the schema, by the table's name and their own.
pub(crate) fn columns(
    session: &Session<'_>,
) -> Result<BTreeMap<String, BTreeMap<String, Column>>, Error> {
    let tx: &dyn Tx = session;
    let rows = tx.rows(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
            format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),
            a.attgenerated <> '',
            a.attnotnull AND EXISTS (SELECT 1 FROM pg_catalog.pg_index x
                WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate
                    AND x.indnkeyatts = 1 AND x.indkey[0] = a.attnum
                    AND x.indpred IS NULL AND x.indexprs IS NULL),
            l.collname
         FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_catalog.pg_collation l
            ON l.oid = a.attcollation AND l.collname <> 'default'
         WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
            AND a.attnum > 0 AND NOT a.attisdropped",
        values![session.schema()],
        |row| {
            let column = Column {
                declared: row.get(2)?,
                base: row.get(3)?,
                is_generated: row.get(4)?,
                is_key: row.get(5)?,
                collation: row.get(6)?,
            };
            Ok((row.get(0)?, row.get(1)?, column))
        },
    )?;
    let mut columns: BTreeMap<String, BTreeMap<String, Column>> = BTreeMap::new();
    for (table, name, column) in rows {
        columns.entry(table).or_default().insert(name, column);
    }
    Ok(columns)
}

/// Something that was made, and the comment on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub comment: Option<String>,
    /// Whether the server uses it.
    pub is_in_use: bool,
    /// Whether a trigger fires for rows that arrive by replication, too.
    pub is_always: bool,
}

/// The indexes of the gate's names.
pub(crate) fn indexes(session: &Session<'_>) -> Result<BTreeMap<String, Found>, Error> {
    found(
        session,
        "SELECT c.relname, obj_description(c.oid, 'pg_class'), x.indisvalid, FALSE
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
         WHERE c.relnamespace = to_regnamespace($1) AND starts_with(c.relname, 'serial_gate_')",
    )
}

/// The triggers of the gate's names.
pub(crate) fn triggers(session: &Session<'_>) -> Result<BTreeMap<String, Found>, Error> {
    found(
        session,
        "SELECT t.tgname, obj_description(t.oid, 'pg_trigger'), t.tgenabled IN ('O', 'A'),
            t.tgenabled = 'A'
         FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = to_regnamespace($1) AND NOT t.tgisinternal
            AND starts_with(t.tgname, 'serial_gate_')",
    )
}

/// The functions of the gate's names.
pub(crate) fn functions(session: &Session<'_>) -> Result<BTreeMap<String, Found>, Error> {
    found(
        session,
        "SELECT p.proname, obj_description(p.oid, 'pg_proc'), TRUE, FALSE
         FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = to_regnamespace($1) AND starts_with(p.proname, 'serial_gate_')",
    )
}

fn found(session: &Session<'_>, sql: &str) -> Result<BTreeMap<String, Found>, Error> {
    let tx: &dyn Tx = session;
    let rows = tx.rows(sql, values![session.schema()], |row| {
        let found = Found {
            comment: row.get(1)?,
            is_in_use: row.get(2)?,
            is_always: row.get(3)?,
        };
        Ok((row.get(0)?, found))
    })?;
    Ok(rows.into_iter().collect())
}
