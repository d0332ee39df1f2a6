//! Who changes something, and why, for the history.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use serial_gate::store::Actor;

use crate::cli::Error;
use crate::cli::variables::variable;

#[derive(Args)]
pub struct Who {
    /// Who does this, for the history [default: the user]
    #[arg(long, value_name = "NAME", env = "SERIAL_GATE_WHO")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    #[arg(default_value_t = user(), hide_default_value = true)]
    pub who: String,
}

/// A reason that somebody can read.
pub fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is blank: say why".into()),
        _ => Ok(text.into()),
    }
}

#[derive(Args)]
pub struct Why {
    /// Why, for the history
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    #[command(flatten)]
    who: Who,
}

impl Who {
    /// This person, now, for this reason.
    pub fn actor<'a>(&'a self, why: &'a str) -> Actor<'a> {
        Actor {
            now: Timestamp::now(),
            who: &self.who,
            why,
        }
    }
}

impl Why {
    /// Refuses a blank reason, where a flag needs one.
    pub fn for_flag(&self, flag: &str) -> Result<(), Error> {
        match reason(&self.reason) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(format!(
                "`{flag}` needs a reason, and `--reason` is blank: say why"
            ))),
        }
    }

    /// This person, now, for this reason.
    pub fn actor(&self) -> Actor<'_> {
        self.who.actor(&self.reason)
    }
}

/// The user who runs this command. Services and containers often have no variable, and a user
/// without an entry in the system's list.
pub fn user() -> String {
    let name = |name| variable(name)?.into_string().ok();
    name("USER")
        .or_else(|| name("LOGNAME"))
        .or_else(|| whoami::username().ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(number)
}

#[cfg(unix)]
fn number() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn number() -> String {
    "somebody".into()
}
