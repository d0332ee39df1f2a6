//! A SHA-256 that bytes must have.

use std::fmt;

use serial_gate::policy::digest;

use super::Error;

/// 64 small hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256(String);

impl Sha256 {
    /// Reads the digits, with or without `sha256:` before them, which registries write.
    pub fn parse(text: &str) -> Result<Sha256, Error> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Error::NotADigest(text.into()));
        }
        Ok(Sha256(hex.to_ascii_lowercase()))
    }

    /// Reads a registry's digest, which names its algorithm.
    pub fn named(text: &str) -> Result<Sha256, Error> {
        match text.starts_with("sha256:") {
            true => Sha256::parse(text),
            false => Err(Error::NotADigest(text.into())),
        }
    }

    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Sha256 {
        Sha256(digest(bytes))
    }

    /// Refuses other bytes.
    pub fn check(&self, what: &'static str, bytes: &[u8]) -> Result<(), Error> {
        match Sha256::of(bytes) {
            found if found == *self => Ok(()),
            found => Err(Error::OtherDigest {
                what,
                expected: self.clone(),
                found,
            }),
        }
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}
