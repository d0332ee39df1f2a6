//! `conform`: runs conformance cases against the built-in policy, or any other.
//!
//! Owns the output and the JUnit report. Leaves the cases to the library. A failed case is printed
//! as soon as it has failed.

use std::path::PathBuf;

use clap::Args;
use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;
use serial_gate::conform::{Case, Runner, read_cases};
use serial_gate::gate::Overrides;
use serial_gate::policy::{Allowance, DEFAULT_POLICY};

use super::log::Level;
use super::options::Shared;
use super::output::{Report, Tone, toned};
use super::policy::proposal::File;
use super::policy::source::{Fetched, Origin, Sha256, Source};
use super::text::shown;
use super::verb::Verb;
use super::{Error, Outcome};

/// Run conformance cases, each through the spliced SQL and through the policy's decisions
#[derive(Args)]
#[command(after_help = "\
Every case runs on a real database in a temporary folder, for up to 60 s. A file
has one case per line: {\"case\": {…}, \"expected\": {…}}. `case` has `settings`
(enabled, repos, freeze_enabled, rules; a missing switch is off), rows in `tasks`,
`jobs` and `freezes`, and operations in `ops`. Fields that `expected` leaves out
are not compared.

If `--db` or its variable names a server, the database is a schema beside the
others, which is dropped in the end. A case with values that PostgreSQL does not
store is named, and is not counted as passed.

The flags `--enabled`, `--repos`, `--freeze-enabled` and `--rules` replace that
setting in every case. Otherwise, the environment, the configuration file and the
queue do not affect a case.

Examples:
  serial-gate conform tests/fixtures/*.jsonl
  serial-gate conform cases.jsonl --policy my-policy.wasm --junit report.xml
  serial-gate conform cases.jsonl --policy my-policy.wasm --rules '{\"limit\":3}'")]
pub struct Conform {
    /// Files of cases
    #[arg(required = true, value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
    /// The policy to test [default: the built-in one]
    #[arg(long, value_name = "FILE.wasm", value_parser = Source::parser())]
    policy: Option<Source>,
    /// The component's SHA-256; `https://` needs it
    #[arg(long, value_name = "HEX", requires = "policy", value_parser = Sha256::parse)]
    sha256: Option<Sha256>,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Verb for Conform {
    fn log(&self) -> Level {
        Level::Errors
    }

    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let policy = self
            .policy
            .map(|source| {
                let sha256 = self.sha256;
                read_policy(&File { source, sha256 }, shared)
            })
            .transpose()?;
        let component = policy.as_ref().map(|policy| policy.component.as_slice());
        let component = component.unwrap_or(DEFAULT_POLICY);
        let beside = shared.db_named.as_ref();
        let beside = beside.filter(|location| location.file().is_none());
        let (allowance, runtime) = (Allowance::default(), shared.runtime.clone());
        let mut runner = match beside {
            Some(server) => Runner::beside(server, component, allowance, runtime)?,
            None => Runner::new(component, allowance, runtime)?,
        };
        let replaced = replaced(&shared.by_flags);
        if !replaced.is_empty() {
            runner.replace_settings(shared.by_flags.clone())?;
        }
        let mut suites = Vec::new();
        // Every file is read before the first case runs, so that a bad line is found at once.
        for file in &self.files {
            suites.push((file, read_cases(file)?));
        }
        let (mut passed, mut failed, mut unfit) = (0, 0, 0);
        let mut junit = JUnit::new("serial-gate conform");
        for (file, cases) in &suites {
            let mut suite = TestSuite::new(file.display().to_string());
            for case in cases {
                if let Some(why) = runner.cannot_keep(case) {
                    unfit += 1;
                    not_storable(case, &why, shared).print()?;
                    let status = TestCaseStatus::skipped();
                    suite.add_test_case(TestCase::new(case.name.as_str(), status));
                    continue;
                }
                let failures = runner.failures(case);
                if failures.is_empty() {
                    passed += 1;
                } else {
                    failed += 1;
                    failed_case(case, &failures, shared).print()?;
                }
                suite.add_test_case(test_case(case, &failures));
            }
            junit.add_test_suite(suite);
        }
        if let Some(path) = self.junit {
            let xml = junit.to_string().map_err(std::io::Error::other);
            xml.and_then(|xml| std::fs::write(&path, xml))
                .map_err(Error::write(&path))?;
        }
        let mut report = shared.report();
        Origin::add(
            policy.as_ref().and_then(|policy| policy.origin.as_ref()),
            &mut report,
        );
        let mut summary = json!({ "passed": passed, "failed": failed, "replaced": replaced });
        let mut not = String::new();
        if beside.is_some()
            && let Some(summary) = summary.as_object_mut()
        {
            summary.insert("not_storable".into(), unfit.into());
        }
        if unfit > 0 {
            not = format!(", {unfit} not storable in PostgreSQL");
        }
        report.json(&summary);
        let each = match replaced.join("`, `") {
            names if names.is_empty() => names,
            names => format!(", each with its `{names}` replaced"),
        };
        report.line(format!("{passed} passed, {failed} failed{not}{each}"));
        Ok(match failed {
            0 => report,
            _ => report.ended(Outcome::Failed),
        })
    }
}

/// The settings that the flags replace in every case.
fn replaced(by_flags: &Overrides) -> Vec<&'static str> {
    let settings = [
        ("enabled", by_flags.enabled.is_some()),
        ("repos", by_flags.repos.is_some()),
        ("freeze_enabled", by_flags.freeze_enabled.is_some()),
        ("rules", by_flags.rules.is_some()),
    ];
    let given = settings.into_iter().filter(|(_, is_given)| *is_given);
    given.map(|(name, _)| name).collect()
}

fn failed_case(case: &Case, failures: &[String], shared: &Shared) -> Report {
    let mut report = shared.report();
    report.json(&json!({ "case": case.name, "failures": failures }));
    report.line(format!(
        "{} {}",
        toned(Tone::Held, "failed"),
        shown(&case.name)
    ));
    for failure in failures {
        report.line(format!("  {}", shown(failure)));
    }
    report
}

/// A case with values that the database does not keep.
fn not_storable(case: &Case, why: &str, shared: &Shared) -> Report {
    let mut report = shared.report();
    report.json(&json!({ "case": case.name, "not_storable": why }));
    report.line(format!(
        "not storable {}: {}",
        shown(&case.name),
        shown(why)
    ));
    report
}

fn test_case(case: &Case, failures: &[String]) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !failures.is_empty() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(failures.join("\n"));
    }
    TestCase::new(case.name.as_str(), status)
}

/// Reads a policy and loads it once, so that an unusable file is refused before any case runs.
fn read_policy(file: &File, shared: &Shared) -> Result<Fetched, Error> {
    let fetched = file.read_trusted(shared)?;
    shared
        .runtime
        .load(&fetched.component, Allowance::default())
        .and_then(|policy| policy.describe())
        .map_err(Error::policy_file(&file.source))?;
    Ok(fetched)
}
