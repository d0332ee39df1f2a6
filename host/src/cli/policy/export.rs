//! `policy export`: a generation's component as a file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serial_gate::queue::component;

use super::proposal::signature_path;
use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::{Error, Outcome};

/// Write a generation's component to a new file
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy export 1 serial.wasm")]
pub struct Export {
    /// The generation's number
    #[arg(value_name = "N")]
    generation: i64,
    /// The file, which must not be there yet
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
}

impl Export {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut store = shared.store()?;
        let generation = store.generation(self.generation)?;
        let bytes = component(&mut store, &generation.digest)?;
        write(&self.file, &bytes)?;
        if let Some(text) = generation.signature {
            write(&signature_path(&self.file), text.as_bytes())?;
        }
        if output.json {
            output.json_line(&serde_json::json!({
                "generation": generation.id, "digest": generation.digest, "file": self.file.to_string_lossy(),
            }))?;
        } else {
            output.line(format!(
                "`{}` is the component of generation {}",
                self.file.display(),
                generation.id
            ))?;
        }
        Ok(Outcome::Done)
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(content))
        .map_err(|cause| match cause.kind() {
            ErrorKind::AlreadyExists => Error::Exists { path: path.into() },
            _ => Error::Write {
                path: path.into(),
                cause,
            },
        })
}
