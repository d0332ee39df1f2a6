//! A prepared queue has the indexes that the guard counts on when it calls a clause flat.

use serial_gate::clause::INDEXES;

use crate::support::Gate;
use crate::support::engine::Engine;

/// The indexes of the shared tables: the table, the columns, and what they cover.
fn made(gate: &Gate) -> Vec<(String, Vec<String>, Option<String>)> {
    let sql = match Engine::under_test() {
        Engine::Sqlite => {
            "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''"
        }
        Engine::Postgres => {
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
        }
    };
    let rows = gate.program().rows(sql).into_iter();
    let rows = rows.map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()));
    rows.map(|(table, definition)| {
        let (all, covers) = match definition.split_once(" WHERE ") {
            Some((all, covers)) => (all, Some(plain(covers))),
            None => (definition.as_str(), None),
        };
        let columns = all.split_once('(').unwrap().1;
        let columns = columns.split_once(')').unwrap().0.split(", ");
        (table, columns.map(Into::into).collect(), covers)
    })
    .collect()
}

/// Without what PostgreSQL adds to a condition, and with one sign for "not equal".
fn plain(condition: &str) -> String {
    let condition = condition.replace("::text", "").replace("!=", "<>");
    condition.trim_matches(['(', ')']).to_owned()
}

#[test]
fn a_queue_has_every_index_that_the_guard_counts_on() {
    let gate = Gate::new();
    let made = made(&gate);
    for index in INDEXES {
        let mut columns: Vec<&str> = index.column_names().collect();
        // The primary key.
        if columns == ["id"] {
            continue;
        }
        let is_it = |columns: &[&str]| {
            made.iter().any(|(table, has, covers)| {
                table == index.table().name()
                    && has == columns
                    && covers.as_deref() == index.covers()
            })
        };
        let whole = is_it(&columns);
        // SQLite has the id at the end of each index. A server's index of active freezes is so
        // short that it needs none.
        columns.pop();
        assert!(whole || is_it(&columns), "{index:?}: {made:?}");
    }
}
