//! Where a queue is kept, and how safely its changes are written.
//!
//! Owns what a caller gives to open a database. Leaves the opening to `Store`.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::clause::Dialect;

#[cfg(feature = "postgres")]
use super::postgres::server::{AddressError, Server};

/// When a change counts as made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Every change is on the disk before its call returns.
    #[default]
    Full,
    /// A power cut may lose the last moments of claims and tasks. A killed process loses nothing.
    /// Freezes, access tokens, generations and deploy verdicts are always on the disk.
    Normal,
}

impl Durability {
    /// By its name, as in the configuration file.
    pub fn of_name(name: &str) -> Option<Durability> {
        match name {
            "full" => Some(Durability::Full),
            "normal" => Some(Durability::Normal),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Full => "full",
            Durability::Normal => "normal",
        }
    }
}

/// Where a queue is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a file of SQLite's.
    File(PathBuf),
    /// In a database of a PostgreSQL server.
    #[cfg(feature = "postgres")]
    Server(Server),
}

/// Why a text is no place of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotALocation {
    /// It begins like the address of a server, but is not one.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It looks like the address of a server, and does not begin as one. It is not shown, because it
    /// may have a password.
    #[error(
        "it looks like the address of a server: write `postgres://USER@HOST/DATABASE`, or put `./` \
         before the name of a file"
    )]
    LikeAnAddress,
    /// It is meant as the address of a server.
    #[cfg(not(feature = "postgres"))]
    #[error("this build has only SQLite, without the feature `postgres`")]
    OnlySqlite,
}

/// Whether a text that begins with no scheme of ours has the form of an address: another scheme, a
/// wrong mark after ours, or the words of libpq's other form.
fn is_like_an_address(text: &OsStr) -> bool {
    let text = text.to_string_lossy();
    let text = text.trim_start().to_ascii_lowercase();
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.:".contains(c))
    };
    let words = ["password=", "dbname=", "host="];
    scheme.is_some_and(is_scheme)
        || text.strip_prefix("postgres").is_some_and(|rest| {
            let rest = rest.strip_prefix("ql").unwrap_or(rest);
            rest.starts_with([':', ';'])
        })
        || words
            .iter()
            .any(|word| text.starts_with(word) || text.contains(&format!(" {word}")))
}

impl Location {
    /// What a text names: the address of a server if it begins with `postgres://` or
    /// `postgresql://`, otherwise a file.
    ///
    /// # Errors
    ///
    /// When it begins so and is no address, or this build has no PostgreSQL. No error has a password
    /// of the text.
    pub fn of(text: &OsStr) -> Result<Location, NotALocation> {
        if !Location::is_address(text) {
            return match is_like_an_address(text) {
                true => Err(NotALocation::LikeAnAddress),
                false => Ok(Location::File(text.into())),
            };
        }
        #[cfg(feature = "postgres")]
        return Ok(Location::Server(text.to_string_lossy().parse()?));
        #[cfg(not(feature = "postgres"))]
        return Err(NotALocation::OnlySqlite);
    }

    /// Whether a text is meant as the address of a server, and not as a path.
    pub fn is_address(text: &OsStr) -> bool {
        let text = text.as_encoded_bytes();
        [&b"postgres://"[..], b"postgresql://"]
            .iter()
            .any(|scheme| {
                let start = text.get(..scheme.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            })
    }

    /// Whether the text of this place has a password.
    pub fn has_password(&self) -> bool {
        match self {
            Location::File(_) => false,
            #[cfg(feature = "postgres")]
            Location::Server(server) => server.has_password(),
        }
    }

    /// The same place as a file names it: each path is changed.
    #[must_use]
    pub fn with_paths(self, change: impl Fn(&Path) -> PathBuf) -> Location {
        match self {
            Location::File(path) => Location::File(change(&path)),
            #[cfg(feature = "postgres")]
            Location::Server(server) => Location::Server(server.with_paths(change)),
        }
    }

    /// The same place, with the password in a file that holds nothing else.
    #[must_use]
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "a file has no password")
    )]
    pub fn with_password_file(self, path: PathBuf) -> Location {
        match self {
            Location::File(_) => self,
            #[cfg(feature = "postgres")]
            Location::Server(server) => Location::Server(server.with_password_file(path)),
        }
    }

    /// How a clause is written for this place.
    pub fn dialect(&self) -> Dialect {
        match self {
            Location::File(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Location::Server(_) => Dialect::Postgres,
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Location::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Location::Server(_) => None,
        }
    }
}

impl fmt::Display for Location {
    /// The path, or the URL without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            #[cfg(feature = "postgres")]
            Location::Server(server) => server.fmt(f),
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Location {
    fn from(path: &P) -> Location {
        Location::File(path.as_ref().into())
    }
}

/// A queue's database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where it is.
    pub location: Location,
    /// When a change counts as made.
    pub durability: Durability,
}

impl Database {
    /// A database of this durability.
    pub fn new(location: Location, durability: Durability) -> Database {
        Database {
            location,
            durability,
        }
    }
}

impl From<&Path> for Database {
    /// With full durability.
    fn from(path: &Path) -> Database {
        Database::new(path.into(), Durability::default())
    }
}

impl From<&PathBuf> for Database {
    /// With full durability.
    fn from(path: &PathBuf) -> Database {
        Database::from(path.as_path())
    }
}

impl From<&Database> for Database {
    fn from(database: &Database) -> Database {
        database.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_path_unless_it_begins_like_an_address() {
        for path in [
            "queue.db",
            "postgres.db",
            "a:b.db",
            "./x=host=y",
            "/postgres://h/db",
            "",
        ] {
            let place = Location::of(path.as_ref());
            assert_eq!(place, Ok(Location::File(path.into())));
        }
    }

    #[test]
    fn a_text_like_an_address_is_refused_and_not_repeated() {
        for text in [
            "postgresql+psycopg2://u:secret@h/db",
            "postgress://u:secret@h/db",
            "postgres:/u:secret@h/db",
            "postgresql;//u:secret@h/db",
            " postgres://u:secret@h/db",
            "jdbc:postgresql://h/db?password=secret",
            "host=h dbname=db password=secret",
        ] {
            let refusal = Location::of(text.as_ref()).inspect_err(|refusal| {
                assert!(!refusal.to_string().contains("secret"));
            });
            assert_eq!(refusal, Err(NotALocation::LikeAnAddress), "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn an_address_is_an_address_in_either_spelling() {
        for url in ["postgres://h/db", "postgresql://h/db", "POSTGRES://h/db"] {
            let place = Location::of(url.as_ref()).map(|place| place.to_string());
            assert_eq!(place.as_deref(), Ok("postgres://h/db"));
        }
    }

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn without_postgres_an_address_is_refused_and_not_taken_for_a_path() {
        let refusal = Location::of("postgres://u:secret@h/db".as_ref()).unwrap_err();
        insta::assert_snapshot!(refusal, @"this build has only SQLite, without the feature `postgres`");
    }
}
