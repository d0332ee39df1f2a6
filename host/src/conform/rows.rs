//! A scene as a state: rows with a value in each column.
//!
//! Owns what the columns have that no condition asked about, the jobs that are almost the scene's
//! job, and the rows that only happen to be there. Rows of one table have different ids.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::clause::tree::Literal;
use crate::clause::{Column, Table};

use super::dice::Dice;
use super::near::neighbours;
use super::scene::Draft;
use super::vocabulary::Palette;

/// What a state has besides the scene's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// Nothing.
    None,
    /// Jobs that differ from the scene's job in one column.
    Jobs,
    /// These, and rows of all tables.
    All,
}

/// The columns in which a job's likes differ from it.
const VARIED: [Column; 3] = [Column::Repo, Column::TaskId, Column::Agent];

/// The state with these rows, of which the first is the job.
pub(super) fn state(
    mut rows: Vec<Draft>,
    company: Company,
    palette: &Palette<'_>,
    dice: &mut Dice,
) -> Value {
    for draft in &mut rows {
        fill(draft, palette, dice);
    }
    if company != Company::None
        && let Some(job) = rows.first()
    {
        let likes: Vec<Draft> = VARIED
            .into_iter()
            .flat_map(|column| [(column, true), (column, false)])
            .map(|(column, is_near)| varied(job, column, is_near, palette, dice))
            .collect();
        rows.extend(likes);
    }
    if company == Company::All {
        for table in [Table::Tasks, Table::Tasks, Table::Jobs, Table::RepoFreeze] {
            let mut draft = Draft {
                table,
                cells: Vec::new(),
            };
            fill(&mut draft, palette, dice);
            rows.push(draft);
        }
    }
    let [tasks, jobs, freezes] = [Table::Tasks, Table::Jobs, Table::RepoFreeze].map(|table| {
        let own: Vec<&Draft> = rows.iter().filter(|draft| draft.table == table).collect();
        documents(&own, palette, dice)
    });
    json!({ "tasks": tasks, "jobs": jobs, "freezes": freezes })
}

/// A job that differs from another in one column. Its id is its own.
fn varied(
    job: &Draft,
    column: Column,
    is_near: bool,
    palette: &Palette<'_>,
    dice: &mut Dice,
) -> Draft {
    let own = job.get(column).cloned().unwrap_or(Literal::Null);
    let near = neighbours(&own);
    let value = match dice.one_of(&near) {
        Some(near) if is_near => near.clone(),
        _ => palette.draw((Table::Jobs, column), dice),
    };
    let others = job.cells.iter();
    let others = others.filter(|(other, _)| ![column, Column::Id].contains(other));
    Draft {
        table: Table::Jobs,
        cells: others.cloned().chain([(column, value)]).collect(),
    }
}

/// Gives each column a value, but for the id.
fn fill(draft: &mut Draft, palette: &Palette<'_>, dice: &mut Dice) {
    for &column in draft.table.columns() {
        if column != Column::Id && draft.get(column).is_none() {
            draft
                .cells
                .push((column, palette.draw((draft.table, column), dice)));
        }
    }
}

/// The rows of a table. A second row with an id that was asked for is left out.
fn documents(rows: &[&Draft], palette: &Palette<'_>, dice: &mut Dice) -> Vec<Value> {
    let asked = rows.iter().filter_map(|row| row.get(Column::Id));
    let mut taken: BTreeSet<i64> = asked.filter_map(number).collect();
    let mut seen = BTreeSet::new();
    let mut next = 1;
    let mut documents = Vec::new();
    for row in rows {
        let id = match row.get(Column::Id).and_then(number) {
            Some(id) if seen.contains(&id) => continue,
            Some(id) => id,
            None => match number(&palette.draw((row.table, Column::Id), dice)) {
                Some(drawn) if !taken.contains(&drawn) => drawn,
                _ => {
                    while taken.contains(&next) {
                        next += 1;
                    }
                    next
                }
            },
        };
        taken.insert(id);
        seen.insert(id);
        let cells = row.cells.iter().filter(|(column, _)| *column != Column::Id);
        let cells = cells.map(|(column, value)| (column.name().to_owned(), document(value)));
        let id = [("id".to_owned(), json!(id))];
        documents.push(Value::Object(cells.chain(id).collect::<Map<_, _>>()));
    }
    documents
}

fn number(literal: &Literal) -> Option<i64> {
    match literal {
        Literal::Integer(number) => Some(*number),
        Literal::Null | Literal::Text(_) => None,
    }
}

fn document(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Integer(number) => json!(number),
        Literal::Text(text) => json!(text),
    }
}
