//! `policy export`: writes a generation's component to a file.

use std::path::PathBuf;

use clap::Args;
use serial_gate::gate::component;

use super::new_file::{USUAL, write_new};
use super::source::signature_path;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::verb::Verb;

/// Write a generation's component to a new file
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy export 1 serial.wasm")]
pub struct Export {
    /// The generation's number
    #[arg(value_name = "N")]
    generation: i64,
    /// The file, which must not exist yet
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
}

impl Verb for Export {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut store = shared.store()?;
        let generation = store.generation(self.generation)?;
        let bytes = component(&mut store, &generation.digest)?;
        write_new(&self.file, &bytes, USUAL)?;
        if let Some(text) = generation.signature {
            write_new(&signature_path(&self.file), text.as_bytes(), USUAL)?;
        }
        let mut report = shared.report();
        report.json(&serde_json::json!({
            "generation": generation.id, "digest": generation.digest,
            "file": self.file.to_string_lossy(),
        }));
        let file = self.file.display();
        report.line(format!(
            "`{file}` is the component of generation {}",
            generation.id
        ));
        Ok(report)
    }
}
