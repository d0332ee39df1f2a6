//! The workflow for a repository with a policy: each of its steps, run as a script.

use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::support::{Gate, Ran, checkout};

/// A step of the workflow: its name and its script.
struct Step {
    name: String,
    script: String,
}

/// The steps of `docs/policy-workflow.yml` that have a script.
fn steps() -> Vec<Step> {
    const INDENT: &str = "          ";
    let text = std::fs::read_to_string(checkout().join("docs/policy-workflow.yml")).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("      - name: ") {
            steps.push(Step {
                name: name.to_owned(),
                script: String::new(),
            });
        } else if let (Some(line), Some(step)) = (line.strip_prefix(INDENT), steps.last_mut()) {
            step.script += line;
            step.script += "\n";
        }
    }
    assert_eq!(steps.len(), 4);
    steps
}

/// Runs the workflow in a folder with a rule file, up to the first step that fails.
fn run(gate: &Gate, program: &str, sha256: &str) -> Result<(), (String, Ran)> {
    for Step { name, script } in steps() {
        let ran: Ran = Command::new("bash")
            .args(["-e", "-c", &script])
            .current_dir(gate.path("mine"))
            .env("SERIAL_GATE", program)
            .env("SERIAL_GATE_SHA256", sha256)
            .env("BUILD", "")
            .env("POLICY", "rule.sql")
            .output()
            .unwrap()
            .into();
        if ran.code != Some(0) {
            return Err((name, ran));
        }
    }
    Ok(())
}

fn with_a_rule() -> Gate {
    let gate = Gate::empty();
    gate.run(&["policy", "new", "mine", "--clause-only"])
        .succeeds();
    gate
}

#[test]
fn each_step_passes_with_an_archive_whose_digest_is_right() {
    let gate = with_a_rule();
    let folder = gate.path("serial-gate-0.1.0");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(
        env!("CARGO_BIN_EXE_serial-gate"),
        folder.join("serial-gate"),
    )
    .unwrap();
    let archive = gate.path("archive.tar.gz");
    let made = Command::new("tar")
        .args([
            "-czf".as_ref(),
            archive.as_os_str(),
            "serial-gate-0.1.0".as_ref(),
        ])
        .current_dir(folder.parent().unwrap_or(Path::new(".")))
        .status();
    assert!(made.unwrap().success());
    let sha256: String = Sha256::digest(std::fs::read(&archive).unwrap())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let address = format!("file://{}", archive.display());
    let done = run(&gate, &address, &sha256);
    assert!(
        done.is_ok(),
        "{:?}",
        done.err().map(|(step, ran)| (step, ran.stderr))
    );
    assert!(gate.path("mine/report.xml").exists());
    let (step, _) = run(&gate, &address, &"0".repeat(64)).unwrap_err();
    assert_eq!(step, "Fetch serial-gate");
}

#[test]
fn a_rule_that_fails_its_cases_fails_the_workflow() {
    let gate = with_a_rule();
    let rule = std::fs::read_to_string(gate.path("mine/rule.sql")).unwrap();
    gate.write(
        "mine/rule.sql",
        rule.replace("t.id < jobs.task_id", "t.id > jobs.task_id"),
    );
    let (step, _) = run(&gate, env!("CARGO_BIN_EXE_serial-gate"), "").unwrap_err();
    assert_eq!(step, "Run its cases");
}
