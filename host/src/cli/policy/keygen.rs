//! `policy keygen`: a pair of keys for signing policies, in minisign's format.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use minisign::KeyPair;
use serde_json::json;

use super::new_file::write_new;
use super::sign::password;
use crate::cli::output::Output;
use crate::cli::{Error, Outcome};

/// Make the keys that policies are signed with
#[derive(Args)]
#[command(
    after_help = "The public key goes beside the secret one, with the ending `.pub`. Neither replaces a file. The\nsecret key is readable for its owner only; it is protected by a password if there is one in the\nvariable SERIAL_GATE_KEY_PASSWORD. `minisign` reads both files too.\n\nExample:\n  serial-gate policy keygen serial-gate.key"
)]
pub struct Keygen {
    /// The file for the secret key
    #[arg(value_name = "FILE.key")]
    file: PathBuf,
}

impl Keygen {
    pub fn run(self, output: &mut Output) -> Result<Outcome, Error> {
        let public_file = self.file.with_extension("pub");
        let password = password();
        let protected = password.is_some();
        let keys = match password {
            Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
            None => KeyPair::generate_unencrypted_keypair(),
        };
        let boxes = keys.and_then(|keys| {
            let secret = keys.sk.to_box(Some("serial-gate secret key"))?;
            Ok((keys.pk.to_base64(), keys.pk.to_box()?, secret))
        });
        let (public, public_box, secret_box) = boxes.map_err(|cause| Error::Keys {
            what: "keys",
            cause,
        })?;
        // The public key first: if the second file cannot be written, the one to take back is the
        // one that can be made again.
        write_new(&public_file, &public_box.to_bytes(), 0o644)?;
        if let Err(error) = write_new(&self.file, &secret_box.to_bytes(), 0o600) {
            let _ = fs::remove_file(&public_file);
            return Err(error);
        }
        let (secret_file, public_file) = (self.file.display(), public_file.display());
        if output.json {
            output.json_line(&json!({
                "secret_key_file": secret_file.to_string(),
                "public_key_file": public_file.to_string(),
                "public_key": public,
            }))?;
            return Ok(Outcome::Done);
        }
        let protection = if protected {
            "protected by its password"
        } else {
            "not protected by a password, so keep it where only you can read it"
        };
        output.line(format!("`{secret_file}` is the secret key, {protection}"))?;
        output.line(format!(
            "  sign with: serial-gate policy sign FILE.wasm --key {secret_file}"
        ))?;
        output.line(format!("`{public_file}` is the public key: {public}"))?;
        output.line(format!("  trust it with: --trust {public}"))?;
        Ok(Outcome::Done)
    }
}
