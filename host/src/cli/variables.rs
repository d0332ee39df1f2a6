//! How the options read their variables, and what an empty one means.
//!
//! Owns two rules for every option that has a variable: an empty variable counts as not set,
//! because a service manager and a shell script have no other way to leave one out; and the help
//! does not show its value. Code that reads a variable without an option uses [`variable`].

use std::ffi::{OsStr, OsString};

use clap::Command;
use clap::builder::Resettable;

/// A variable of the environment, if it is set and not empty.
pub fn variable(name: impl AsRef<OsStr>) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A command line with these rules.
pub fn applied(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_env() {
        Some(name) if variable(name).is_none() => arg.env(Resettable::Reset),
        Some(_) => arg.hide_env_values(true),
        None => arg,
    });
    command.mut_subcommands(applied)
}

/// With an empty `TMPDIR`, the standard library would put temporary files into the current folder.
pub fn ignore_an_empty_temporary_folder() {
    if std::env::var_os("TMPDIR").is_some_and(|folder| folder.is_empty()) {
        // The first override wins, and this is the first thing that the process does.
        let _ = tempfile::env::override_temp_dir("/tmp".as_ref());
    }
}
