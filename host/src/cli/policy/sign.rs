//! `policy sign`: a signature beside a policy, in minisign's format.

use std::path::PathBuf;

use clap::Args;
use ct_codecs::{Base64, Decoder};
use jiff::Timestamp;
use minisign::{ErrorKind, PError, PublicKey, SecretKey, SecretKeyBox};
use serde_json::json;
use serial_gate::alerts::KEY_PASSWORD;

use super::proposal::signature_path;
use crate::cli::output::Output;
use crate::cli::plain_text;
use crate::cli::text::shown;
use crate::cli::{Error, Outcome};

/// Sign a policy, for hosts that trust the key
#[derive(Args)]
#[command(
    after_help = "The signature goes beside the policy, as FILE.wasm.minisig, where `policy check` and `policy swap`\nlook for it. `minisign -S` makes the same, and `minisign -V` verifies it. The password of a\nprotected key is read from the variable SERIAL_GATE_KEY_PASSWORD.\n\nExample:\n  serial-gate policy sign my-policy.wasm --key serial-gate.key"
)]
pub struct Sign {
    /// The policy's component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The secret key, as `policy keygen` or `minisign -G` makes it
    #[arg(long, value_name = "FILE.key")]
    key: PathBuf,
}

impl Sign {
    pub fn run(self, output: &mut Output) -> Result<Outcome, Error> {
        let read = |cause| Error::Read {
            path: self.file.clone(),
            cause,
        };
        let component = std::fs::read(&self.file).map_err(read)?;
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
        let signature = signature.map_err(|cause| Error::Keys {
            what: "signature",
            cause,
        })?;
        let path = signature_path(&self.file);
        std::fs::write(&path, signature.to_bytes()).map_err(|cause| Error::Write {
            path: path.clone(),
            cause,
        })?;
        let path = path.display().to_string();
        if output.json {
            output.json_line(&json!({ "signature_file": path }))?;
        } else {
            output.line(format!(
                "`{}` is the signature: keep it beside the policy",
                shown(&path)
            ))?;
        }
        Ok(Outcome::Done)
    }

    fn secret_key(&self) -> Result<SecretKey, Error> {
        let text = plain_text::read(&self.key)?;
        open(text, password()).map_err(|cause| Error::SecretKey {
            path: self.key.clone(),
            cause,
        })
    }
}

/// A secret key from its file's content. The program `minisign` gives an unprotected key no
/// checksum, so none is asked for: the signature is verified instead.
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

/// The password of a secret key. It is never asked for, so that no command waits for a terminal. A
/// line end is what a file leaves behind; a space may be a part of it.
pub fn password() -> Option<String> {
    let password = std::env::var(KEY_PASSWORD).ok()?;
    let password = plain_text::without_line_ends(&password);
    (!password.is_empty()).then(|| password.to_owned())
}
