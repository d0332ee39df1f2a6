//! The blocks of the documents that are not console blocks: each is what its language says.

use std::process::Command;

use super::page::{Block, Part, documents, parts};
use crate::support::Gate;

/// What is wrong with a block, if anything is.
fn fault(block: &Block<'_>) -> Result<(), String> {
    let text = block.text();
    match block.language {
        // It runs.
        "console" => Ok(()),
        // A drawing.
        "" if !text.lines().any(|line| line.starts_with("$ ")) => Ok(()),
        "toml" => accepted(&text),
        "json" => serde_json::from_str::<serde_json::Value>(&text)
            .map(|_| ())
            .map_err(|error| error.to_string()),
        "sh" => run(Command::new("bash").args(["-n", "-c", &text])),
        "python" => {
            let compile = "import sys; compile(sys.argv[1], 'block', 'exec')";
            run(Command::new("python3").args(["-c", compile, &text]))
        }
        "sql" => {
            let prepared = Gate::new().sqlite().prepare(&text).map(|_| ());
            prepared.map_err(|error| error.to_string())
        }
        "ini" => match text.lines().find(|line| !is_of_a_unit(line)) {
            Some(line) => Err(format!("`{line}`")),
            None => Ok(()),
        },
        other => Err(format!("no test reads blocks in `{other}`")),
    }
}

/// The command accepts it as its configuration. Only the verbs that send alerts read their part.
fn accepted(text: &str) -> Result<(), String> {
    let gate = Gate::new();
    let secrets = gate.path("").display().to_string();
    gate.write("config.toml", text.replace("/run/secrets/", &secrets));
    for secret in ["telegram", "webhook"] {
        gate.write(secret, "1234:a-shared-secret");
    }
    run(&mut gate.command(&["--config", "config.toml", "queue"]))?;
    if text.contains("\n[alerts.") {
        run(&mut gate.command(&["--config", "config.toml", "alerts", "deliver"]))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = command.output().unwrap();
    match ran.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
    }
}

fn is_of_a_unit(line: &str) -> bool {
    let is_section = line.starts_with('[') && line.ends_with(']');
    let is_key = |(key, _): (&str, &str)| key.chars().all(|letter| letter.is_ascii_alphanumeric());
    line.is_empty()
        || line.starts_with('#')
        || is_section
        || line.split_once('=').is_some_and(is_key)
}

fn block<'a>(language: &'a str, text: &'a str) -> Block<'a> {
    Block {
        language,
        file: None,
        at: 1,
        lines: text.lines().collect(),
    }
}

#[test]
fn every_block_is_what_its_language_says() {
    let mut faults = Vec::new();
    for document in [".", "docs", "bench/results"]
        .into_iter()
        .flat_map(documents)
    {
        let text = std::fs::read_to_string(&document).unwrap();
        for part in parts(&text).unwrap_or_else(|fault| panic!("{document:?}, {fault}")) {
            if let Part::Block(block) = part
                && let Err(fault) = fault(&block)
            {
                faults.push(format!("{}:{}: {fault}", document.display(), block.at));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_block_that_is_not_what_its_language_says_is_a_fault() {
    for (language, text) in [
        ("toml", "leese = '30m'"),
        ("toml", "lease = 30 minutes"),
        ("toml", "[[project]]\nrepo = \"alpha\""),
        (
            "toml",
            "[alerts]\ntries = 12\n[alerts.webhook]\nurl = \"https://a.example\"\nsecret = \"x\"",
        ),
        ("json", "{\"a\": 1,}"),
        ("sh", "if true; then"),
        ("python", "def f(:"),
        ("sql", "SELECT version FROM no_such_table"),
        ("ini", "ExecStart"),
        ("cobol", ""),
        ("", "$ true"),
    ] {
        assert!(fault(&block(language, text)).is_err(), "{language}: {text}");
    }
}
