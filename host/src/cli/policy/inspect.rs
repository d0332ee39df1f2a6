//! `policy inspect`: what a component says of itself.

use clap::Args;
use serial_gate::model::INTERFACE;
use serial_gate::policy::{RuleFile, inspect, rule_file_in};

use super::proposal::File;
use super::source::Origin;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::{Report, Tone, toned};
use crate::cli::text::{count, shown};
use crate::cli::verb::Verb;

/// Show a component's size, digest, contract and metadata, without running it
#[derive(Args)]
#[command(after_help = "\
The metadata is what the author wrote. `policy check` runs the policy and tests it.

Example:
  serial-gate policy inspect my-policy.wasm")]
pub struct Inspect {
    #[command(flatten)]
    file: File,
}

impl Verb for Inspect {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let fetched = self.file.read()?;
        let source = fetched.origin.as_ref().map(Origin::source);
        let name = source.map_or_else(|| self.file.source.to_string(), Into::into);
        let found = inspect(&fetched.component)
            .map_err(|error| Error::because(format!("`{name}` cannot be a policy"), error))?;
        let problem = found.problem.as_ref().map(ToString::to_string);
        let rule = rule_file_in(&fetched.component);
        let mut report = shared.report();
        report.json(&serde_json::json!({
            "fetched": source, "bytes": found.bytes, "digest": found.digest,
            "contract": problem.is_none().then_some(INTERFACE), "problem": problem,
            "rule": rule.as_ref().map(|rule| [&rule.name, &rule.version, &rule.summary]),
            "imports": found.imports, "exports": found.exports,
            "metadata": found.metadata.iter().map(|(key, text)| [key, text]).collect::<Vec<_>>(),
        }));
        report.line(toned(Tone::Heading, shown(&name)));
        let line = |name: &str, text: &str| format!("  {name:<12} {}", shown(text));
        report.line(line("size", &count(found.bytes, "byte")));
        report.line(line("digest", &found.digest));
        report.line(match &problem {
            None => line("contract", INTERFACE),
            Some(problem) => line("no policy", problem),
        });
        if let Some(rule) = &rule {
            let RuleFile {
                name,
                version,
                summary,
                ..
            } = rule;
            report.line(line("rule", &format!("`{name}` {version}: {summary}")));
        }
        report.line(line("imports", &listed(&found.imports)));
        report.line(line("exports", &listed(&found.exports)));
        for (key, text) in &found.metadata {
            report.line(line(&shown(key), text));
        }
        Ok(report)
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        names => names.join(", "),
    }
}
