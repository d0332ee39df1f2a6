//! What to do about an error: the remedy of each room's errors as a command.
//!
//! Owns the command lines. Leaves to the library which remedy an error has. Callers rely on this: a
//! text that follows an error on its line begins in the middle of a sentence.

use std::error::Error as StdError;

use serial_gate::remedy::Remedy;
use serial_gate::worker::{self, branch};
use serial_gate::{alerts, conform, gate, queue, rollout, store};

use super::Error;
use crate::http;

/// What helps after an error or one of its causes; none if no command does.
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
        Error::Store(error)
        | Error::Alerts(alerts::Error::Store(error))
        | Error::Branch(branch::Error::Store(error))
        | Error::Http(http::Error::Store(error))
        | Error::Work(worker::Error::Store(error)) => error.remedy(),
        Error::Life(error) => error.remedy(),
        _ => None,
    }
}

fn in_words(remedy: &Remedy) -> String {
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
            "`serial-gate --db {} init` adds what is missing, or says what stands in the way",
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
             `serial-gate policy rollback N --reason TEXT` takes one up"
            .into(),
        Remedy::TakeBuiltIn => {
            "`serial-gate policy swap built-in --reason TEXT` takes the built-in one".into()
        }
        Remedy::SwapAnew => "`serial-gate policy swap FILE --reason TEXT` writes them anew".into(),
        Remedy::SwapAgain => "`serial-gate policy swap` its file again, or `built-in`".into(),
        Remedy::SwapFile => "`serial-gate policy swap` a file that is to be active".into(),
        Remedy::StartShadow => {
            "start one with `serial-gate policy shadow FILE --reason TEXT`".into()
        }
        Remedy::SwitchFreezesOn => "switch it on with `serial-gate policy settings \
             --freeze-enabled true --reason TEXT`"
            .into(),
    }
}
