//! An advice on the command line: the words, and the command on the same database.
//!
//! Owns no advice and no verb: both are the queue's. Callers rely on this: a command that is
//! proposed can be pasted, or has its place to fill in in capitals.

use serial_gate::queue::Advice;

use super::options::Shared;
use super::text::{command, shown};

/// The command that does it; none if it takes none, or it would hold what a terminal does not show
/// as it is.
pub fn command_for(shared: &Shared, advice: &Advice) -> Option<String> {
    let arguments = advice.arguments()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    command(shared, &words)
}

/// An advice in a line: what, and the command.
pub fn line(shared: Option<&Shared>, advice: &Advice) -> String {
    let words = advice.in_words(&shown);
    match shared.and_then(|shared| command_for(shared, advice)) {
        Some(command) => format!("{words}: {command}"),
        None => words,
    }
}
