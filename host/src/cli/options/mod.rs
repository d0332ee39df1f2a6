//! The options that every verb shares.
//!
//! Owns the flags, and which of them are also a variable and a key of the configuration file.
//! Leaves the choice of the file to `file`, the precedence to `shared`, and the environment of a
//! command that this process starts to `handed_on`.

mod file;
mod handed_on;
mod number;
mod place;
mod shared;
mod time;
mod trust;
mod who;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::Deserialize;
use serial_gate::store::Durability;
use serial_gate::worker::branch::Project;

pub use file::{Chosen, ConfigFile};
pub use number::{at_least, between, numbered};
pub use shared::Shared;
pub use time::{duration, future, past};
pub use who::{Who, Why, reason, user};

/// The database if no option names one.
const DEFAULT_DATABASE: &str = "serial-gate.db";

/// Options before or after any verb.
#[derive(Args)]
#[command(next_help_heading = "Shared options")]
pub struct Global {
    #[command(flatten)]
    given: Given,
    /// The configuration file [default: serial-gate.toml next to the database, otherwise
    /// serial-gate/serial-gate.toml in the user's configuration folder]
    #[arg(long, global = true, value_name = "PATH", env = "SERIAL_GATE_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    pub json: bool,
}

/// Options that are a flag, a variable, and a key of the configuration file.
#[derive(Args, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// The queue's database: a file, or `postgres://USER@HOST/DATABASE` [default: serial-gate.db]
    #[arg(long, global = true, value_name = "PATH", env = "SERIAL_GATE_DB")]
    db: Option<PathBuf>,
    /// The file with the password for the server of `db`.
    #[arg(skip)]
    password_file: Option<PathBuf>,
    /// The kill switch: false lets every job through [default: as stored]
    #[arg(long, global = true, value_name = "BOOL", env = "SERIAL_GATE_ENABLED")]
    #[arg(value_parser = BoolishValueParser::new())]
    enabled: Option<bool>,
    /// The repos in which the gate acts, separated by commas [default: as stored]
    #[arg(long, global = true, value_name = "CSV", env = "SERIAL_GATE_REPOS")]
    #[arg(allow_hyphen_values = true)]
    repos: Option<String>,
    /// Whether a freeze holds anything [default: as stored]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        env = "SERIAL_GATE_FREEZE_ENABLED"
    )]
    #[arg(value_parser = BoolishValueParser::new())]
    freeze_enabled: Option<bool>,
    /// The policy's own parameters, a JSON document [default: as stored]
    #[arg(long, global = true, value_name = "JSON", env = "SERIAL_GATE_RULES")]
    rules: Option<String>,
    /// How long a claim lasts without a heartbeat: seconds, or a time such as `90s` or `2h`
    /// [default: 30m]
    #[arg(long, global = true, value_name = "TIME", env = "SERIAL_GATE_LEASE")]
    #[arg(value_parser = time::lease)]
    #[serde(deserialize_with = "time::lease_in_a_file")]
    lease: Option<Duration>,
    /// When a change is acknowledged: with `full`, once it is on the disk; with `normal`, a power
    /// cut may undo the last moments of claims [default: full]
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        env = "SERIAL_GATE_DURABILITY"
    )]
    #[arg(value_parser = durability)]
    durability: Option<Durability>,
    /// A public key, or its `.pub` file: policies without a signature by a trusted key are refused.
    /// May be given several times [default: no signatures are needed]
    #[arg(long, global = true, value_name = "KEY", env = "SERIAL_GATE_TRUST")]
    #[arg(value_delimiter = ',')]
    trust: Option<Vec<String>>,
    /// Where the branches of tasks are cut.
    #[arg(skip)]
    project: Vec<Project>,
    /// The table of the alerts. Only verbs that send alerts read it, together with its secrets.
    #[arg(skip)]
    alerts: Option<toml::Value>,
}

fn durability(text: &str) -> Result<Durability, String> {
    Durability::of_name(text).ok_or_else(|| "write `full` or `normal`".to_owned())
}
