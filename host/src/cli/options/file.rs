//! The configuration file: which one is in use.
//!
//! Owns the choice: the file that a flag or a variable names, otherwise `serial-gate.toml` next to
//! the database if that is a file, otherwise the user's file. Leaves its keys to `options`. Callers rely on this: at
//! most one file is in use; a file is not used only because it is in the current folder, which may
//! be a checkout; and a path in the file is relative to the file's folder.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serial_gate::ownership::{self, Unsafe};
use serial_gate::store::Location;

use super::{DEFAULT_DATABASE, Given};
use crate::cli::Error;

/// Its name next to the database, and in the user's folder.
const NAME: &str = "serial-gate.toml";

/// The configuration file in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// Why this one.
    pub chosen: Chosen,
}

/// Why a configuration file is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// `--config` or `SERIAL_GATE_CONFIG` names it.
    ByName,
    /// It is next to the database, which a flag or a variable names.
    BesideTheDatabase,
    /// It is next to the default database, in the folder that the command runs in.
    BesideTheDefault,
    /// It is in the user's configuration folder.
    OfTheUser,
}

impl Chosen {
    /// Why this file, in words.
    pub fn why(self) -> &'static str {
        match self {
            Chosen::ByName => "named by `--config` or `SERIAL_GATE_CONFIG`",
            Chosen::BesideTheDatabase => "next to the database",
            Chosen::BesideTheDefault => "next to the database of this folder",
            Chosen::OfTheUser => "in the user's configuration folder",
        }
    }
}

impl ConfigFile {
    fn new(path: PathBuf, chosen: Chosen) -> ConfigFile {
        ConfigFile { path, chosen }
    }

    /// A path that the file contains.
    pub fn beside(&self, path: &Path) -> PathBuf {
        match self.path.parent() {
            Some(folder) => folder.join(path),
            None => path.into(),
        }
    }

    fn read(&self) -> Result<Given, Error> {
        let text = std::fs::read_to_string(&self.path).map_err(Error::read(&self.path))?;
        toml::from_str(&text).map_err(|mut cause| {
            let line = cause.span().map(|span| line_of(&text, span.start));
            // The error would show the wrong line, which may contain a secret or its address.
            if ["alerts", "://", "password"]
                .iter()
                .any(|word| text.contains(word))
            {
                cause.set_input(None);
            }
            let path = self.path.display();
            let what = "is not a configuration that this version understands";
            let line = line
                .map(|line| format!(", line {line},"))
                .unwrap_or_default();
            Error::because(format!("`{path}`{line} {what}"), cause)
        })
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at);
    before.filter(|byte| *byte == b'\n').count() + 1
}

/// The file in use and its content. `named` is from `--config`, and `db` from `--db`.
/// `makes_database`: the command makes the default database, so a file next to it counts already.
pub fn read(
    named: Option<&Path>,
    db: Option<&Path>,
    makes_database: bool,
) -> Result<(Given, Option<ConfigFile>), Error> {
    if let Some(path) = named {
        return read_if_any(Some(ConfigFile::new(path.into(), Chosen::ByName)));
    }
    let of_the_user = of_the_user();
    if let Some(db) = db {
        // Nothing is next to a server.
        let beside = match Location::is_address(db.as_os_str()) {
            true => None,
            false => beside(db, Chosen::BesideTheDatabase)?,
        };
        return read_if_any(beside.or(of_the_user));
    }
    // The user's file may name the database, and comes before the default in this folder.
    let (given, of_the_user) = read_if_any(of_the_user)?;
    let default = Path::new(DEFAULT_DATABASE);
    if given.db.is_some() || !(makes_database || default.exists()) {
        return Ok((given, of_the_user));
    }
    let Some(file) = beside(default, Chosen::BesideTheDefault)? else {
        return Ok((given, of_the_user));
    };
    let given = file.read()?;
    match &given.db {
        Some(other) if !is_same(&file.beside(other), default) => Err(Error::new(format!(
            "`{}` is next to the database that this command uses, but names another one, `{}`: \
             remove its `db`, or name the file with `--config`",
            file.path.display(),
            match Location::of(other.as_os_str()) {
                Ok(other) => other.to_string(),
                Err(_) => "postgres://".into(),
            }
        ))),
        _ => Ok((given, Some(file))),
    }
}

/// Whether this folder has a configuration file that a command without a queue ignores.
pub fn is_ignored(file: Option<&ConfigFile>) -> bool {
    file.is_none() && Path::new(NAME).exists()
}

fn read_if_any(file: Option<ConfigFile>) -> Result<(Given, Option<ConfigFile>), Error> {
    match file {
        Some(file) => Ok((file.read()?, Some(file))),
        None => Ok((Given::default(), None)),
    }
}

/// The file next to a database. Another user's file is refused: it could switch the gate off.
fn beside(db: &Path, chosen: Chosen) -> Result<Option<ConfigFile>, Error> {
    // A checkout may contain a link to the database: a file next to the link is not trusted.
    let is_link = std::fs::symlink_metadata(db).is_ok_and(|link| link.is_symlink());
    let real = is_link.then(|| db.canonicalize().ok()).flatten();
    let path = real.as_deref().unwrap_or(db).with_file_name(NAME);
    let Ok(about) = std::fs::metadata(&path) else {
        return Ok(None);
    };
    let of_the_database = std::fs::metadata(db).ok().map(|db| db.uid());
    match ownership::check(&about, of_the_database, ownership::OTHERS) {
        Ok(()) => Ok(Some(ConfigFile::new(path, chosen))),
        Err(Unsafe::Foreign) => Err(Error::new(format!(
            "`{}` belongs to another user, so it is not read: remove it, make it yours with \
             `chown`, or name it with `--config`",
            path.display()
        ))),
        Err(Unsafe::Writable) => Err(Error::new(format!(
            "every user of this machine may write `{}`, so it is not read: `chmod o-w` it",
            path.display()
        ))),
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
