//! `policy check`: whether a component may be a queue's policy.

use std::path::PathBuf;

use clap::Args;
use serial_gate::conform::check_policy;
use serial_gate::queue::default_settings;

use crate::cli::options::Shared;
use crate::cli::output::{Output, Tone, toned};
use crate::cli::text::shown;
use crate::cli::{Error, Outcome};

/// Check a policy stage by stage: contract, clause, and the invariants that any gate should keep
#[derive(Args)]
#[command(
    after_help = "Nothing is changed: the states are made up, on a temporary database. The policy is asked under\nthe settings of this command.\n\nExample:\n  serial-gate policy check my-policy.wasm"
)]
pub struct Check {
    /// The policy's component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
}

impl Check {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let component = std::fs::read(&self.file).map_err(|cause| Error::Read {
            path: self.file,
            cause,
        })?;
        let settings = shared.overrides.over(default_settings());
        let mut outcome = Outcome::Done;
        for stage in check_policy(&component, &settings)? {
            if output.json {
                output.json_line(&serde_json::Value::from(&stage))?;
            }
            let line = match &stage.found {
                Ok(found) => format!("{}       {}", toned(Tone::Free, "ok"), shown(found)),
                Err(reason) => {
                    outcome = Outcome::Failed;
                    format!("{}  {}", toned(Tone::Held, "refused"), shown(reason))
                }
            };
            if !output.json {
                output.line(format!("{:<12} {line}", stage.name))?;
            }
        }
        Ok(outcome)
    }
}
