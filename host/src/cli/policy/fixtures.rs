//! `policy fixtures`: the cases that a new policy of this queue has to pass.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use serial_gate::conform::parse_cases;

use crate::cli::Error;
use crate::cli::options::{Shared, Who};
use crate::cli::output::Report;
use crate::cli::text::{count, shown};
use crate::cli::verb::Verb;

/// Attach conformance cases to the queue: a new policy has to pass them
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  serial-gate policy fixtures add cases.jsonl
  serial-gate policy fixtures list")]
pub enum Fixtures {
    Add(Add),
    /// List the attached cases
    #[command(after_help = "Example:\n  serial-gate policy fixtures list")]
    List,
    Remove(Remove),
}

/// Attach a file of cases; it replaces an attached one of the same name
#[derive(Args)]
#[command(after_help = "\
The format is that of `serial-gate conform`.

Example:
  serial-gate policy fixtures add cases.jsonl")]
pub struct Add {
    /// The file of cases, one per line
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    #[command(flatten)]
    who: Who,
}

/// Remove attached cases
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate policy fixtures remove cases.jsonl")]
pub struct Remove {
    /// The name of the cases, as `list` shows it
    #[arg(value_name = "NAME")]
    name: String,
}

impl Verb for Fixtures {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        match self {
            Fixtures::Add(verb) => verb.run(shared),
            Fixtures::List => list(shared),
            Fixtures::Remove(Remove { name }) => {
                shared.store()?.remove_fixture(&name)?;
                let mut report = shared.report();
                report.json(&json!({ "name": name, "removed": true }));
                report.line(format!("`{}` is removed", shown(&name)));
                Ok(report)
            }
        }
    }
}

impl Add {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let file = &self.file;
        let text = std::fs::read_to_string(file).map_err(Error::read(file))?;
        let cases = parse_cases(file, &text)?.len();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        shared
            .store()?
            .add_fixture(&name, &text, self.who.actor(""))?;
        let mut report = shared.report();
        report.json(&json!({ "name": name, "cases": cases }));
        let (name, cases) = (shown(&name), count(cases, "case"));
        report.line(format!("`{name}` is attached: {cases}"));
        Ok(report)
    }
}

fn list(shared: &Shared) -> Result<Report, Error> {
    let fixtures = shared.store()?.fixtures()?;
    let mut report = shared.report();
    for fixture in &fixtures {
        report.json(fixture);
    }
    if fixtures.is_empty() {
        report.line("no cases are attached: a new policy only has to keep the invariants");
        return Ok(report);
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
    report.table(&["name", "cases", "added (utc)", "by"], rows);
    Ok(report)
}
