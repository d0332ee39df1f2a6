//! A reference to an artefact in an OCI registry: `HOST/NAME[:TAG][@sha256:DIGEST]`.
//!
//! Owns its grammar, which is that of the distribution specification. Callers rely on this: a name,
//! a tag and a digest have no letter that means something in a URL.

use std::fmt;

use super::address::Address;
use super::digest::Sha256;
use super::error::Error;

/// The longest name, and the longest tag.
const LONGEST: (usize, usize) = (255, 128);

#[derive(Debug, Clone)]
pub struct Reference {
    registry: Address,
    name: String,
    tag: Option<String>,
    digest: Option<Sha256>,
}

impl Reference {
    /// Reads what follows `oci://`.
    pub fn parse(text: &str) -> Result<Reference, Error> {
        let not = |why| Error::NotAReference { why };
        let (host, rest) = text
            .split_once('/')
            .ok_or(not("write it as `oci://HOST/NAME:TAG`"))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(Sha256::named(digest)?)),
            None => (rest, None),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        if name.len() > LONGEST.0 || !name.split('/').all(is_component) {
            return Err(not(
                "a name has small letters and digits, with `.`, `_` and `-` between them, and `/`",
            ));
        }
        if !tag.is_none_or(is_tag) {
            return Err(not("a tag has letters, digits, `_`, `.` and `-`"));
        }
        // As docker does it: a registry on this machine has no certificate.
        let secure = Address::parse(&format!("https://{host}/"))?;
        let registry = match secure.is_loopback() {
            true => Address::parse(&format!("http://{host}/"))?,
            false => secure,
        };
        let authority = registry.uri().authority();
        if authority.is_none_or(|authority| authority.as_str() != host) {
            return Err(not("write it as `oci://HOST/NAME:TAG`"));
        }
        Ok(Reference {
            registry,
            name: name.into(),
            tag: tag.map(Into::into),
            digest,
        })
    }

    pub fn registry(&self) -> &Address {
        &self.registry
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The manifest's digest, if it is given.
    pub fn digest(&self) -> Option<&Sha256> {
        self.digest.as_ref()
    }

    /// What the registry is asked for: the digest rather than the tag, which may have moved.
    pub fn asked(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".into(),
        }
    }

    /// The same artefact by its manifest's digest.
    pub fn pinned(&self, manifest: &Sha256) -> Reference {
        Reference {
            digest: Some(manifest.clone()),
            ..self.clone()
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry.server(), self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_component(part: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_end = |byte: Option<u8>| byte.is_some_and(is_alphanumeric);
    let mut bytes = part.bytes();
    is_end(part.bytes().next())
        && is_end(part.bytes().last())
        && bytes.all(|byte| is_alphanumeric(byte) || b"._-".contains(&byte))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST.1
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || b".-".contains(&byte))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_comes_before_a_tag_and_without_both_it_is_latest() {
        let with_digest = format!("ghcr.io/a/b:1.0@{DIGEST}");
        for (text, asked) in [
            ("ghcr.io/a/b", "latest"),
            ("ghcr.io:443/a/b_c.d-e/f:1.0", "1.0"),
            ("[::1]:5000/a:x", "x"),
            (&with_digest, DIGEST),
        ] {
            assert_eq!(Reference::parse(text).unwrap().asked(), asked, "{text}");
        }
    }

    #[test]
    fn only_a_registry_on_this_machine_is_asked_in_plain() {
        let https = |text| Reference::parse(text).unwrap().registry.is_https();
        assert!(https("registry.example/a") && https("10.0.0.1:5000/a"));
        assert!(!https("127.0.0.1:5000/a") && !https("localhost:5000/a"));
    }

    #[test]
    fn a_reference_with_anything_else_is_refused() {
        for text in [
            "ghcr.io",
            "ghcr.io/",
            "/a",
            "ghcr.io/a/../b",
            "ghcr.io/a//b",
            "ghcr.io/.a",
            "ghcr.io/A",
            "ghcr.io/a?n=1",
            "ghcr.io/a%2fb",
            "ghcr.io/a:",
            "ghcr.io/a:b/c",
            "ghcr.io/a:b?c",
            "ghcr.io/a@sha256:abc",
            "ghcr.io/a@sha512:e3b0",
            "user@ghcr.io/a",
            "ghcr.io?x=/a",
            "ghcr.io#x/a",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
