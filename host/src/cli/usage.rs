//! The error text for a wrong command line.
//!
//! Owns the tips that replace clap's, which only compares spellings: they name what a verb has
//! instead of what was tried.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Flags that people try on verbs that do not have them, and what to do instead.
const TIPS: [(&str, &str); 2] = [
    ("--repo", "`serial-gate repo REPO` shows one repo"),
    ("--agent", "here the agent is an argument without a flag"),
];

/// What the address of a database in a server begins with.
pub const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The error with a tip that helps.
pub fn text(mut error: Error) -> String {
    if let Some(tip) = tip(&error) {
        if error.remove(ContextKind::SuggestedArg).is_some() {
            // The usage line contains the suggestion.
            error.remove(ContextKind::Usage);
        }
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
    without_addresses(error.render().ansi().to_string(), std::env::args_os())
}

/// What helps, if that is known.
fn tip(error: &Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let is_of = |verb: &str| {
        let usage = usage.as_deref().unwrap_or_default();
        usage.contains(&format!("serial-gate {verb} "))
    };
    let group = "to end a `freeze --all`: `serial-gate unfreeze --group NUMBER`";
    let tip = match (error.kind(), text(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some("--all")) if is_of("unfreeze") => group,
        (ErrorKind::UnknownArgument, Some(given))
            if is_of("task add") && !given.starts_with('-') =>
        {
            let given = given.escape_debug();
            return Some(format!("the work item has a flag: `--work-item {given}`"));
        }
        (ErrorKind::UnknownArgument, Some(flag)) => {
            TIPS.iter().find(|(tried, _)| *tried == flag)?.1
        }
        (ErrorKind::MissingRequiredArgument, _) if is_of("unfreeze") => group,
        (ErrorKind::MissingRequiredArgument, _) if is_of("freeze") => {
            "`--all` instead of a repo freezes every known repo"
        }
        (ErrorKind::InvalidSubcommand, _)
            if text(ContextKind::InvalidSubcommand) == Some("show") && !is_of("task") =>
        {
            "`serial-gate task show TASK` and `serial-gate job show JOB` show one"
        }
        _ => return None,
    };
    Some(tip.into())
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
