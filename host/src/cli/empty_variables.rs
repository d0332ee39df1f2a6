//! A variable that is set to nothing counts as not set: a service manager and a shell script have
//! no other way to leave one out.
//!
//! Owns this rule for every option that has a variable. What reads a variable without an option
//! uses [`variable`].

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

/// Without its variable, temporary files go where the system has them; with an empty one, the
/// standard library would put them into the folder that the command runs in.
pub fn leave_out_the_temporary_folder() {
    if std::env::var_os("TMPDIR").is_some_and(|folder| folder.is_empty()) {
        // Nobody has chosen another one before: this is the first thing that the process does.
        let _ = tempfile::env::override_temp_dir("/tmp".as_ref());
    }
}
