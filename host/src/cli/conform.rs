//! `conform`: runs conformance cases against the built-in policy, or any other.

use std::path::{Path, PathBuf};

use clap::Args;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serial_gate::conform::{Case, Runner, read_cases};
use serial_gate::gate::Overrides;
use serial_gate::policy::{Allowance, DEFAULT_POLICY};

use super::options::Shared;
use super::output::{Output, Tone, toned};
use super::policy::proposal::File;
use super::text::shown;
use super::{Error, Outcome};

/// Run conformance cases, each through the spliced SQL and through the policy's decisions
#[derive(Args)]
#[command(
    after_help = "Every case runs on a real database in a temporary folder. A file holds one case a line:\n{\"case\": {…}, \"expected\": {…}}. `case` has `settings` (enabled, repos, freeze_enabled, rules; a\nswitch that is left out is off), rows in `tasks`, `jobs` and `freezes`, and operations in `ops`;\nfields that `expected` leaves out are not compared.\n\nThe flags `--enabled`, `--repos`, `--freeze-enabled` and `--rules` replace that setting in every case; the\nenvironment, the configuration file and the queue have no say in a case. A case has 60 s.\n\nExamples:\n  serial-gate conform tests/fixtures/*.jsonl\n  \
    serial-gate conform cases.jsonl --policy my-policy.wasm --junit report.xml\n  \
    serial-gate conform cases.jsonl --policy my-policy.wasm --rules '{\"limit\":3}'"
)]
pub struct Conform {
    /// Files of cases
    #[arg(required = true, value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
    /// The policy to test [default: the one that is built in]
    #[arg(long, value_name = "FILE.wasm")]
    policy: Option<PathBuf>,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What became of a case: nothing, or what to say of it.
struct Result<'a> {
    case: &'a Case,
    failures: Vec<String>,
}

impl Conform {
    pub fn run(self, shared: &Shared, output: &mut Output) -> std::result::Result<Outcome, Error> {
        let policy = self
            .policy
            .map(|file| read_policy(File { file }, shared))
            .transpose()?;
        let component = policy.as_deref().unwrap_or(DEFAULT_POLICY);
        let mut runner = Runner::new(component, Allowance::default(), shared.runtime.clone())?;
        let replaced = replaced(&shared.told);
        if !replaced.is_empty() {
            runner.replace_settings(shared.told.clone())?;
        }
        let mut suites = Vec::new();
        // Every file is read before the first case runs, so that a bad line is not found too late.
        for file in &self.files {
            suites.push((file, read_cases(file)?));
        }
        let (mut passed, mut failed) = (0, 0);
        let mut report = Report::new("serial-gate conform");
        for (file, cases) in &suites {
            let mut suite = TestSuite::new(file.display().to_string());
            for case in cases {
                let result = Result {
                    case,
                    failures: runner.failures(case),
                };
                if result.failures.is_empty() {
                    passed += 1
                } else {
                    failed += 1
                }
                print(&result, output)?;
                suite.add_test_case(junit(&result));
            }
            report.add_test_suite(suite);
        }
        if let Some(path) = self.junit {
            write_report(&report, &path)?;
        }
        if output.json {
            output.json_line(&serde_json::json!({
                "passed": passed, "failed": failed, "replaced": replaced,
            }))?;
        } else if replaced.is_empty() {
            output.line(format!("{passed} passed, {failed} failed"))?;
        } else {
            let replaced = replaced.join("`, `");
            output.line(format!(
                "{passed} passed, {failed} failed, each with its `{replaced}` replaced"
            ))?;
        }
        Ok(if failed == 0 {
            Outcome::Done
        } else {
            Outcome::Failed
        })
    }
}

/// The settings that the flags replace in every case.
fn replaced(told: &Overrides) -> Vec<&'static str> {
    let settings = [
        ("enabled", told.enabled.is_some()),
        ("repos", told.repos.is_some()),
        ("freeze_enabled", told.freeze_enabled.is_some()),
        ("rules", told.rules.is_some()),
    ];
    let given = settings.into_iter().filter(|(_, is_given)| *is_given);
    given.map(|(name, _)| name).collect()
}

fn print(result: &Result<'_>, output: &mut Output) -> std::io::Result<()> {
    if result.failures.is_empty() {
        return Ok(());
    }
    if output.json {
        return output.json_line(
            &serde_json::json!({ "case": result.case.name, "failures": result.failures }),
        );
    }
    output.line(format!(
        "{} {}",
        toned(Tone::Held, "failed"),
        shown(&result.case.name)
    ))?;
    result
        .failures
        .iter()
        .try_for_each(|failure| output.line(format!("  {}", shown(failure))))
}

fn junit(result: &Result<'_>) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !result.failures.is_empty() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(result.failures.join("\n"));
    }
    TestCase::new(result.case.name.as_str(), status)
}

fn write_report(report: &Report, path: &Path) -> std::result::Result<(), Error> {
    let xml = report.to_string().map_err(std::io::Error::other);
    xml.and_then(|xml| std::fs::write(path, xml))
        .map_err(|cause| Error::Write {
            path: path.into(),
            cause,
        })
}

/// Reads a policy and loads it once, so that a file that is no policy is refused before any case.
fn read_policy(file: File, shared: &Shared) -> std::result::Result<Vec<u8>, Error> {
    let bytes = file.read_trusted(shared)?;
    shared
        .runtime
        .load(&bytes, Allowance::default())
        .and_then(|policy| policy.describe())
        .map_err(|cause| Error::PolicyFile {
            path: file.file,
            cause,
        })?;
    Ok(bytes)
}
