//! `policy`: the verbs of a policy's life, one file each.

mod check;
mod diff;
mod export;
mod fixtures;
mod history;
mod keygen;
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
mod swap;

use clap::Subcommand;

use super::options::Shared;
use super::output::Output;
use super::{Error, Outcome};

/// Change the gate's rule on a running queue, look into a policy, go back
#[derive(Subcommand)]
#[command(
    after_help = "Every policy that a queue had, with its settings, is one of its generations. One is active, and\nevery process that claims picks up a change without a restart.\n\nExample:\n  serial-gate policy new my-policy\n  serial-gate policy check my-policy.wasm\n  serial-gate policy diff my-policy.wasm\n  \
    serial-gate policy swap my-policy.wasm --reason 'two tasks at a time'\n  serial-gate policy rollback --reason 'too many conflicts'"
)]
pub enum Policy {
    New(new::New),
    Check(check::Check),
    Diff(diff::Diff),
    Replay(replay::Replay),
    Swap(swap::Swap),
    Rollback(rollback::Rollback),
    History(history::History),
    Show(show::Show),
    Settings(settings::Settings),
    Shadow(shadow::Shadow),
    Promote(promote::Promote),
    Export(export::Export),
    Keygen(keygen::Keygen),
    Sign(sign::Sign),
    #[command(subcommand)]
    Fixtures(fixtures::Fixtures),
}

impl Policy {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        match self {
            Policy::New(verb) => verb.run(shared, output),
            Policy::Check(verb) => verb.run(shared, output),
            Policy::Diff(verb) => verb.run(shared, output),
            Policy::Replay(verb) => verb.run(shared, output),
            Policy::Swap(verb) => verb.run(shared, output),
            Policy::Rollback(verb) => verb.run(shared, output),
            Policy::History(verb) => verb.run(shared, output),
            Policy::Show(verb) => verb.run(shared, output),
            Policy::Settings(verb) => verb.run(shared, output),
            Policy::Shadow(verb) => verb.run(shared, output),
            Policy::Promote(verb) => verb.run(shared, output),
            Policy::Export(verb) => verb.run(shared, output),
            Policy::Keygen(verb) => verb.run(output),
            Policy::Sign(verb) => verb.run(output),
            Policy::Fixtures(verb) => verb.run(shared, output),
        }
    }
}
