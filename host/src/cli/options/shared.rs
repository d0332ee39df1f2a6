//! The options after the order of precedence, and the queue that they open.
//!
//! Owns the order of precedence: a flag, then the environment, then the configuration file, then
//! the settings of the queue's active generation.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serial_gate::gate::{Overrides, Rule};
use serial_gate::policy::{Runtime, Trust};
use serial_gate::queue::{self, Queue};
use serial_gate::store::{Database, Location, Store};
use serial_gate::worker::branch::{self, Project};

use super::file::{self, ConfigFile};
use super::place::{self, OfFile};
use super::{DEFAULT_DATABASE, Global, handed_on, trust};
use crate::cli::log::Log;
use crate::cli::output::Report;
use crate::cli::variables::variable;
use crate::cli::{Error, compile_policy};

const DEFAULT_LEASE: Duration = Duration::from_secs(30 * 60);

/// The options of every verb.
pub struct Shared {
    /// The queue's database.
    pub db: Database,
    /// Whether no option names the database, so that a proposed command need not name it either.
    pub db_is_default: bool,
    /// The database, if a flag or a variable names it.
    pub db_named: Option<Location>,
    /// Print JSON.
    pub json: bool,
    /// The settings that override the queue's for this command.
    pub overrides: Overrides,
    /// Those of them that come from flags. Only these are checked strictly before they are stored.
    pub by_flags: Overrides,
    /// How long a claim lasts.
    pub lease: Duration,
    /// The keys whose signed policies may run. `None`: all policies may.
    pub trust: Option<Trust>,
    /// Compiles and runs the policies of this process.
    pub runtime: Runtime,
    /// Where the branches of tasks are cut.
    pub projects: Vec<Project>,
    /// The table `alerts` of the configuration file.
    pub alerts: Option<toml::Value>,
    /// The configuration file in use.
    pub config: Option<ConfigFile>,
    /// The variables of a command that this process starts, so that it acts under the same options.
    pub handed_on: Vec<(&'static str, OsString)>,
    /// This process's log.
    pub log: Log,
}

impl Shared {
    /// Reads the configuration file and applies the order of precedence. `makes_database`: the
    /// command makes the default database if it is missing.
    pub fn read(global: Global, makes_database: bool, log: &Log) -> Result<Shared, Error> {
        let given = global.given;
        let (mut file, config) = file::read(
            global.config.as_deref(),
            given.db.as_deref(),
            makes_database,
        )?;
        if let Some(config) = &config {
            file.trust =
                (file.trust).map(|keys| trust::with_paths(keys, |path| config.beside(path)));
        }
        branch::check(&file.project)?;
        if let Some(config) = &config {
            for project in &mut file.project {
                let absolute = |path: &Path| std::path::absolute(config.beside(path));
                project.resolve(absolute);
            }
        }
        let by_flags = Overrides {
            repos: by_flag(given.repos.as_ref(), "SERIAL_GATE_REPOS"),
            rules: by_flag(given.rules.as_ref(), "SERIAL_GATE_RULES"),
            enabled: given.enabled.filter(|_| is_unset("SERIAL_GATE_ENABLED")),
            freeze_enabled: (given.freeze_enabled)
                .filter(|_| is_unset("SERIAL_GATE_FREEZE_ENABLED")),
        };
        let is_named = given.db.is_some();
        let handed_on = handed_on::variables(&given, file.db.as_deref(), config.as_ref());
        let of_file = OfFile {
            db: file.db,
            password_file: file.password_file,
            config: config.as_ref(),
        };
        let db = place::chosen(given.db, of_file)?;
        if db.is_none() && file::is_ignored(config.as_ref()) {
            tracing::warn!(
                "the `serial-gate.toml` of this folder is not read, because `{DEFAULT_DATABASE}` \
                 is not next to it: name it with `--config serial-gate.toml`"
            );
        }
        let db_is_default = db.is_none();
        let db_named = db.clone().filter(|_| is_named);
        let db = db.unwrap_or_else(|| Location::from(DEFAULT_DATABASE));
        if let Some(folder) = db.file().filter(|path| path.is_dir()) {
            let example = folder.join(DEFAULT_DATABASE);
            return Err(Error::new(format!(
                "`{}` is a folder: name the database file in it, such as `{}`",
                folder.display(),
                example.display()
            )));
        }
        Ok(Shared {
            db_is_default,
            db_named,
            db: Database::new(db, given.durability.or(file.durability).unwrap_or_default()),
            json: global.json,
            overrides: Overrides {
                enabled: given.enabled.or(file.enabled),
                repos: given.repos.or(file.repos),
                freeze_enabled: given.freeze_enabled.or(file.freeze_enabled),
                rules: given.rules.or(file.rules),
            },
            by_flags,
            lease: given.lease.or(file.lease).unwrap_or(DEFAULT_LEASE),
            runtime: compile_policy::runtime(),
            trust: given.trust.or(file.trust).map(trust::read).transpose()?,
            projects: file.project,
            alerts: file.alerts,
            config,
            handed_on,
            log: log.clone(),
        })
    }

    /// An empty report in the requested form.
    pub fn report(&self) -> Report {
        Report::new(self.json)
    }

    /// Logs which configuration file is in use.
    pub fn log_configuration(&self) {
        if let Some(file) = &self.config {
            let (path, why) = (file.path.display(), file.chosen.why());
            tracing::info!("the configuration file is `{path}`, {why}");
        }
    }

    /// Opens the database without a policy.
    pub fn store(&self) -> Result<Store, Error> {
        Ok(Store::open(&self.db)?)
    }

    /// The repos that the configuration file has a project for.
    pub fn configured_repos(&self) -> Vec<String> {
        let repos = self.projects.iter().map(|project| project.repo.clone());
        repos.collect()
    }

    /// Opens the queue with the stored settings only.
    pub fn queue_as_stored(&self) -> Result<Queue, Error> {
        self.open(Overrides::default(), queue::Options::default())
    }

    /// The same, or `None` if no option names a database and the default is missing.
    pub fn queue_if_any(&self) -> Result<Option<Queue>, Error> {
        if self.has_no_queue() {
            return Ok(None);
        }
        self.queue_as_stored().map(Some)
    }

    /// Whether no option names a database and the default is missing.
    pub fn has_no_queue(&self) -> bool {
        let file = self.db.location.file();
        self.db_is_default && file.is_some_and(|path| !path.exists())
    }

    /// Opens the queue under the stored settings and this command's overrides. Rules of this
    /// command that the policy refuses are an error: without them, the queue would run ungated.
    pub fn queue(&self) -> Result<Queue, Error> {
        self.queue_with(queue::Options::default())
    }

    /// The same, with options.
    pub fn queue_with(&self, options: queue::Options) -> Result<Queue, Error> {
        let mut queue = self.open(self.overrides.clone(), options)?;
        if self.overrides.rules.is_some() {
            queue.check_rules(Timestamp::now())?;
        }
        if self.overrides.repos.is_some()
            && let Some(note) = queue.note_of_scope()?
        {
            tracing::warn!("{note}");
        }
        Ok(queue)
    }

    /// The same for a command that must work even if the policy refuses its rules.
    pub fn queue_with_any_rules(&self) -> Result<Queue, Error> {
        self.open(self.overrides.clone(), queue::Options::default())
    }

    fn open(&self, overrides: Overrides, options: queue::Options) -> Result<Queue, Error> {
        let options = queue::Options {
            runtime: self.runtime.clone(),
            trust: self.trust.clone(),
            repos: self.configured_repos(),
            ..options
        };
        Ok(Queue::open(&self.db, Rule::Active(overrides), options)?)
    }
}

/// A value that comes from a flag. If the variable has the same value, it comes from the variable.
fn by_flag(given: Option<&String>, name: &str) -> Option<String> {
    let of_variable = variable(name);
    given
        .filter(|given| of_variable.as_deref() != Some(given.as_str().as_ref()))
        .cloned()
}

fn is_unset(name: &str) -> bool {
    variable(name).is_none()
}
