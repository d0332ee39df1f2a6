//! The public keys that an operator trusts, and the check of a component's signature.
//!
//! Owns the refusals of a component for its signature, in minisign's format, before anything of the
//! component is read. Leaves to its callers where keys and signatures come from. Callers rely on
//! this: a `Trust` without keys trusts nobody; no `Trust` at all means that no signature is needed.

use std::fmt;

use minisign_verify::{PublicKey, Signature};

use super::{Error, is_built_in};
use crate::remedy::Remedy;

/// The trusted keys.
#[derive(Debug, Clone)]
pub struct Trust(Vec<PublicKey>);

/// Who vouches for a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// It is built into this host, and needs no signature.
    BuiltIn,
    /// A trusted key.
    Key {
        /// What the signer wrote, such as the time and the file's name. It is signed as well.
        comment: String,
    },
}

/// Why a component is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Not a key. What was given is not repeated: it may be a secret key.
    #[error(
        "trusted key {number} is not a public key: give its text, which begins with `RW`, or its \
         `.pub` file"
    )]
    NoKey {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// No signature.
    #[error("has no signature, and only signed policies are trusted here")]
    Unsigned,
    /// Not a signature.
    #[error("has a signature that is not in minisign's format")]
    NoSignature,
    /// Signed in the form that minisign no longer uses.
    #[error("has a signature in minisign's old form")]
    OldForm,
    /// Signed with an unknown key.
    #[error("is signed with a key that is not trusted here")]
    UnknownKey,
    /// Signed by a trusted key, but not this component.
    #[error("is not what was signed, because the component or its signature was altered")]
    Altered,
}

impl Distrust {
    /// What to do about it, where a command or a route does that.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Distrust::NoKey { .. } => None,
            Distrust::Unsigned | Distrust::NoSignature | Distrust::OldForm => Some(Remedy::Sign),
            Distrust::UnknownKey => Some(Remedy::TrustKey),
            Distrust::Altered => Some(Remedy::SignAgain),
        }
    }
}

impl Trust {
    /// Trusts these keys: each is its text, or the content of a `.pub` file.
    pub fn new<Key: AsRef<str>>(keys: impl IntoIterator<Item = Key>) -> Result<Trust, Error> {
        let keys = keys.into_iter().zip(1..).map(|(key, number)| {
            // A file has a comment above the key.
            let key = key.as_ref().trim().lines().last().unwrap_or_default();
            PublicKey::from_base64(key).map_err(|_| Distrust::NoKey { number })
        });
        Ok(Trust(keys.collect::<Result<_, _>>()?))
    }

    /// Who vouches for a component; an error if no trusted key does.
    pub fn check(&self, component: &[u8], signature: Option<&str>) -> Result<Signer, Error> {
        if is_built_in(component) {
            return Ok(Signer::BuiltIn);
        }
        let signature = signature.ok_or(Distrust::Unsigned)?;
        let signature = Signature::decode(signature).map_err(|_| Distrust::NoSignature)?;
        let mut refused = Distrust::UnknownKey;
        for key in &self.0 {
            const OLD_FORM: bool = false;
            match key.verify(component, &signature, OLD_FORM) {
                Ok(()) => {
                    return Ok(Signer::Key {
                        comment: signature.trusted_comment().to_owned(),
                    });
                }
                // The ids of keys are not unique: another key may still fit.
                Err(minisign_verify::Error::UnexpectedKeyId) => {}
                Err(minisign_verify::Error::UnexpectedAlgorithm) => refused = Distrust::OldForm,
                Err(_) => refused = Distrust::Altered,
            }
        }
        Err(refused.into())
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signer::BuiltIn => f.write_str("built into this host, which needs no signature"),
            Signer::Key { comment } => {
                let comment = comment.split_whitespace().collect::<Vec<_>>().join(" ");
                write!(f, "by a trusted key: {comment}")
            }
        }
    }
}
