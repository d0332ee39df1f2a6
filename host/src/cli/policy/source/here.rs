//! The policies of this machine: built in, a component's file, or a rule file.

use std::io;
use std::path::{Path, PathBuf};

use serial_gate::policy::{self, BUILT_IN, DEFAULT_POLICY};

use crate::cli::Error;
use crate::cli::output::shown;

/// How the name of a rule file ends.
pub const RULE_FILE: &str = ".sql";

/// The default policy in a word.
pub const DEFAULT: &str = "built-in";

/// What comes before the name of a policy that needs no file.
pub const PREFIX: &str = "builtin:";

/// The built-in policy of a name, which has the prefix unless it is the default's.
pub fn built_in(text: &str) -> Result<&'static [u8], Error> {
    if text == DEFAULT {
        return Ok(DEFAULT_POLICY);
    }
    let name = text.strip_prefix(PREFIX).unwrap_or(text);
    let mut policies = BUILT_IN.iter();
    if let Some((_, component)) = policies.find(|(known, _)| *known == name) {
        return Ok(component);
    }
    let known = BUILT_IN
        .map(|(name, _)| format!("`{PREFIX}{name}`"))
        .join(", ");
    Err(Error::new(format!(
        "`{PREFIX}{}` is not built in: write one of {known}, or the path of a file",
        shown(name)
    )))
}

/// The component of a file, or of the rule in it.
pub fn component_of(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    match path.to_string_lossy() {
        name if name.ends_with(RULE_FILE) => of_rule_file(&name, bytes),
        _ => Ok(bytes),
    }
}

/// The policy of a rule file.
pub fn of_rule_file(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let name = shown(name);
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::new(format!("`{name}` is not text: save it as UTF-8")))?;
    policy::of_rule_file(&text)
        .map_err(|cause| Error::because(format!("`{name}` is refused"), cause))
}

/// The signature next to a component, if there is one.
pub fn signature_next_to(component: &Path) -> Result<Option<String>, Error> {
    let path = signature_path(component);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(super::text(&bytes))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::read(&path)(cause)),
    }
}

/// The path of a component's signature.
pub fn signature_path(component: &Path) -> PathBuf {
    let mut path = component.to_owned().into_os_string();
    path.push(".minisig");
    path.into()
}
