//! Text that must not be printed by accident.
//!
//! Owns the type, which has no `Display` and an empty `Debug`, and the names of the environment
//! variables that hold secrets, so that child processes do not inherit them.

use std::fmt;

/// The bot's token.
pub const TELEGRAM_TOKEN: &str = "SERIAL_GATE_TELEGRAM_TOKEN";
/// The webhook's address.
pub const WEBHOOK_URL: &str = "SERIAL_GATE_WEBHOOK_URL";
/// The webhook's key.
pub const WEBHOOK_SECRET: &str = "SERIAL_GATE_WEBHOOK_SECRET";

/// The password of the key that signs policies.
pub const KEY_PASSWORD: &str = "SERIAL_GATE_KEY_PASSWORD";

/// The environment variables that child processes must not inherit.
pub const SECRET_VARIABLES: [&str; 4] = [TELEGRAM_TOKEN, WEBHOOK_URL, WEBHOOK_SECRET, KEY_PASSWORD];

/// A token, a key, or an address that may hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for a request or a signature.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
