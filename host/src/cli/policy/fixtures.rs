//! `policy fixtures`: the cases that a new policy of this queue has to pass.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serial_gate::conform::parse_cases;
use serial_gate::store::Act;

use crate::cli::options::{Shared, Who};
use crate::cli::output::Output;
use crate::cli::text::{count, shown};
use crate::cli::{Error, Outcome};

/// Attach conformance cases to the queue: a new policy has to pass them
#[derive(Subcommand)]
#[command(
    after_help = "Example:\n  serial-gate policy fixtures add cases.jsonl\n  serial-gate policy fixtures list"
)]
pub enum Fixtures {
    Add(Add),
    List(List),
    Remove(Remove),
}

/// Attach a file of cases, in the place of one of the same name
#[derive(Args)]
#[command(
    after_help = "The format is that of `serial-gate conform`.\n\nExample:\n  serial-gate policy fixtures add cases.jsonl"
)]
pub struct Add {
    /// The file of cases, one a line
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    #[command(flatten)]
    who: Who,
}

/// List what is attached
#[derive(Args)]
pub struct List {}

/// Remove attached cases
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy fixtures remove cases.jsonl")]
pub struct Remove {
    /// Their name, as `list` shows it
    #[arg(value_name = "NAME")]
    name: String,
}

impl Fixtures {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        match self {
            Fixtures::Add(verb) => verb.run(shared, output),
            Fixtures::List(_) => list(shared, output),
            Fixtures::Remove(Remove { name }) => {
                shared.store()?.remove_fixture(&name)?;
                if output.json {
                    output.json_line(&serde_json::json!({ "name": name, "removed": true }))?;
                } else {
                    output.line(format!("`{}` is removed", shown(&name)))?;
                }
                Ok(Outcome::Done)
            }
        }
    }
}

impl Add {
    fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let text = std::fs::read_to_string(&self.file).map_err(|cause| Error::Read {
            path: self.file.clone(),
            cause,
        })?;
        let cases = parse_cases(&self.file, &text)?.len();
        let name = self
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let who = self.who.name();
        let act = Act {
            now: Timestamp::now(),
            who: &who,
            why: "",
        };
        shared.store()?.add_fixture(&name, &text, act)?;
        if output.json {
            output.json_line(&serde_json::json!({ "name": name, "cases": cases }))?;
        } else {
            output.line(format!(
                "`{}` is attached: {}",
                shown(&name),
                count(cases, "case")
            ))?;
        }
        Ok(Outcome::Done)
    }
}

fn list(shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
    let fixtures = shared.store()?.fixtures()?;
    if output.json {
        for fixture in fixtures {
            output.json_line(&fixture)?;
        }
        return Ok(Outcome::Done);
    }
    if fixtures.is_empty() {
        output.line("no cases are attached: a new policy has to keep the invariants only")?;
        return Ok(Outcome::Done);
    }
    let rows = fixtures.iter().map(|fixture| {
        let cases = fixture.cases.lines().filter(|line| !line.trim().is_empty());
        vec![
            shown(&fixture.name),
            cases.count().to_string(),
            fixture.added_at.clone(),
            shown(&fixture.who),
        ]
    });
    output.table(&["name", "cases", "added (utc)", "by"], rows.collect())?;
    Ok(Outcome::Done)
}
