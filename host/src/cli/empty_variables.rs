//! A variable that is set to nothing counts as not set: a service manager and a shell script have no other way to leave one out.
//!
//! Owns this rule for every option that has a variable. What reads a variable without an option uses [`variable`].

use std::ffi::{OsStr, OsString};

use clap::Command;
use clap::builder::Resettable;

/// A variable of the environment; none if it is empty.
pub fn variable(name: impl AsRef<OsStr>) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A command line that does not know of the variables that are empty.
pub fn left_out(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let is_empty = arg.get_env().is_some_and(|name| variable(name).is_none());
        if is_empty {
            arg.env(Resettable::Reset)
        } else {
            arg
        }
    });
    command.mut_subcommands(left_out)
}
