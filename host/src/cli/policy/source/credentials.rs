//! The credentials for registries, from docker's configuration file.
//!
//! Owns where the file is and how a registry is named in it. No program is run: a credential helper
//! is only named, in the error. Callers rely on this: no error shows credentials.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use ct_codecs::{Base64, Decoder};
use serde::Deserialize;

use super::error::Error;

/// What is known of registries, by their names.
#[derive(Debug, Default)]
pub struct Credentials {
    /// `USER:PASSWORD`.
    pairs: BTreeMap<String, String>,
    helpers: BTreeMap<String, String>,
    helper_of_all: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
}

impl Credentials {
    /// Reads `config.json` in the folder that `DOCKER_CONFIG` names, or else in `~/.docker`. Without
    /// the file, there are no credentials.
    pub fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Credentials, Error> {
        let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
        let home = || Some(PathBuf::from(variable("HOME")?).join(".docker"));
        let Some(folder) = folder.or_else(home) else {
            return Ok(Credentials::default());
        };
        let path = folder.join("config.json");
        let unreadable = |cause| Error::Credentials {
            path: path.clone(),
            cause,
        };
        match std::fs::read(&path) {
            Ok(bytes) => {
                Credentials::parse(&bytes).map_err(|why| unreadable(io::Error::other(why)))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Credentials::default()),
            Err(cause) => Err(unreadable(cause)),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Credentials, &'static str> {
        // The text of serde's error may show a value.
        let config: Config = serde_json::from_slice(bytes).map_err(|_| "it is not docker's")?;
        let mut pairs = BTreeMap::new();
        for (name, entry) in config.auths {
            let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()) else {
                continue;
            };
            let pair = Base64::decode_to_vec(auth, None).ok();
            let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
            let pair = pair.filter(|pair| pair.contains(':'));
            let pair = pair.ok_or("an `auth` is not the base64 of `USER:PASSWORD`")?;
            pairs.insert(server(&name), pair);
        }
        let helpers = config.cred_helpers.into_iter();
        Ok(Credentials {
            pairs,
            helpers: helpers
                .map(|(name, helper)| (server(&name), helper))
                .collect(),
            helper_of_all: config.creds_store.filter(|helper| !helper.is_empty()),
        })
    }

    /// `USER:PASSWORD` for a server.
    pub fn of(&self, server: &str) -> Option<&str> {
        self.pairs.get(server).map(String::as_str)
    }

    /// Why a registry has no credentials here.
    pub fn missing(&self, registry: &str) -> Error {
        let helper = self.helpers.get(registry).or(self.helper_of_all.as_ref());
        let registry = registry.to_owned();
        match helper.cloned() {
            Some(helper) => Error::Helper { registry, helper },
            None => Error::NoCredentials { registry },
        }
    }
}

/// A server's name. Docker has written it as a URL, too.
fn server(name: &str) -> String {
    let name = name.strip_prefix("https://").unwrap_or(name);
    let name = name.strip_prefix("http://").unwrap_or(name);
    let name = name.split('/').next().unwrap_or_default();
    let name = name.strip_suffix(":443").unwrap_or(name);
    name.to_ascii_lowercase()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_found_however_docker_wrote_its_name() {
        let config = br#"{"auths": {
            "ghcr.io": {"auth": "YTpi"}, "https://Index.docker.io/v1/": {"auth": "Yzpk"},
            "localhost:5000": {"auth": "ZTpm"}, "empty.example": {}},
            "credHelpers": {"helped.example": "pass"}, "HttpHeaders": {}}"#;
        let credentials = Credentials::parse(config).unwrap();
        assert_eq!(credentials.of("ghcr.io"), Some("a:b"));
        assert_eq!(credentials.of("index.docker.io"), Some("c:d"));
        assert_eq!(credentials.of("localhost:5000"), Some("e:f"));
        for other in ["localhost", "empty.example", "sub.ghcr.io", "docker.io"] {
            assert_eq!(credentials.of(other), None);
        }
        let helped = credentials.missing("helped.example");
        assert!(matches!(helped, Error::Helper { helper, .. } if helper == "pass"));
        let empty = credentials.missing("empty.example");
        assert!(matches!(empty, Error::NoCredentials { .. }));
    }

    #[test]
    fn an_error_about_the_file_does_not_show_it() {
        for config in [
            &br#"{"auths": {"a": {"auth": "c2VjcmV0"}}}"#[..],
            br#"{"auths": {"a": "c2VjcmV0"}}"#,
            br#"{"auths": {"a": {"auth": "c2VjcmV0!"}}}"#,
            b"c2VjcmV0",
        ] {
            let why = Credentials::parse(config).unwrap_err();
            assert!(!why.contains("c2V") && !why.contains("secret"), "{why}");
        }
    }
}
