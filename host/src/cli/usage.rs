//! The error text for a wrong command line.
//!
//! Owns the tips that replace clap's, which only compares spellings.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error};

/// Flags that people try on verbs that do not have them, and what to do instead.
const TIPS: [(&str, &str); 2] = [
    ("--repo", "`serial-gate repo REPO` shows one repo"),
    ("--agent", "here the agent is an argument without a flag"),
];

/// What the address of a database in a server begins with.
pub const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The error with a tip that helps.
pub fn text(mut error: Error) -> String {
    let tip = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => TIPS.iter().find(|(tried, _)| tried == flag),
        _ => None,
    };
    if let Some((_, tip)) = tip {
        if error.remove(ContextKind::SuggestedArg).is_some() {
            // The usage line contains the suggestion.
            error.remove(ContextKind::Usage);
        }
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(*tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
    without_addresses(error.render().ansi().to_string(), std::env::args_os())
}

/// The text without the address of a database that somebody wrote where none can be: clap repeats
/// what it does not understand, and an address may have a password.
fn without_addresses(text: String, arguments: impl Iterator<Item = OsString>) -> String {
    arguments.fold(text, |text, argument| {
        let argument = argument.to_string_lossy();
        let start = SCHEMES.iter().find_map(|scheme| argument.find(scheme));
        match start.and_then(|start| argument.get(start..)) {
            Some(address) => text.replace(address, "postgres://"),
            None => text,
        }
    })
}
