//! What to do about an error, as a command or a flag.
//!
//! Owns the command lines and the flags. Leaves to the library which remedy an error has. Callers
//! rely on this: a text continues the sentence of its error.

use std::error::Error as StdError;

use serial_gate::remedy::Remedy;
use serial_gate::worker::{self, branch};
use serial_gate::{alerts, conform, gate, policy, queue, rollout, store};

use super::Error;
use crate::http;

/// The command that helps after an error or one of its causes, if there is one.
pub fn of(error: &(dyn StdError + 'static)) -> Option<String> {
    let found = |error: Option<Remedy>| error.as_ref().map(in_words);
    if let Some(error) = error.downcast_ref::<Error>() {
        return found(of_verb(error));
    }
    if let Some(error) = error.downcast_ref::<store::Error>() {
        return found(error.remedy());
    }
    if let Some(error) = error.downcast_ref::<queue::Error>() {
        return found(error.remedy());
    }
    if let Some(error) = error.downcast_ref::<gate::Error>() {
        return found(error.remedy());
    }
    if let Some(error) = error.downcast_ref::<policy::Error>() {
        return found(error.remedy());
    }
    found(error.downcast_ref::<rollout::Error>()?.remedy())
}

/// Errors that show themselves as another room's have its remedy.
fn of_verb(error: &Error) -> Option<Remedy> {
    match error {
        Error::Queue(error)
        | Error::Conform(conform::Error::Queue(error))
        | Error::Http(http::Error::Queue(error))
        | Error::Work(worker::Error::Queue(error)) => error.remedy(),
        Error::Gate(error) => error.remedy(),
        Error::Policy(error) | Error::Http(http::Error::Policy(error)) => error.remedy(),
        Error::Store(error)
        | Error::Alerts(alerts::Error::Store(error))
        | Error::Branch(branch::Error::Store(error))
        | Error::Http(http::Error::Store(error))
        | Error::Work(worker::Error::Store(error)) => error.remedy(),
        Error::Life(error) => error.remedy(),
        _ => None,
    }
}

/// The flag of the same verb that helps, for its own line after the error.
pub fn flag(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let (Error::Queue(error) | Error::Life(rollout::Error::Queue(error))) = error.downcast_ref()?
    else {
        return None;
    };
    match error {
        queue::Error::UnknownRepo { .. } => Some("if the repo is new, add `--new`"),
        queue::Error::Gate(gate::Error::Store(store::Error::TaskRuns { .. })) => {
            Some("to cancel the job: `--force --reason TEXT`; its worker may give `--token TOKEN`")
        }
        _ => None,
    }
}

/// A remedy as a command.
pub fn in_words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Create(path) => format!(
            "create it with `serial-gate --db {} init`, or name another with `--db PATH`",
            path.display()
        ),
        Remedy::NameAnotherFile => "name another file with `--db PATH`".into(),
        Remedy::RenameTables => "rename yours (a view is not enough), or make new, empty ones \
             next to them with `serial-gate init --new-tables`"
            .into(),
        Remedy::Prepare(path) => format!(
            "`serial-gate --db {} init` adds what is missing, or says why it cannot",
            path.display()
        ),
        Remedy::ListAlerts => "`serial-gate alerts` lists them".into(),
        Remedy::ListQueue => "`serial-gate queue` lists what waits".into(),
        Remedy::ListGenerations => "`serial-gate policy history` lists them".into(),
        Remedy::ListFixtures => "`serial-gate policy fixtures list` lists them".into(),
        Remedy::ListTokens => "`serial-gate token list` lists them".into(),
        Remedy::LookAtFreeze(freeze) => {
            format!("look at its reason with `serial-gate repo`, and give `--seen {freeze}`")
        }
        Remedy::Requeue(job) => {
            format!("end it with the program that started it, or `serial-gate job requeue {job}`")
        }
        Remedy::LookAtHistory => "look at `serial-gate policy history`, and try again".into(),
        Remedy::TakeUpGeneration => "`serial-gate policy history` lists them, \
             `serial-gate policy rollback N --reason TEXT` activates one"
            .into(),
        Remedy::TakeBuiltIn => {
            "`serial-gate policy swap built-in --reason TEXT` activates the built-in one".into()
        }
        Remedy::SwapAnew => "`serial-gate policy swap FILE --reason TEXT` writes them again".into(),
        Remedy::SwapAgain => "`serial-gate policy swap` its file again, or `built-in`".into(),
        Remedy::SwapFile => "`serial-gate policy swap` a file that is to be active".into(),
        Remedy::StartShadow => {
            "start one with `serial-gate policy shadow FILE --reason TEXT`".into()
        }
        Remedy::SwitchFreezesOn => "switch it on with `serial-gate policy settings \
             --freeze-enabled true --reason TEXT`"
            .into(),
        Remedy::DropFreezeOverride => "take `freeze-enabled` from its flags, \
             `SERIAL_GATE_FREEZE_ENABLED` from its environment, or `freeze_enabled` from its \
             configuration file"
            .into(),
        Remedy::NameInRules(rules) => {
            format!("name it in the rules instead, as in `--rules '{rules}'`")
        }
        Remedy::Sign => "sign it with `serial-gate policy sign FILE.wasm --key KEY`".into(),
        Remedy::SignAgain => "if you know why, sign it again with \
             `serial-gate policy sign FILE.wasm --key KEY`"
            .into(),
        Remedy::TrustKey => "trust it with `--trust KEY`, or sign the policy with a trusted one: \
             `serial-gate policy sign FILE.wasm --key KEY`"
            .into(),
    }
}
