//! The database that the user may have meant, if a name is mistyped.
//!
//! Owns the search next to a path for another database of almost the same name. It reads the first
//! bytes of the files that it considers, and nothing else.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How many names of a folder are considered.
const LOOKED_AT: usize = 10_000;

/// The database in the same folder with the most similar name, if one is similar enough.
pub fn beside(path: &Path) -> Option<PathBuf> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let wanted = stem(path)?;
    let names = std::fs::read_dir(folder).ok()?.take(LOOKED_AT).flatten();
    let mut alike: Vec<(usize, String)> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| path.file_name().is_none_or(|own| own != name.as_str()))
        .filter_map(|name| {
            let distance = strsim::damerau_levenshtein(&wanted, &stem(Path::new(&name))?);
            (distance <= (wanted.chars().count() / 4).min(3)).then_some((distance, name))
        })
        .collect();
    alike.sort();
    let is_database = |(_, name): &(usize, String)| is_database(&folder.join(name));
    let (_, name) = alike.into_iter().find(is_database)?;
    Some(path.with_file_name(name))
}

/// The name without its ending, in one case, with `-` and `_` the same.
fn stem(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    Some(stem.to_lowercase().replace('-', "_"))
}

fn is_database(path: &Path) -> bool {
    let mut beginning = [0; 16];
    // Reading a pipe could block for ever.
    path.is_file()
        && File::open(path)
            .and_then(|mut file| file.read_exact(&mut beginning))
            .is_ok()
        && &beginning == b"SQLite format 3\0"
}
