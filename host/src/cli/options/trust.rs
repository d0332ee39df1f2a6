//! The public keys whose policies are trusted, as an operator writes them: the key, or its file.

use std::path::{Path, PathBuf};

use serial_gate::policy::Trust;

use crate::cli::Error;
use crate::cli::plain_text::{self, plain};

/// Whether a text is a public key and not the path of a file with one. All keys begin like this,
/// whatever files the folder has.
pub fn is_key(text: &str) -> bool {
    text.starts_with("RW") && !text.ends_with(".pub")
}

/// The same keys, with each path changed.
pub fn with_paths(keys: Vec<String>, change: impl Fn(&Path) -> PathBuf) -> Vec<String> {
    let key = |key: String| match plain(&key) {
        text if is_key(text) => key,
        path => change(Path::new(path)).to_string_lossy().into(),
    };
    keys.into_iter().map(key).collect()
}

/// Reads the keys. An empty list trusts nobody: it does not mean "anybody".
pub fn read(keys: Vec<String>) -> Result<Trust, Error> {
    let texts = keys.iter().map(|key| match plain(key) {
        key if is_key(key) => Ok(key.to_owned()),
        path => plain_text::read(Path::new(path)),
    });
    Ok(Trust::new(texts.collect::<Result<Vec<_>, _>>()?)?)
}
