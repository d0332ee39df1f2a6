//! A small, imagined queue: what a clause decides about one job in a given state of its repo.
//!
//! Owns a database in memory with the contract's tables and one job. It evaluates the clause that
//! claims really use, from whichever policy or fallback, and does not read the real queue. Callers
//! rely on this: a clause gives the same answer here as for the same state in the queue, because
//! SQLite evaluates the same text.

use rusqlite::{Connection, params};

use crate::clause::{Column, Kind, Rendered, Table};
use crate::store::Error;
use crate::store::job::IS_QUEUED;

/// A queued job, and the state of its repo.
#[derive(Debug, Clone, Copy)]
pub struct Supposed<'a> {
    /// The repo.
    pub repo: &'a str,
    /// Whose job it is.
    pub agent: &'a str,
    /// The label of its task.
    pub label: Option<&'a str>,
    /// Whether the repo has an active freeze.
    pub frozen: bool,
    /// The stage of an earlier task of the repo; none if there is no such task.
    pub earlier: Option<&'a str>,
}

/// A clause that can be asked about supposed jobs.
pub struct Probe {
    connection: Connection,
    question: String,
}

impl Probe {
    /// A probe of this clause.
    ///
    /// # Errors
    ///
    /// When SQLite has no memory for it.
    pub fn of(clause: &Rendered) -> Result<Probe, Error> {
        let connection = Connection::open_in_memory()?;
        for table in Table::ALL {
            let columns: Vec<String> = table.columns().iter().map(declared).collect();
            let columns = columns.join(", ");
            connection.execute_batch(&format!("CREATE TABLE {} ({columns})", table.name()))?;
        }
        Ok(Probe {
            connection,
            question: format!("SELECT 1 FROM jobs WHERE {IS_QUEUED} AND {clause}"),
        })
    }

    /// Whether the clause lets the job through.
    ///
    /// # Errors
    ///
    /// When SQLite refuses the clause.
    pub fn lets_through(&self, supposed: Supposed<'_>) -> Result<bool, Error> {
        let Supposed {
            repo,
            agent,
            label,
            frozen,
            earlier,
        } = supposed;
        let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
            self.connection
                .prepare_cached(sql)?
                .execute(values)
                .map(drop)
        };
        for table in Table::ALL {
            run(&format!("DELETE FROM {}", table.name()), &[])?;
        }
        if let Some(stage) = earlier {
            run(
                "INSERT INTO tasks (id, repo, stage) VALUES (1, ?1, ?2)",
                params![repo, stage],
            )?;
        }
        run(
            "INSERT INTO tasks (id, repo, stage, gate_label) VALUES (2, ?1, 'analysis', ?2)",
            params![repo, label],
        )?;
        run(
            "INSERT INTO jobs (id, task_id, repo, agent, status) VALUES (1, 2, ?1, ?2, 'queued')",
            params![repo, agent],
        )?;
        if frozen {
            run(
                "INSERT INTO repo_freeze (id, repo, frozen_at)
                 VALUES (1, ?1, '2000-01-01 00:00:00')",
                params![repo],
            )?;
        }
        Ok(self.connection.prepare_cached(&self.question)?.exists([])?)
    }
}

/// A column as the tables of a queue have it.
fn declared(column: &Column) -> String {
    let kind = match (column, column.kind()) {
        (Column::Id, _) => "INTEGER PRIMARY KEY",
        (_, Kind::Integer) => "INTEGER",
        (_, Kind::Text) => "TEXT",
    };
    format!("{} {kind}", column.name())
}
