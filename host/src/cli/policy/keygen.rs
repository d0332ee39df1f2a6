//! `policy keygen`: makes a pair of keys for signing policies, in minisign's format.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use minisign::KeyPair;
use serde_json::json;

use super::new_file::write_new;
use super::sign::password;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::verb::Verb;

/// Make a pair of keys for signing policies
#[derive(Args)]
#[command(after_help = "\
The public key is written next to the secret key, with the ending `.pub`. Existing files
are not replaced. Only the owner can read the file of the secret key. If the variable
SERIAL_GATE_KEY_PASSWORD has a password, it protects the key. `minisign` reads both
files, too.

Example:
  serial-gate policy keygen serial-gate.key")]
pub struct Keygen {
    /// The file for the secret key
    #[arg(value_name = "FILE.key")]
    file: PathBuf,
}

impl Verb for Keygen {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let public_file = self.file.with_extension("pub");
        if public_file == self.file {
            return Err(Error::new(format!(
                "`{}` would be the public key: name the file of the secret key, such as `{}`",
                public_file.display(),
                self.file.with_extension("key").display()
            )));
        }
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
        let (public, public_box, secret_box) =
            boxes.map_err(|cause| Error::because("cannot make the keys", cause))?;
        // The public key first: if the second file cannot be written, no secret has to be removed.
        write_new(&public_file, &public_box.to_bytes(), 0o644)?;
        if let Err(error) = write_new(&self.file, &secret_box.to_bytes(), 0o600) {
            let _ = fs::remove_file(&public_file);
            return Err(error);
        }
        let (secret_file, public_file) = (self.file.display(), public_file.display());
        let mut report = shared.report();
        report.json(&json!({
            "secret_key_file": secret_file.to_string(),
            "public_key_file": public_file.to_string(),
            "public_key": public,
        }));
        let protection = if protected {
            "protected by its password"
        } else {
            "not protected by a password, so keep it where only you can read it"
        };
        report.line(format!("`{secret_file}` is the secret key, {protection}"));
        report.line(format!(
            "  sign with: serial-gate policy sign FILE.wasm --key {secret_file}"
        ));
        report.line(format!("`{public_file}` is the public key: {public}"));
        report.line(format!("  trust it with: --trust {public}"));
        Ok(report)
    }
}
