//! The configuration file: which one is in use.
//!
//! Owns the choice: the file that a flag or a variable names, else `serial-gate.toml` beside the database, else that of the
//! user. Leaves its keys to `options`. Callers rely on this: one file is in use or none, the folder that a command runs in
//! never chooses it (a checkout may hold anything), and a path in it starts at the file's own folder.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serial_gate::ownership::{self, Unsafe};

use super::Error;
use super::options::{DEFAULT_DATABASE, Given};

/// Its name beside the database, and in the user's folder.
const NAME: &str = "serial-gate.toml";

/// The configuration file in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// Who chose it.
    pub chosen: Chosen,
}

/// How a configuration file came to be in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// `--config` or `SERIAL_GATE_CONFIG` names it.
    ByName,
    /// It lies beside the database, which a flag or a variable names.
    BesideTheDatabase,
    /// It lies beside the default database, in the folder that the command runs in.
    BesideTheDefault,
    /// It is in the user's configuration folder.
    OfTheUser,
}

impl Chosen {
    /// Why this file, in words.
    pub fn why(self) -> &'static str {
        match self {
            Chosen::ByName => "named by `--config` or `SERIAL_GATE_CONFIG`",
            Chosen::BesideTheDatabase => "beside the database",
            Chosen::BesideTheDefault => "beside the database of this folder",
            Chosen::OfTheUser => "in the user's configuration folder",
        }
    }
}

impl ConfigFile {
    fn new(path: PathBuf, chosen: Chosen) -> ConfigFile {
        ConfigFile { path, chosen }
    }

    /// A path that the file has in it.
    pub fn beside(&self, path: &Path) -> PathBuf {
        match self.path.parent() {
            Some(folder) => folder.join(path),
            None => path.into(),
        }
    }

    fn read(&self) -> Result<Given, Error> {
        let text = std::fs::read_to_string(&self.path).map_err(|cause| Error::Read {
            path: self.path.clone(),
            cause,
        })?;
        toml::from_str(&text).map_err(|mut cause| {
            // The line that is wrong is shown with the error, and could be one with an address.
            if text.contains("alerts") {
                cause.set_input(None);
            }
            Error::Config {
                path: self.path.clone(),
                cause,
            }
        })
    }
}

/// The file in use and what it says, for a command that names this file and this database, or does not. `makes_it`: the
/// command makes the default database, so that what lies beside it there counts already.
pub fn read(
    named: Option<&Path>,
    db: Option<&Path>,
    makes_it: bool,
) -> Result<(Given, Option<ConfigFile>), Error> {
    if let Some(path) = named {
        let file = ConfigFile::new(path.into(), Chosen::ByName);
        return Ok((file.read()?, Some(file)));
    }
    let of_the_user = of_the_user();
    if let Some(db) = db {
        return match beside(db, Chosen::BesideTheDatabase)? {
            Some(file) => Ok((file.read()?, Some(file))),
            None => read_if_any(of_the_user),
        };
    }
    // The user's file may name the database; a database that this folder happens to have is only the default.
    let (given, of_the_user) = read_if_any(of_the_user)?;
    let default = Path::new(DEFAULT_DATABASE);
    if given.db.is_some() || !(makes_it || default.exists()) {
        return Ok((given, of_the_user));
    }
    let Some(file) = beside(default, Chosen::BesideTheDefault)? else {
        return Ok((given, of_the_user));
    };
    let given = file.read()?;
    match &given.db {
        Some(other) if !is_same(&file.beside(other), default) => Err(Error::OtherDatabase {
            path: file.path,
            db: other.clone(),
        }),
        _ => Ok((given, Some(file))),
    }
}

/// Whether this folder has a configuration file that a command without a queue leaves alone.
pub fn is_left_alone(file: Option<&ConfigFile>) -> bool {
    file.is_none() && Path::new(NAME).exists()
}

fn read_if_any(file: Option<ConfigFile>) -> Result<(Given, Option<ConfigFile>), Error> {
    match file {
        Some(file) => Ok((file.read()?, Some(file))),
        None => Ok((Given::default(), None)),
    }
}

/// The file beside a database. Not that of another user, who could switch the gate off with it.
fn beside(db: &Path, chosen: Chosen) -> Result<Option<ConfigFile>, Error> {
    // A link to the database in a checkout is no reason to believe the checkout.
    let is_link = std::fs::symlink_metadata(db).is_ok_and(|link| link.is_symlink());
    let real = is_link.then(|| db.canonicalize().ok()).flatten();
    let path = real.as_deref().unwrap_or(db).with_file_name(NAME);
    let Ok(about) = std::fs::metadata(&path) else {
        return Ok(None);
    };
    let of_the_database = std::fs::metadata(db).ok().map(|db| db.uid());
    match ownership::check(&about, of_the_database, ownership::OTHERS) {
        Ok(()) => Ok(Some(ConfigFile::new(path, chosen))),
        Err(Unsafe::Foreign) => Err(Error::ForeignConfig { path }),
        Err(Unsafe::Writable) => Err(Error::OpenConfig { path }),
    }
}

fn of_the_user() -> Option<ConfigFile> {
    let folder = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    let path = folder.join("serial-gate").join(NAME);
    path.exists()
        .then(|| ConfigFile::new(path, Chosen::OfTheUser))
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
