//! Why a row is refused: whether `jobs.status` is the cause, and what helps.
//!
//! Owns the parsing of a CHECK for the columns that it names. Callers rely on this: the status is
//! reported as the cause only if no other column, row or trigger can be.

use rusqlite::{Connection, OptionalExtension, ffi};

use crate::store::Error;
use crate::store::forbidden::{Attempt, Broken};
use crate::store::sqlite::error::reason;
use crate::store::sqlite::migrate::columns;
use crate::store::sqlite::probe::{Trouble, is_of_the_gate, references};

/// Whether the column would refuse the status whatever the rest of the row.
pub(super) fn status_is_why(connection: &Connection, trouble: &Trouble) -> Result<bool, Error> {
    let error = match trouble {
        Trouble::Reference(words) => return Ok(words.contains(STATUS)),
        Trouble::Error(error) => error,
    };
    Ok(match extended_code(error) {
        Some(ffi::SQLITE_CONSTRAINT_CHECK) => match words(error) {
            Some(words) => names_only_the_status(connection, words)?,
            None => false,
        },
        Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
            references::named(connection, "jobs", is_of_the_gate)?.contains(STATUS)
        }
        _ => false,
    })
}

const STATUS: &str = "`jobs.status`";

/// What helps, if the sentence about the attempt has no remedy.
pub(super) fn remedy(what: Attempt, trouble: &Trouble) -> Option<&'static str> {
    let Trouble::Error(error) = trouble else {
        return Broken::Reference.remedy(what);
    };
    broken(error).remedy(what)
}

/// Which kind of rule has refused a row.
fn broken(error: &Error) -> Broken {
    match extended_code(error) {
        Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Broken::Unique,
        Some(ffi::SQLITE_CONSTRAINT_CHECK) => Broken::Check,
        Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Broken::Reference,
        Some(ffi::SQLITE_CONSTRAINT_NOTNULL) => Broken::NotNull,
        Some(ffi::SQLITE_CONSTRAINT_TRIGGER) | None => Broken::Trigger,
        // A trigger calls a missing function, which the error names.
        Some(_) => Broken::Function,
    }
}

fn extended_code(error: &Error) -> Option<i32> {
    match reason(error)? {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.extended_code),
        cause => cause.sqlite_error().map(|error| error.extended_code),
    }
}

fn words(error: &Error) -> Option<&str> {
    match reason(error)? {
        rusqlite::Error::SqliteFailure(_, words) => words.as_deref(),
        _ => None,
    }
}

/// Whether a CHECK of `jobs` reads `status` and no other column. SQLite gives its name, or its text
/// if it has none.
fn names_only_the_status(connection: &Connection, words: &str) -> Result<bool, Error> {
    let Some((_, check)) = words.split_once(": ") else {
        return Ok(false);
    };
    let mut query = connection.prepare_cached(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'jobs' COLLATE NOCASE",
    )?;
    let sql: Option<String> = query.query_row([], |row| row.get(0)).optional()?;
    // It may belong to another table that a trigger writes to.
    let Some(sql) = sql.filter(|sql| sql.contains(check)) else {
        return Ok(false);
    };
    let read = named_check(&tokens(&sql), check).unwrap_or_else(|| tokens(check));
    let reads = |column: &str| {
        read.iter()
            .any(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(column)))
    };
    let all = columns(connection, "jobs")?;
    Ok(reads("status")
        && !all
            .iter()
            .any(|column| !column.name.eq_ignore_ascii_case("status") && reads(&column.name)))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A keyword or a name, without its quotes.
    Word(String),
    Text,
    Mark(char),
}

/// The content of the CHECK with this name.
fn named_check(sql: &[Token], name: &str) -> Option<Vec<Token>> {
    let is = |token: &Token, text: &str| match token {
        Token::Word(word) => word.eq_ignore_ascii_case(text),
        _ => false,
    };
    let begins = |four: &[Token]| {
        matches!(four, [constraint, called, check, Token::Mark('(')]
            if is(constraint, "constraint") && is(called, name) && is(check, "check"))
    };
    let place = sql.windows(4).position(begins)?;
    let mut depth = 1;
    let inside = sql.iter().skip(place + 4).take_while(|token| {
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => depth -= 1,
            _ => {}
        }
        depth > 0
    });
    Some(inside.cloned().collect())
}

fn tokens(sql: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let mut rest = sql.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '-' if rest.peek() == Some(&'-') => {
                rest.by_ref().take_while(|c| *c != '\n').for_each(drop)
            }
            // A doubled quote begins a second text or name, which makes no difference here.
            '\'' => {
                rest.by_ref().take_while(|c| *c != '\'').for_each(drop);
                all.push(Token::Text);
            }
            '"' | '`' | '[' => {
                let end = if first == '[' { ']' } else { first };
                all.push(Token::Word(
                    rest.by_ref().take_while(|c| *c != end).collect(),
                ));
            }
            c if is_of_a_word(c) => {
                let mut word = String::from(c);
                while let Some(next) = rest.next_if(|c| is_of_a_word(*c)) {
                    word.push(next);
                }
                all.push(Token::Word(word));
            }
            c if c.is_whitespace() => {}
            c => all.push(Token::Mark(c)),
        }
    }
    all
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}
