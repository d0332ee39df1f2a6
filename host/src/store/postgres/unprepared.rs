//! What is in a database of a server that need not be prepared.
//!
//! Owns the look at which columns it has. Leaves to `records` what is read of them. Callers rely on
//! this: nothing is changed.

use super::catalog;
use super::connection::Open;
use super::engine::Postgres;
use super::error::at;
use super::server::Server;
use super::transaction::{self, Kind};
use super::tx::Session;
use crate::store::records::census::{self, Census};
use crate::store::records::unprepared::{self, Found};
use crate::store::{Error, Location};

const ONE_STATE: Kind = Kind::OneState { budget: None };

/// Looks into a database before it is prepared. The preparation reports what cannot be read.
pub(crate) fn look_into(server: &Server) -> Found {
    let found = |session: &Session<'_>| {
        let columns = catalog::columns(session)?;
        unprepared::found(session, |table, column| {
            Ok(columns.get(table).is_some_and(|of| of.contains_key(column)))
        })
    };
    let looked =
        Open::at(server).and_then(|mut open| transaction::run(&mut open, &ONE_STATE, found));
    looked.unwrap_or_default()
}

impl Postgres {
    /// What is in the tables.
    pub(crate) fn census(&mut self) -> Result<Census, Error> {
        self.read_one_state(census)
    }

    /// What is in the tables of a database that need not be prepared.
    pub(crate) fn census_at(server: &Server) -> Result<Census, Error> {
        let read = || transaction::run(&mut Open::at(server)?, &ONE_STATE, census);
        read().map_err(|error| at(error, &Location::Server(server.clone())))
    }
}

fn census(session: &Session<'_>) -> Result<Census, Error> {
    let relations = catalog::relations(session)?;
    let columns = catalog::columns(session)?;
    census::census(session, |table, column| {
        let is_table = relations
            .get(table)
            .is_some_and(|it| it.kind == catalog::Kind::Table);
        let has = columns.get(table).is_some_and(|of| of.contains_key(column));
        Ok(is_table && has)
    })
}
