//! `policy`: the verbs that change, check and inspect the gate's rule, one file each.

mod check;
mod diff;
mod export;
mod fixtures;
mod history;
mod inspect;
mod keygen;
mod kit;
mod new;
mod new_file;
mod promote;
pub mod proposal;
mod replay;
mod rollback;
mod settings;
mod shadow;
mod show;
mod sign;
pub mod source;
mod swap;
mod wit;

use clap::Args;

use super::Error;
use super::log::Level;
use super::options::Shared;
use super::output::Report;
use super::verb::{Verb, verbs};

/// Change the gate's rule on a running queue, inspect a policy, go back
#[derive(Args)]
#[command(after_help = "\
Every policy that a queue had, with its settings, is a generation. One is active, and
every process that claims follows a change without a restart.

Examples:
  serial-gate policy new my-policy
  serial-gate policy check my-policy.wasm
  serial-gate policy diff my-policy.wasm
  serial-gate policy swap my-policy.wasm --reason 'two tasks at a time'
  serial-gate policy rollback --reason 'too many conflicts'")]
pub struct Policy {
    #[command(subcommand)]
    verb: Verbs,
}

impl Verb for Policy {
    // The report says what is wrong with a policy or with settings.
    fn log(&self) -> Level {
        Level::Errors
    }

    fn run(self, shared: &Shared) -> Result<Report, Error> {
        self.verb.run(shared)
    }
}

verbs! {
    enum Verbs {
        New(new::New),
        Check(check::Check),
        Diff(diff::Diff),
        Replay(replay::Replay),
        Swap(swap::Swap),
        Rollback(rollback::Rollback),
        History(history::History),
        Show(show::Show),
        Inspect(inspect::Inspect),
        Settings(settings::Settings),
        Shadow(shadow::Shadow),
        Promote(promote::Promote),
        Export(export::Export),
        Kit(kit::Kit),
        Wit(wit::Wit),
        Keygen(keygen::Keygen),
        Sign(sign::Sign),
        #[command(subcommand)]
        Fixtures(fixtures::Fixtures),
    }
}
