//! The records' statements on PostgreSQL.
//!
//! Owns one statement: its text with the schema in it, its values and its rows. Leaves begin and end
//! to `transaction`. Callers rely on this: a statement is one round trip and leaves nothing in the
//! session, which a connection pooler may share among clients; and after a statement that failed,
//! the session knows that its transaction can only be rolled back.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::ToSql;

use super::error::is_out_of_time;
use super::locks::Locks;
use super::places::{Placed, placed};
use super::qualify::qualified;
use super::value::{Cells, Sent};
use crate::clause::Dialect;
use crate::store::Error;
use crate::store::engine::{Row, Tx, Value, values};

/// A connection, while a step runs on it.
pub(crate) struct Session<'a> {
    client: RefCell<&'a mut Client>,
    statements: &'a Statements,
    /// What locks the rows of a query; nothing in a step that only reads, which may lock none.
    locking: &'static str,
    has_failed: Cell<bool>,
}

/// The statements of this process, as they are sent.
pub(crate) struct Statements {
    /// The schema of the shared tables, as an identifier.
    schema: String,
    known: RefCell<HashMap<String, Placed>>,
}

impl Statements {
    pub(crate) fn in_schema(schema: String) -> Statements {
        Statements {
            schema,
            known: RefCell::default(),
        }
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    fn with_text<T>(&self, sql: &str, step: impl FnOnce(&Placed) -> T) -> T {
        if let Some(statement) = self.known.borrow().get(sql) {
            return step(statement);
        }
        let statement = placed(&qualified(sql, &self.schema));
        let done = step(&statement);
        self.known.borrow_mut().insert(sql.into(), statement);
        done
    }
}

impl<'a> Session<'a> {
    /// For a step that may change something.
    pub(crate) fn on(client: &'a mut Client, statements: &'a Statements) -> Session<'a> {
        Session {
            locking: "FOR NO KEY UPDATE",
            ..Session::that_reads(client, statements)
        }
    }

    /// For a step that only reads.
    pub(crate) fn that_reads(client: &'a mut Client, statements: &'a Statements) -> Session<'a> {
        Session {
            client: RefCell::new(client),
            statements,
            locking: "",
            has_failed: Cell::new(false),
        }
    }

    /// Whether a statement has failed, which ends a transaction.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// The schema of the shared tables, quoted.
    pub(crate) fn schema(&self) -> &str {
        &self.statements.schema
    }

    /// The same for people.
    pub(crate) fn schema_name(&self) -> String {
        let inner = self.statements.schema.trim_matches('"');
        inner.replace("\"\"", "\"")
    }

    /// Runs statements without values, whose text names the schema itself.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), Error> {
        let ran = self.client.borrow_mut().batch_execute(sql);
        ran.map_err(|error| self.fail(error))
    }

    /// Begins a part of the transaction, which can be undone although a statement has failed.
    pub(crate) fn begin_part(&self) -> Result<(), Error> {
        self.batch("SAVEPOINT part")
    }

    /// Ends the last part that was begun, and keeps what it did.
    pub(crate) fn keep_part(&self) -> Result<(), Error> {
        self.batch("RELEASE SAVEPOINT part")
    }

    /// Ends the last part that was begun, and undoes what it did.
    pub(crate) fn undo_part(&self) -> Result<(), Error> {
        self.batch("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")?;
        self.has_failed.set(false);
        Ok(())
    }

    /// Runs one statement. Its rows are read before the next one, which their reader may send.
    fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<(Vec<postgres::Row>, u64), Error> {
        // The server would refuse it, and end the transaction.
        let has_nul = |value: &Value<'_>| matches!(value, Value::Text(text) if text.contains(&0));
        if values.iter().any(has_nul) {
            return Err(Error::NotKept);
        }
        let sent: Vec<Sent<'_>> = values.iter().map(|value| Sent(*value)).collect();
        let mut client = self.client.borrow_mut();
        let run = |statement: &Placed| {
            let values = statement.values.iter().filter_map(|place| sent.get(*place));
            let typed = values.map(|value| (value as &(dyn ToSql + Sync), value.type_of()));
            let mut rows = client.query_typed_raw(&statement.sql, typed)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(row);
            }
            let changed = rows.rows_affected().unwrap_or_default();
            Ok((found, changed))
        };
        let ran = self.statements.with_text(sql, run);
        ran.map_err(|error| self.fail(error))
    }

    fn fail(&self, error: postgres::Error) -> Error {
        self.has_failed.set(true);
        error.into()
    }
}

impl Tx for Session<'_> {
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Error> {
        let (_, changed) = self.run(sql, values)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn query(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for row in self.run(sql, values)?.0 {
            let cells = Cells::of(&row).map_err(|error| self.fail(error))?;
            if !each(Row(&cells))? {
                break;
            }
        }
        Ok(())
    }

    fn plan(&self, query: &str) -> Result<Vec<String>, Error> {
        // A server before version 16 has no plan without values, so all of them are NULL.
        let count = (1..)
            .take_while(|n| query.contains(&format!("${n}")))
            .count();
        let tx: &dyn Tx = self;
        let sql = format!("EXPLAIN (COSTS OFF) {query}");
        tx.rows(&sql, &vec![Value::Null; count], |row| row.get(0))
    }

    fn is_out_of_time(&self, error: &Error) -> bool {
        is_out_of_time(error)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn by_index(&self, _: &str) -> String {
        // There is no such pin. `plans` checks which index a statement uses.
        String::new()
    }

    fn then_join(&self) -> &'static str {
        "JOIN"
    }

    fn locking(&self) -> &'static str {
        self.locking
    }

    fn hold_repo(&self, repo: &str) -> Result<(), Error> {
        let locks = Locks::of(self.schema()).write("$1::text");
        self.run(&format!("SELECT {locks}"), values![repo])
            .map(drop)
    }

    fn texts_of(&self, parameter: &str) -> String {
        format!("SELECT json_array_elements_text(CAST({parameter} AS json))")
    }
}
