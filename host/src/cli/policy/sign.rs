//! `policy sign`: writes a signature next to a policy, in minisign's format.

use std::path::PathBuf;

use clap::Args;
use ct_codecs::{Base64, Decoder};
use jiff::Timestamp;
use minisign::{ErrorKind, PError, PublicKey, SecretKey, SecretKeyBox};
use serde_json::json;
use serial_gate::alerts::KEY_PASSWORD;

use super::source::{component_of, signature_path};
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::plain_text;
use crate::cli::text::shown;
use crate::cli::verb::Verb;

/// Sign a policy, for hosts that trust the key
#[derive(Args)]
#[command(after_help = "\
The signature is written next to the policy, as FILE.wasm.minisig, where `policy check`
and `policy swap` look for it. `minisign -S` makes the same, and `minisign -V` verifies
it. The password of a protected key is read from the variable SERIAL_GATE_KEY_PASSWORD.

Example:
  serial-gate policy sign my-policy.wasm --key serial-gate.key")]
pub struct Sign {
    /// The policy: a component, or a rule file `RULE.sql`
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    /// The secret key, as `policy keygen` or `minisign -G` makes it
    #[arg(long, value_name = "FILE.key")]
    key: PathBuf,
}

impl Verb for Sign {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let component = component_of(&self.file)?;
        let key = self.secret_key()?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let comment = format!(
            "timestamp:{}\tfile:{}\thashed",
            Timestamp::now().as_second(),
            shown(&name)
        );
        let signature = PublicKey::from_secret_key(&key).and_then(|public| {
            let untrusted = Some("signature from serial-gate");
            minisign::sign(
                Some(&public),
                &key,
                component.as_slice(),
                Some(&comment),
                untrusted,
            )
        });
        let signature =
            signature.map_err(|cause| Error::because("cannot make the signature", cause))?;
        let path = signature_path(&self.file);
        std::fs::write(&path, signature.to_bytes()).map_err(Error::write(&path))?;
        let path = path.display().to_string();
        let mut report = shared.report();
        report.json(&json!({ "signature_file": path }));
        report.line(format!(
            "`{}` is the signature: keep it next to the policy",
            shown(&path)
        ));
        Ok(report)
    }
}

impl Sign {
    fn secret_key(&self) -> Result<SecretKey, Error> {
        let text = plain_text::read(&self.key)?;
        let path = self.key.display();
        // Both texts have a comment above the key, and only a public key begins like this.
        let key = text.lines().last().unwrap_or_default();
        if key.starts_with("RW") && key.len() == PUBLIC_KEY {
            return Err(Error::new(format!(
                "`{path}` is a public key: sign with the secret key that belongs to it"
            )));
        }
        open(text, password()).map_err(|cause| {
            let text = format!(
                "`{path}` cannot sign: give a secret key of minisign, and the password of a \
                 protected one in the variable `{KEY_PASSWORD}`"
            );
            Error::because(text, cause)
        })
    }
}

/// The length of a public key's text.
const PUBLIC_KEY: usize = 56;

/// A secret key from its file's content. The program `minisign` gives an unprotected key no
/// checksum, so none is required: the signature is verified instead.
fn open(text: String, password: Option<String>) -> Result<SecretKey, PError> {
    let encoded = text.lines().nth(1).unwrap_or_default();
    let key = SecretKey::from_bytes(&Base64::decode_to_vec(encoded.trim(), None)?)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let password = password.ok_or_else(|| {
        PError::new(
            ErrorKind::EncryptedKey,
            "the key is protected by a password",
        )
    })?;
    SecretKeyBox::from(text).into_secret_key(Some(password))
}

/// The password of a secret key. It is never asked for, so that a command without a terminal does
/// not hang. A line end comes from a file and is dropped; a space may be part of the password.
pub fn password() -> Option<String> {
    let password = std::env::var(KEY_PASSWORD).ok()?;
    let password = plain_text::without_line_ends(&password);
    (!password.is_empty()).then(|| password.to_owned())
}
