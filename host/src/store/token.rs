//! What a claim gives to its holder: a token, and a fence.
//!
//! Owns how they look. The token opens the way out of `running`: it is random, so no token can be
//! guessed from another, and none is repeated after a backup is restored. The fence is a number
//! that grows with every claim of a job, so that other systems can refuse a late worker. Neither
//! needs a row that all claims share.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use subtle::ConstantTimeEq;

use super::Error;

/// The start of every token. SQLite stores a text that looks like a number as a number if the
/// column is numeric, as `jobs.gate_token` is in older databases.
const PREFIX: &str = "sgc_";

/// 128 bits cannot be guessed.
const RANDOM_BYTES: usize = 16;

/// JavaScript's greatest exact integer.
const LARGEST_FENCE: i64 = (1 << 53) - 1;

fn random() -> Result<[u8; RANDOM_BYTES], Error> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::NoRandom)?;
    Ok(bytes)
}

/// The key of a new alert, by which a receiver knows it again.
pub(super) fn new_key() -> Result<String, Error> {
    Ok(format!("{:032x}", u128::from_be_bytes(random()?)))
}

/// A new token.
pub(super) fn new_token() -> Result<String, Error> {
    let bytes = random()?;
    let text = Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default();
    Ok(format!("{PREFIX}{text}"))
}

/// Whether a token is the token that was given out. Older claims have a number, which is compared
/// as text.
pub(super) fn is_token(shown: &str, given: &str) -> bool {
    shown.as_bytes().ct_eq(given.as_bytes()).into()
}

/// The next fence of a job, in SQL: the time in milliseconds (`now`), or one more than the last
/// fence where that is greater. A value that no claim can have written is ignored.
pub(super) fn next_fence(now: &str) -> String {
    format!(
        "CASE WHEN gate_fence >= {now} AND gate_fence < {LARGEST_FENCE}
              THEN CAST(gate_fence AS BIGINT) + 1 ELSE {now} END"
    )
}
