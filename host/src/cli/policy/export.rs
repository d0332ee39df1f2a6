//! `policy export`: a generation's component as a file.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serial_gate::queue;

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
        let component = store
            .component(&generation.digest)?
            .ok_or(queue::Error::NoComponent {
                digest: generation.digest,
            })?;
        write(&self.file, &component.bytes)?;
        if let Some(text) = component.signature {
            write(&signature_path(&self.file), text.as_bytes())?;
        }
        if !output.json {
            output.line(format!(
                "`{}` is the component of generation {}",
                self.file.display(),
                generation.id
            ))?;
        }
        Ok(Outcome::Done)
    }
}

fn write(path: &PathBuf, content: &[u8]) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(content))
        .map_err(|cause| Error::Write {
            path: path.clone(),
            cause,
        })
}
