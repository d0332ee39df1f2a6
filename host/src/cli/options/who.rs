//! Who changes something, and why, for the history.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use serial_gate::store::Actor;

use crate::cli::variables::variable;

#[derive(Args)]
pub struct Who {
    /// Who does this, for the history [default: the user]
    #[arg(long, value_name = "NAME", env = "SERIAL_GATE_WHO")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    #[arg(default_value_t = user(), hide_default_value = true)]
    pub who: String,
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
    /// This person, now, for this reason.
    pub fn actor(&self) -> Actor<'_> {
        self.who.actor(&self.reason)
    }
}

/// The user who runs this command.
pub fn user() -> String {
    let name = |name| variable(name)?.into_string().ok();
    name("USER")
        .or_else(|| name("LOGNAME"))
        .unwrap_or_else(|| "somebody".into())
}
