//! What the gate needs of a server and of its role, before anything is added.
//!
//! Owns the refusals, each with what is missing. Leaves the tables to `shared`. Callers rely on
//! this: it is asked within the transaction that adds, so that nothing has changed when it refuses.

use std::collections::BTreeMap;

use super::catalog::Relation;
use super::shared::problem;
use super::tx::Session;
use crate::store::Error;
use crate::store::engine::{Tx, values};

/// The first version with `CREATE OR REPLACE TRIGGER`.
const OLDEST: i64 = 140_000;

/// Refuses a server or a schema in which the gate cannot work.
pub(crate) fn check(session: &Session<'_>) -> Result<(), Error> {
    let tx: &dyn Tx = session;
    let (version, shown, encoding): (i64, String, String) = tx.only(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
            current_setting('server_encoding')",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if version < OLDEST {
        return Err(problem(format!(
            "its server is PostgreSQL {shown}, and the gate needs {} or later",
            OLDEST / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(problem(format!(
            "its encoding is `{encoding}`, and the gate needs `UTF8`: use another database of this \
             server"
        )));
    }
    let (is_standby, is_read_only): (bool, bool) = tx.only(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if is_standby {
        return Err(problem(
            "it is on a standby, which cannot be written: name the primary".into(),
        ));
    }
    if is_read_only {
        return Err(problem(
            "its transactions are read-only: set `default_transaction_read_only` to `off` for this \
             role"
                .into(),
        ));
    }
    check_schema(session)
}

fn check_schema(session: &Session<'_>) -> Result<(), Error> {
    let tx: &dyn Tx = session;
    let rights = tx.row(
        "SELECT current_user::text, has_schema_privilege(oid, 'USAGE'),
            has_schema_privilege(oid, 'CREATE')
         FROM pg_catalog.pg_namespace WHERE oid = to_regnamespace($1)",
        values![session.schema()],
        |row| Ok((row.get::<String>(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let schema = session.schema_name();
    match rights {
        None => Err(problem(format!(
            "it has no schema `{schema}`: create it, or name another one"
        ))),
        Some((role, false, _)) => Err(problem(format!(
            "the role `{role}` may not use the schema `{schema}`: grant it `USAGE` and `CREATE`"
        ))),
        Some((role, true, false)) => Err(problem(format!(
            "the role `{role}` may make nothing in the schema `{schema}`: grant it `CREATE`"
        ))),
        Some((_, true, true)) => Ok(()),
    }
}

/// Refuses an addition to tables that this role does not own: only an owner may add columns and
/// indexes.
pub(crate) fn check_owner<'a>(
    session: &Session<'_>,
    relations: &BTreeMap<String, Relation>,
    tables: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for table in tables {
        match relations.get(table) {
            Some(relation) if !relation.is_mine => {
                others.entry(&relation.owner).or_default().push(table);
            }
            _ => {}
        }
    }
    let Some((owner, tables)) = others.into_iter().next() else {
        return Ok(());
    };
    let tx: &dyn Tx = session;
    let role: String = tx.only("SELECT current_user::text", &[], |row| row.get(0))?;
    let listed: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
    let (are, them) = match tables.len() {
        1 => ("belongs", "it"),
        _ => ("belong", "them"),
    };
    Err(problem(format!(
        "{} {are} to the role `{owner}`, and `{role}` has to add columns, indexes and triggers to \
         {them}: prepare the database as `{owner}`, or make `{role}` a member of it",
        listed.join(", ")
    )))
}
