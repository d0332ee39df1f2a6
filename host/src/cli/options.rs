//! The options that every verb shares, and the settings they add up to.
//!
//! Owns the order of precedence: a flag, then the environment, then the configuration file, then
//! what the queue's generation says; and what a command that this process starts is to find in its
//! environment, so that it acts under the same. Which file that is, `config_file` chooses.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::policy::Trust;
use serial_gate::queue::{self, Queue};
use serial_gate::store::{Act, Database, Durability, Store};
use serial_gate::worker::branch::{self, Project};

use super::config_file::{self, ConfigFile};
use super::empty_variables;
use super::plain_text::{self, plain};
use super::{Error, compile_policy};

/// The database of a command that is told of none.
pub const DEFAULT_DATABASE: &str = "serial-gate.db";
const DEFAULT_LEASE: Duration = Duration::from_secs(30 * 60);

/// Options before or after any verb.
#[derive(Args)]
#[command(next_help_heading = "Shared options")]
pub struct Global {
    #[command(flatten)]
    given: Given,
    /// The configuration file [default: serial-gate.toml beside the database, else
    /// serial-gate/serial-gate.toml in the user's configuration folder, if there is one]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "SERIAL_GATE_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be given by a flag, by the environment, and as a key of the configuration file.
#[derive(Args, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// The queue's database [default: serial-gate.db]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "SERIAL_GATE_DB",
        hide_env_values = true
    )]
    pub db: Option<PathBuf>,
    /// The kill switch: false lets every job through [default: the queue's]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        env = "SERIAL_GATE_ENABLED",
        hide_env_values = true
    )]
    #[arg(value_parser = BoolishValueParser::new())]
    enabled: Option<bool>,
    /// The repos in which the gate acts, separated by commas [default: the queue's]
    #[arg(
        long,
        global = true,
        value_name = "CSV",
        env = "SERIAL_GATE_REPOS",
        hide_env_values = true
    )]
    #[arg(allow_hyphen_values = true)]
    repos: Option<String>,
    /// Whether a freeze holds anything [default: the queue's]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        env = "SERIAL_GATE_FREEZE_ENABLED",
        hide_env_values = true
    )]
    #[arg(value_parser = BoolishValueParser::new())]
    freeze_enabled: Option<bool>,
    /// The policy's own parameters, a JSON document [default: the queue's]
    #[arg(
        long,
        global = true,
        value_name = "JSON",
        env = "SERIAL_GATE_RULES",
        hide_env_values = true
    )]
    rules: Option<String>,
    /// How long a claim lasts without a heartbeat, such as `90s` or `2h` [default: 30m]
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        env = "SERIAL_GATE_LEASE",
        hide_env_values = true
    )]
    #[arg(value_parser = lease)]
    #[serde(deserialize_with = "config_duration")]
    lease: Option<Duration>,
    /// When a change counts as made: `full` once it is on the disk; with `normal` a power cut may
    /// take the last moments of claims [default: full]
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        env = "SERIAL_GATE_DURABILITY",
        hide_env_values = true
    )]
    #[arg(value_parser = durability)]
    durability: Option<Durability>,
    /// A public key whose policies are trusted, or its `.pub` file; then any other is refused. May
    /// be given several times [default: no signatures are needed]
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "SERIAL_GATE_TRUST",
        hide_env_values = true
    )]
    #[arg(value_delimiter = ',')]
    trust: Option<Vec<String>>,
    /// Where the branches of tasks are cut.
    #[arg(skip)]
    project: Vec<Project>,
    /// Whom to tell what happened. It is read when somebody sends, with the secrets, and of any
    /// type until then: the parser would show what it does not expect.
    #[arg(skip)]
    alerts: Option<toml::Value>,
}

/// Who does it, for the history.
#[derive(Args)]
pub struct Who {
    /// Who does this, for the history [default: the user]
    #[arg(
        long,
        value_name = "NAME",
        env = "SERIAL_GATE_WHO",
        hide_env_values = true
    )]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    who: Option<String>,
}

/// Who does it and, if that is said, why.
#[derive(Args)]
pub struct Why {
    /// Why, for the audit
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

impl Why {
    /// Does something in this name, now.
    pub fn act<T>(self, step: impl FnOnce(Act<'_>) -> T) -> T {
        self.who.act(&self.reason, step)
    }
}

impl Who {
    /// Does something in this name, now.
    pub fn act<T>(self, why: &str, step: impl FnOnce(Act<'_>) -> T) -> T {
        let who = self.name();
        step(Act {
            now: Timestamp::now(),
            who: &who,
            why,
        })
    }

    /// The name.
    pub fn name(self) -> String {
        self.who.unwrap_or_else(user)
    }
}

/// The user who runs this command.
pub fn user() -> String {
    let name = |name| empty_variables::variable(name)?.into_string().ok();
    name("USER")
        .or_else(|| name("LOGNAME"))
        .unwrap_or_else(|| "somebody".into())
}

/// What the options add up to.
pub struct Shared {
    /// The queue's database.
    pub db: Database,
    /// Whether nobody named the database, so that a proposed command need not name it either.
    pub db_is_default: bool,
    /// Print JSON.
    pub json: bool,
    /// What this command was told otherwise than its queue's policy says.
    pub overrides: Overrides,
    /// The settings that were given by flags; a switch that the environment has as well counts as
    /// its. What the environment and the file say is read leniently, also where it is stored.
    pub told: Overrides,
    /// How long a claim lasts.
    pub lease: Duration,
    /// Whose policies are run; anybody's, if there is none.
    pub trust: Option<Trust>,
    /// Where the branches of tasks are cut.
    pub projects: Vec<Project>,
    /// What stands under `alerts` in the configuration file.
    pub alerts: Option<toml::Value>,
    /// The configuration file in use.
    pub config: Option<ConfigFile>,
    /// What a command that this process starts finds in its environment, so that it acts under the
    /// same.
    pub handed_on: Vec<(&'static str, OsString)>,
}

impl Shared {
    /// Reads the configuration file and puts everything in its order, for a command that makes a
    /// database or does not.
    pub fn read(global: Global, makes_database: bool) -> Result<Shared, Error> {
        let given = global.given;
        let (mut file, config) = config_file::read(
            global.config.as_deref(),
            given.db.as_deref(),
            makes_database,
        )?;
        if let Some(config) = &config {
            file.db = file.db.map(|db| config.beside(&db));
            file.trust = file.trust.map(|keys| beside(config, keys));
        }
        branch::check(&file.project)?;
        let told = Overrides {
            repos: by_flag(given.repos.as_ref(), "SERIAL_GATE_REPOS"),
            rules: by_flag(given.rules.as_ref(), "SERIAL_GATE_RULES"),
            enabled: given.enabled.filter(|_| is_unset("SERIAL_GATE_ENABLED")),
            freeze_enabled: (given.freeze_enabled)
                .filter(|_| is_unset("SERIAL_GATE_FREEZE_ENABLED")),
        };
        let db = given.db.clone().or(file.db);
        if db.is_none() && config_file::is_left_alone(config.as_ref()) {
            tracing::warn!(
                "the `serial-gate.toml` of this folder is not read, because `{DEFAULT_DATABASE}` is not beside it: name it with `--config serial-gate.toml`"
            );
        }
        let handed_on = handed_on(&given, config.as_ref());
        Ok(Shared {
            db_is_default: db.is_none(),
            db: Database::new(
                db.unwrap_or_else(|| DEFAULT_DATABASE.into()),
                given.durability.or(file.durability).unwrap_or_default(),
            ),
            json: global.json,
            overrides: Overrides {
                enabled: given.enabled.or(file.enabled),
                repos: given.repos.or(file.repos),
                freeze_enabled: given.freeze_enabled.or(file.freeze_enabled),
                rules: given.rules.or(file.rules),
            },
            told,
            lease: given.lease.or(file.lease).unwrap_or(DEFAULT_LEASE),
            trust: given.trust.or(file.trust).map(trust).transpose()?,
            projects: file.project,
            alerts: file.alerts,
            config,
            handed_on,
        })
    }

    /// Says in the log which configuration file is in use.
    pub fn log_configuration(&self) {
        if let Some(file) = &self.config {
            let (path, why) = (file.path.display(), file.chosen.why());
            tracing::info!("the configuration file is `{path}`, {why}");
        }
    }

    /// Opens the rows.
    pub fn store(&self) -> Result<Store, Error> {
        Ok(Store::open(&self.db)?)
    }

    /// The repos that the configuration file has a project for.
    pub fn configured_repos(&self) -> Vec<String> {
        let repos = self.projects.iter().map(|project| project.repo.clone());
        repos.collect()
    }

    /// What the configuration adds to the options of a queue.
    fn with_trust(&self, options: queue::Options) -> queue::Options {
        queue::Options {
            compiler: compile_policy::compiler(),
            trust: self.trust.clone(),
            repos: self.configured_repos(),
            ..options
        }
    }

    /// Opens the queue as everybody sees it, whatever this command was told.
    pub fn queue_as_stored(&self) -> Result<Queue, Error> {
        let rule = Rule::Active(Overrides::default());
        Ok(Queue::open(
            &self.db,
            rule,
            self.with_trust(queue::Options::default()),
        )?)
    }

    /// The same, where a command can do without a queue: none if nobody named one and none is here.
    pub fn queue_if_any(&self) -> Result<Option<Queue>, Error> {
        if self.has_no_queue() {
            return Ok(None);
        }
        self.queue_as_stored().map(Some)
    }

    /// Whether nobody named a queue and none is here.
    pub fn has_no_queue(&self) -> bool {
        self.db_is_default && !self.db.path.exists()
    }

    /// Opens the queue behind its gate. Rules that the policy refuses are a mistake of whoever set
    /// them just now, and no reason to let the queue go on without the rule.
    pub fn queue(&self) -> Result<Queue, Error> {
        self.queue_with(queue::Options::default())
    }

    /// The same, with options.
    pub fn queue_with(&self, options: queue::Options) -> Result<Queue, Error> {
        let mut queue = self.open(options)?;
        if self.overrides.rules.is_some() {
            queue.check_rules(Timestamp::now())?;
        }
        Ok(queue)
    }

    /// The same for a command that is to go on even where the policy refuses its rules.
    pub fn queue_whatever_its_rules(&self) -> Result<Queue, Error> {
        self.open(queue::Options::default())
    }

    fn open(&self, options: queue::Options) -> Result<Queue, Error> {
        let rule = Rule::Active(self.overrides.clone());
        Ok(Queue::open(&self.db, rule, self.with_trust(options))?)
    }
}

/// A value that comes from a flag. A flag with the same value as the variable counts as the
/// variable.
fn by_flag(given: Option<&String>, variable: &str) -> Option<String> {
    let of_variable = empty_variables::variable(variable);
    given
        .filter(|given| of_variable.as_deref() != Some(given.as_str().as_ref()))
        .cloned()
}

fn is_unset(variable: &str) -> bool {
    empty_variables::variable(variable).is_none()
}

/// The variables that say what this process was told by flags, and which file it uses. What it has
/// from its environment, the command has as well.
fn handed_on(given: &Given, config: Option<&ConfigFile>) -> Vec<(&'static str, OsString)> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let flag = |value: Option<bool>| value.map(|value| value.to_string().into());
    let trust = given.trust.as_ref().map(|keys| {
        let keys = keys.iter().map(|key| match is_key(plain(key)) {
            true => key.clone(),
            false => absolute(Path::new(plain(key))).to_string_lossy().into(),
        });
        keys.collect::<Vec<String>>().join(",").into()
    });
    let lease = given
        .lease
        .map(|lease| format!("{}ms", lease.as_millis()).into());
    let variables = [
        (
            "SERIAL_GATE_CONFIG",
            config.map(|file| absolute(&file.path).into()),
        ),
        ("SERIAL_GATE_ENABLED", flag(given.enabled)),
        ("SERIAL_GATE_REPOS", given.repos.as_deref().map(all_or)),
        ("SERIAL_GATE_FREEZE_ENABLED", flag(given.freeze_enabled)),
        ("SERIAL_GATE_RULES", given.rules.clone().map(OsString::from)),
        ("SERIAL_GATE_LEASE", lease),
        (
            "SERIAL_GATE_DURABILITY",
            given.durability.map(|durability| durability.name().into()),
        ),
        ("SERIAL_GATE_TRUST", trust),
    ];
    let there = |(name, value): (_, Option<OsString>)| Some((name, value?));
    variables.into_iter().filter_map(there).collect()
}

/// A list of repos for a variable, which cannot be empty: a list without a name means all repos,
/// too.
fn all_or(repos: &str) -> OsString {
    if repos.is_empty() { "," } else { repos }.into()
}

/// The keys of a configuration file, whose paths start at its folder.
fn beside(config: &ConfigFile, keys: Vec<String>) -> Vec<String> {
    let key = |key: String| match is_key(plain(&key)) {
        true => key,
        false => config
            .beside(Path::new(plain(&key)))
            .to_string_lossy()
            .into(),
    };
    keys.into_iter().map(key).collect()
}

/// Whether a text is a public key, and no path of a file with one. All begin so, in whatever folder
/// there may be a file of that name.
fn is_key(text: &str) -> bool {
    text.starts_with("RW") && !text.ends_with(".pub")
}

/// Keys as an operator writes them. A list of none trusts nobody: it is no way to say "anybody".
fn trust(keys: Vec<String>) -> Result<Trust, Error> {
    let texts = keys.iter().map(|key| {
        let key = plain(key);
        if is_key(key) {
            return Ok(key.to_owned());
        }
        plain_text::read(Path::new(key))
    });
    Ok(Trust::new(texts.collect::<Result<Vec<_>, _>>()?)?)
}

fn config_duration<'de, D: serde::Deserializer<'de>>(
    text: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(text)?;
    lease(&text).map(Some).map_err(serde::de::Error::custom)
}

/// A time such as `90s`, `30m` or `1h 30m`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let duration: SignedDuration = text.parse().map_err(|_| HOW_TO_WRITE_A_TIME.to_owned())?;
    Duration::try_from(duration).map_err(|_| HOW_TO_WRITE_A_TIME.to_owned())
}

/// A lease: a time in which a worker can do something.
fn lease(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => {
            Err("a lease of no time would give a job to everybody: write at least `1s`".into())
        }
        lease => Ok(lease),
    }
}

fn durability(text: &str) -> Result<Durability, String> {
    Durability::of_name(text).ok_or_else(|| "write `full` or `normal`".to_owned())
}

const HOW_TO_WRITE_A_TIME: &str = "write a time such as `90s`, `30m` or `1h 30m`";
