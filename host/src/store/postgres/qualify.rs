//! The schema in a statement: `jobs` becomes `"queue".jobs`.
//!
//! Owns which words of a statement are the gate's tables: those after `FROM`, `JOIN`, `INTO` or
//! `UPDATE`. Leaves the names to `schema`. Callers rely on this: a statement does not depend on a
//! session's `search_path`, which a connection pooler may share among clients, and in which another
//! program may have put a table of the same name first.

use crate::clause::Table;

/// Every table of the gate's own has this prefix.
const OWN: &str = "serial_gate_";

/// Whether a table is the gate's own, or shared with the orchestrator.
fn is_ours(name: &str) -> bool {
    name.starts_with(OWN) || Table::ALL.iter().any(|table| table.name() == name)
}

/// The words before the name of a table.
const BEFORE: [&str; 4] = ["FROM", "JOIN", "INTO", "UPDATE"];

/// The statement with the schema before each of the gate's tables. `schema` is quoted already.
pub(crate) fn qualified(sql: &str, schema: &str) -> String {
    let mut qualified = String::with_capacity(sql.len() + 64);
    let (mut rest, mut is_after) = (sql, false);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => quoted(rest, '\''),
            '"' => quoted(rest, '"'),
            _ if is_of_a_word(first) => rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        let name = token.trim_matches('"');
        // A schema may be called like a table.
        if is_after && is_ours(name) && !after.starts_with('.') {
            qualified.push_str(schema);
            qualified.push('.');
        }
        qualified.push_str(token);
        if !first.is_whitespace() {
            is_after = BEFORE.contains(&token);
        }
        rest = after;
    }
    qualified
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// The length of a quoted text. A doubled quote in it ends one text and begins the next.
fn quoted(text: &str, quote: char) -> usize {
    let mut places = text.char_indices().skip(1);
    let end = places.find(|(_, c)| *c == quote);
    end.map_or(text.len(), |(place, _)| place + 1)
}

/// A name as an identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_s_tables_get_the_schema_and_nothing_else_does() {
        let cases = [
            (
                "SELECT 1 FROM jobs WHERE jobs.id = $1",
                "SELECT 1 FROM q.jobs WHERE jobs.id = $1",
            ),
            (
                "UPDATE jobs SET status = 'FROM jobs'",
                "UPDATE q.jobs SET status = 'FROM jobs'",
            ),
            (
                "INSERT INTO serial_gate_audit (at) SELECT at FROM found",
                "INSERT INTO q.serial_gate_audit (at) SELECT at FROM found",
            ),
            (
                "EXISTS (SELECT 1 FROM \"tasks\" AS \"g1\")",
                "EXISTS (SELECT 1 FROM q.\"tasks\" AS \"g1\")",
            ),
            (
                "SELECT 1 FROM \"serial_gate_b\".serial_gate_claim_1($1), jobs.x",
                "SELECT 1 FROM \"serial_gate_b\".serial_gate_claim_1($1), jobs.x",
            ),
            (
                "SELECT 'it''s' FROM\n jobs j",
                "SELECT 'it''s' FROM\n q.jobs j",
            ),
        ];
        for (sql, expected) in cases {
            assert_eq!(qualified(sql, "q"), expected);
        }
    }
}
