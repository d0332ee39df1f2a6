//! `policy kit`: writes what a host of policies needs that is not this command.
//!
//! Owns the names of the files. Callers rely on this: nothing is overwritten.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serial_gate::policy::{DEFAULT_POLICY, GUARD, JSON_FACE};

use super::new_file::{USUAL, write_new};
use super::wit::{CONTRACT, OF_GUARD, OF_JSON_FACE};
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::text::shown;
use crate::cli::verb::Verb;

/// The files by their paths, and what each is.
const FILES: [(&str, &[u8], &str); 6] = [
    ("default.wasm", DEFAULT_POLICY, "the built-in policy"),
    ("guard.wasm", GUARD, "the guard of the clause"),
    (
        "json-face.wasm",
        JSON_FACE,
        "the contract in JSON, to compose with a policy",
    ),
    (
        "wit/serial-gate.wit",
        CONTRACT.as_bytes(),
        "the contract of a policy",
    ),
    ("wit/guard.wit", OF_GUARD.as_bytes(), "that of the guard"),
    (
        "wit/json-face.wit",
        OF_JSON_FACE.as_bytes(),
        "that of the contract in JSON",
    ),
];

/// Write what a host in another language needs: the built-in policy, the guard, the JSON face,
/// and their contracts
#[derive(Args)]
#[command(after_help = "\
No file is overwritten. docs/hosting.md says what a host does with them.

Example:
  serial-gate policy kit gate")]
pub struct Kit {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Verb for Kit {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let folder = self.folder;
        let wit = folder.join("wit");
        fs::create_dir_all(&wit).map_err(Error::write(&wit))?;
        let mut report = shared.report();
        report.json(&serde_json::json!({
            "folder": folder.to_string_lossy(), "files": FILES.map(|(path, _, _)| path),
        }));
        for (path, content, what) in FILES {
            let file = folder.join(path);
            write_new(&file, content, USUAL)?;
            report.line(format!("`{}` is {what}", shown(&file.to_string_lossy())));
        }
        Ok(report)
    }
}
