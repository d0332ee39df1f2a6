//! The trait of all verbs: a log level, and a run that ends in a report.
//!
//! Owns the macro that makes a list of verbs: each verb is named there once. Leaves the verbs to
//! their own files. Callers rely on this: a verb prints nothing itself unless its lines have to
//! appear while it runs.

use super::Error;
use super::log::Level;
use super::options::Shared;
use super::output::Report;

/// A verb with its arguments.
pub trait Verb: Sized {
    /// Its log level, unless `SERIAL_GATE_LOG` sets another.
    fn log(&self) -> Level {
        Level::Warnings
    }

    /// Runs it. The caller prints the report.
    fn run(self, shared: &Shared) -> Result<Report, Error>;
}

/// Makes an enum of verbs, which clap parses and which runs the verb that was given.
macro_rules! verbs {
    ($(#[$about:meta])* $vis:vis enum $list:ident {
        $($(#[$attribute:meta])* $verb:ident($arguments:ty),)*
    }) => {
        $(#[$about])*
        #[derive(clap::Subcommand)]
        $vis enum $list {
            $($(#[$attribute])* $verb($arguments),)*
        }

        impl $crate::cli::verb::Verb for $list {
            fn log(&self) -> $crate::cli::log::Level {
                match self {
                    $($list::$verb(verb) => verb.log(),)*
                }
            }

            fn run(
                self,
                shared: &$crate::cli::options::Shared,
            ) -> Result<$crate::cli::output::Report, $crate::cli::Error> {
                match self {
                    $($list::$verb(verb) => verb.run(shared),)*
                }
            }
        }
    };
}

pub(super) use verbs;
