//! An access token: its text, and the hash that the database stores.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use sha2::{Digest, Sha256};

/// The beginning of every token, so that scanners can find a leaked one.
const PREFIX: &str = "sgt";
const BYTES: usize = 32;

/// A new secret.
pub struct Secret {
    text: String,
    pub hash: Vec<u8>,
}

impl Secret {
    pub fn make() -> Result<Secret, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        let text = Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default();
        Ok(Secret {
            hash: Sha256::digest(bytes).to_vec(),
            text,
        })
    }

    /// The token's text. It is not stored, so it is shown once.
    pub fn token(&self, id: i64) -> String {
        format!("{PREFIX}_{id}_{}", self.text)
    }
}

/// The number of a token, and the hash of its secret.
pub fn read(token: &str) -> Option<(i64, Vec<u8>)> {
    let (id, secret) = token
        .strip_prefix(PREFIX)?
        .strip_prefix('_')?
        .split_once('_')?;
    let secret = Base64UrlSafeNoPadding::decode_to_vec(secret, None).ok()?;
    Some((id.parse().ok()?, Sha256::digest(secret).to_vec()))
}
