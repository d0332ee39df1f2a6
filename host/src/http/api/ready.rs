//! Why the service cannot do its work now.
//!
//! Owns the reasons and their texts. Leaves the check to `health`. Callers rely on this: the texts
//! name parts of the gate's own schema, and no path and no row, because they are shown without a
//! token.

use serial_gate::gate::NotInForce;
use serial_gate::store::{Missing, NoRoom};

/// How many missing things are named.
const NAMED: usize = 3;

/// Why the service is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Parts of the schema are gone, so claims may fail or miss changes.
    #[error(
        "{} of the gate in the database {} gone or altered ({}), so changes may go unseen: run \
         `serial-gate init` on it",
        kinds(.0), is_or_are(.0), names(.0)
    )]
    Missing(Vec<Missing>),
    /// There is no room for a change.
    #[error(
        "the disk of the database is full, so nothing can be claimed or changed: free some space"
    )]
    Full,
    /// A change could not be written.
    #[error(
        "the disk of the database does not take changes: it may be full, read-only or broken, or \
         this process may have a limit on the size of files"
    )]
    Disk,
    /// Claims use another rule than the active one.
    #[error(transparent)]
    NotInForce(NotInForce),
}

impl From<NoRoom> for NotReady {
    fn from(no_room: NoRoom) -> NotReady {
        match no_room {
            NoRoom::Full => NotReady::Full,
            NoRoom::Failed => NotReady::Disk,
        }
    }
}

fn kind(missing: &Missing) -> (&'static str, &str) {
    match missing {
        Missing::Table(name) => ("table", name),
        Missing::Column(name) => ("column", name),
        Missing::Row(name) => ("row", name),
        Missing::Index(name) => ("index", name),
        Missing::Sequence(name) => ("sequence", name),
        Missing::Function(name) => ("function", name),
        Missing::Trigger(name) => ("trigger", name),
    }
}

/// Such as `2 triggers and 1 index`.
fn kinds(missing: &[Missing]) -> String {
    let count = |(one, many): (&str, &str)| {
        let number = missing
            .iter()
            .filter(|missing| kind(missing).0 == one)
            .count();
        match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        }
    };
    let kinds = [
        ("table", "tables"),
        ("column", "columns"),
        ("row", "rows"),
        ("index", "indexes"),
        ("sequence", "sequences"),
        ("function", "functions"),
        ("trigger", "triggers"),
    ];
    let found: Vec<String> = kinds.into_iter().filter_map(count).collect();
    found.join(", ")
}

fn is_or_are(missing: &[Missing]) -> &'static str {
    if missing.len() == 1 { "is" } else { "are" }
}

fn names(missing: &[Missing]) -> String {
    let named = missing.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|missing| format!("`{}`", kind(missing).1))
        .collect();
    let more = if missing.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}
