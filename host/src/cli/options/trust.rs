//! The trusted public keys, as an operator writes them: the key, or the path of its file.

use std::path::{Path, PathBuf};

use serial_gate::policy::Trust;

use crate::cli::Error;
use crate::cli::plain_text::{self, plain};

/// Whether a text is a public key and not the path of one. All keys begin with `RW`. No file is
/// looked for, so that the content of the folder does not matter.
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

/// Reads the keys. An empty list trusts no key, so every policy is refused.
pub fn read(keys: Vec<String>) -> Result<Trust, Error> {
    let texts = keys.iter().map(|key| match plain(key) {
        key if is_key(key) => Ok(key.to_owned()),
        path => plain_text::read(Path::new(path)),
    });
    Ok(Trust::new(texts.collect::<Result<Vec<_>, _>>()?)?)
}
