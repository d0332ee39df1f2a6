//! What to do about an error, as a command or a flag.
//!
//! Owns the command lines and the flags. Leaves to the library which remedy an error has. Callers
//! rely on this: a text continues the sentence of its error.

use std::error::Error as StdError;
use std::path::Path;

use serial_gate::remedy::Remedy;
use serial_gate::worker::{self, branch};
use serial_gate::{alerts, conform, gate, policy, queue, rollout, store};

use super::Error;
use super::policy::source;
use super::text::shell;
use crate::http;

/// The command that helps after an error or one of its causes, if there is one. `gate` is the
/// beginning of a command on the same database.
pub fn of(error: &(dyn StdError + 'static), gate: &str) -> Option<String> {
    let found = |error: Option<Remedy>| error.map(|remedy| in_words(&remedy, gate));
    if let Some(error) = error.downcast_ref::<Error>() {
        return match error {
            Error::Conform(conform::Error::Read { cause, .. })
            | Error::Life(rollout::Error::ReadLog { cause, .. }) => {
                Error::hint_to_read(cause).map(str::to_owned)
            }
            error => found(of_verb(error)),
        };
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
    if let Some(error) = error.downcast_ref::<source::Error>() {
        return error.remedy();
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
        _ => None,
    }
}

/// A remedy as a command; `gate` as for [`of`].
pub fn in_words(remedy: &Remedy, gate: &str) -> String {
    match remedy {
        Remedy::Create(place) if gate == "serial-gate" => {
            // A relative path is of this folder, which may be the wrong one.
            let folder = std::env::current_dir().ok();
            let folder = folder.filter(|_| Path::new(place).is_relative());
            let folder = folder.and_then(|folder| shell(&[&folder.to_string_lossy()]));
            let here = folder.map(|folder| format!(" in this folder (`{folder}`)"));
            format!(
                "create it{} with `serial-gate init`, or name another with `--db PATH`",
                here.unwrap_or_default()
            )
        }
        Remedy::Create(place) => format!(
            "create it with `serial-gate --db {} init`, or name another with `--db PATH`",
            shell(&[place]).unwrap_or_else(|| place.clone())
        ),
        Remedy::NameAnotherFile => "name another file with `--db PATH`".into(),
        Remedy::RenameTables => format!(
            "rename yours (a view is not enough), or make new, empty ones \
             next to them with `{gate} init --new-tables`"
        ),
        Remedy::Prepare(place) => format!(
            "`serial-gate --db {} init` adds what is missing, or says why it cannot",
            shell(&[place]).unwrap_or_else(|| place.clone())
        ),
        Remedy::GivePassword => "write it into the address in `SERIAL_GATE_DB`, or into `db` or \
             `password_file` of the configuration file, or into the file that `PGPASSFILE` names"
            .into(),
        Remedy::ListAlerts => format!("`{gate} alerts` lists them"),
        Remedy::ListTasks => format!("`{gate} task list` lists them"),
        Remedy::ListJobs => format!("`{gate} job list` lists them"),
        Remedy::ListGenerations => format!("`{gate} policy history` lists them"),
        Remedy::ListFixtures => format!("`{gate} policy fixtures list` lists them"),
        Remedy::ListTokens => format!("`{gate} token list` lists them"),
        Remedy::LookAtFreeze { repo, newest } => {
            let dash = if repo.starts_with('-') { "-- " } else { "" };
            let repo = shell(&[repo]).unwrap_or_else(|| "REPO".into());
            format!(
                "look at its reason with `{gate} repo {dash}{repo}`, and give `--seen {newest}`"
            )
        }
        Remedy::ForceTheEnd => {
            "add `--force --reason TEXT`, or, as its worker, `--token TOKEN`".into()
        }
        Remedy::GiveReason => "say why with `--reason TEXT`".into(),
        Remedy::Requeue(job) => {
            format!("end it with the program that started it, or `{gate} job requeue {job}`")
        }
        Remedy::LookAtHistory => format!("look at `{gate} policy history`, and try again"),
        Remedy::TakeUpGeneration => format!(
            "`{gate} policy history` lists them, \
             `{gate} policy rollback N --reason TEXT` activates one"
        ),
        Remedy::TakeBuiltIn => {
            format!("`{gate} policy swap built-in --reason TEXT` activates the built-in one")
        }
        Remedy::SwapAnew => format!("`{gate} policy swap FILE --reason TEXT` writes them again"),
        Remedy::SwapAgain => format!("`{gate} policy swap` its file again, or `built-in`"),
        Remedy::SwapFile => format!("`{gate} policy swap` a file that is to be active"),
        Remedy::StartShadow => {
            format!("start one with `{gate} policy shadow FILE --reason TEXT`")
        }
        Remedy::SwitchFreezesOn => format!(
            "switch it on with `{gate} policy settings \
             --freeze-enabled true --reason TEXT`"
        ),
        Remedy::DropFreezeOverride => "take `freeze-enabled` from its flags, \
             `SERIAL_GATE_FREEZE_ENABLED` from its environment, or `freeze_enabled` from its \
             configuration file"
            .into(),
        Remedy::NameInRules(rules) => {
            format!("name it in the rules instead, as in `--rules '{rules}'`")
        }
        Remedy::Sign => format!("sign it with `{gate} policy sign FILE.wasm --key KEY`"),
        Remedy::SignAgain => format!(
            "if you know why, sign it again with \
             `{gate} policy sign FILE.wasm --key KEY`"
        ),
        Remedy::TrustKey => format!(
            "trust it with `--trust KEY`, or sign the policy with a trusted one: \
             `{gate} policy sign FILE.wasm --key KEY`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposed_command_has_a_place_as_one_word() {
        let place = "postgres://u@h/db?schema=q&application_name=x";
        let remedy = in_words(&Remedy::Prepare(place.into()), "serial-gate");
        insta::assert_snapshot!(remedy, @"`serial-gate --db 'postgres://u@h/db?schema=q&application_name=x' init` adds what is missing, or says why it cannot");
    }
}
