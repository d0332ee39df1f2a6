//! Where a queue is kept, and how safely its changes are written.
//!
//! Owns what a caller gives to open a database. Leaves the opening to `Store`.

use std::path::{Path, PathBuf};

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

/// A queue's database.
#[derive(Debug, Clone)]
pub struct Database {
    /// The file.
    pub path: PathBuf,
    /// When a change counts as made.
    pub durability: Durability,
}

impl Database {
    /// A database of this durability.
    pub fn new(path: impl Into<PathBuf>, durability: Durability) -> Database {
        Database {
            path: path.into(),
            durability,
        }
    }
}

impl From<&Path> for Database {
    /// With full durability.
    fn from(path: &Path) -> Database {
        Database::new(path, Durability::default())
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
