//! The rows in scope, and what a name means there.
//!
//! Owns aliases and column names. Leaves which tables and columns exist to `contract`, and
//! sub-selects to `select`. Invariant: a name means one row wherever it is in scope, so renaming
//! aliases cannot change what a column means.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Location;

use super::contract::{Column, Table};
use super::refusal::{Refusal, echo};
use super::tree::{Cell, Row};
use super::words;

/// The rows in scope while a clause is lowered, from the outside inward. The job itself is always
/// in scope.
#[derive(Default)]
pub(crate) struct Scopes {
    open: Vec<Scope>,
    reads: Vec<Table>,
}

/// The row of one sub-select.
#[derive(Clone)]
pub(crate) struct Scope {
    /// The alias, or the table's own name, in lower case.
    pub name: String,
    /// The sub-select's number, from 1 in the order of the text.
    pub number: usize,
    pub table: Table,
}

impl Scopes {
    /// The table of each sub-select so far, in the order of the text.
    pub(crate) fn into_reads(self) -> Vec<Table> {
        self.reads
    }

    /// Brings a sub-select's row into scope.
    pub(crate) fn enter(
        &mut self,
        table_name: &Ident,
        alias: Option<&Ident>,
    ) -> Result<Scope, Refusal> {
        let Some(table) = Table::named(&table_name.value.to_ascii_lowercase()) else {
            let what = format!(
                "the table {} is not readable by a policy",
                echo(&table_name.value)
            );
            let remedy = "write `tasks`, `jobs` or `repo_freeze`";
            return Err(Refusal::new("table", what, remedy, table_name.span.start));
        };
        let written = alias.unwrap_or(table_name);
        let name = written.value.to_ascii_lowercase();
        if self.is_taken(&name, table) {
            let what = format!("the name {} already means something else", echo(&name));
            let remedy = "give the sub-select's table an alias of its own";
            return Err(Refusal::new("alias", what, remedy, written.span.start));
        }
        self.reads.push(table);
        let scope = Scope {
            name,
            number: self.reads.len(),
            table,
        };
        self.open.push(scope.clone());
        Ok(scope)
    }

    /// Takes the innermost row out of scope again.
    pub(crate) fn leave(&mut self) {
        self.open.pop();
    }

    fn is_taken(&self, name: &str, table: Table) -> bool {
        let hides_table =
            Table::named(name).is_some_and(|named| named != table || named == Table::Jobs);
        hides_table
            || words::keyword(name).is_some()
            || self.open.iter().any(|scope| scope.name == name)
    }

    /// The column that a path means.
    pub(crate) fn cell(&self, path: &[Ident], at: Location) -> Result<Cell, Refusal> {
        let [row, column] = path else {
            let what = "a name of more than two parts stands";
            return Err(Refusal::new(
                "schema",
                what,
                "write `jobs.agent`, without the schema",
                at,
            ));
        };
        let (row, table) = self.row(row, at)?;
        let name = column.value.to_ascii_lowercase();
        let found = table.columns().iter().find(|column| column.name() == name);
        if let Some(&column) = found {
            return Ok(Cell { row, column });
        }
        let what = format!(
            "the column {} is not readable by a policy",
            echo(&column.value)
        );
        Err(Refusal::new(
            "column",
            what,
            format!("write one of {}", column_names(table)),
            at,
        ))
    }

    fn row(&self, written: &Ident, at: Location) -> Result<(Row, Table), Refusal> {
        let name = written.value.to_ascii_lowercase();
        match self.open.iter().find(|scope| scope.name == name) {
            Some(scope) => Ok((Row::Sub(scope.number), scope.table)),
            None if name == Table::Jobs.name() => Ok((Row::Job, Table::Jobs)),
            None => {
                let what = format!("the row {} is not in scope", echo(&written.value));
                let remedy = "write `jobs`, or the alias of the sub-select around it";
                Err(Refusal::new("scope", what, remedy, at))
            }
        }
    }
}

fn column_names(table: Table) -> String {
    let names: Vec<String> = table
        .columns()
        .iter()
        .copied()
        .map(Column::name)
        .map(echo)
        .collect();
    names.join(", ")
}
