//! The queue's advice on the command line: the text, and the command on the same database.
//!
//! Leaves the choice of advice to the queue. Callers rely on this: a proposed command can be
//! pasted, except for words in capitals, which the user fills in.

use serial_gate::queue::Advice;

use super::options::Shared;
use super::text::{command, shown};

/// The command for the advice. `None` where no command helps, or where a terminal would not show
/// it exactly.
pub fn command_for(shared: &Shared, advice: &Advice) -> Option<String> {
    let arguments = advice.arguments()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    command(shared, &words)
}

/// An advice in one line: the text, and the command.
pub fn line(shared: Option<&Shared>, advice: &Advice) -> String {
    let words = advice.in_words(&shown);
    match shared.and_then(|shared| command_for(shared, advice)) {
        Some(command) => format!("{words}: {command}"),
        None => words,
    }
}
