//! `policy new`: a folder in which somebody writes a policy of their own.
//!
//! Owns the names of the files; what they say is in `template/`. Nothing that is there already is
//! overwritten. The contract is the host's own file, so the two cannot differ.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::new_file::{USUAL, write_new};
use crate::cli::options::Shared;
use crate::cli::output::Output;
use crate::cli::text::{command, shell, shown};
use crate::cli::{Error, Outcome};

/// What the policy is built for.
const TARGET: &str = "wasm32-wasip2";

/// The files by their paths. `{name}` and `{file}` stand for the policy's name and its component's.
const FILES: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("template/manifest.toml")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
    ("cases.jsonl", include_str!("template/cases.jsonl")),
    ("src/lib.rs", include_str!("template/lib.rs")),
    ("src/tests.rs", include_str!("template/tests.rs")),
    (
        "wit/serial-gate.wit",
        include_str!("../../../../wit/serial-gate.wit"),
    ),
];

/// Make a folder to write a policy in: the contract, a small rule, its tests
#[derive(Args)]
#[command(
    after_help = "The folder must not hold anything yet. Its last part is the policy's name.\n\nExample:\n  serial-gate policy new review-first"
)]
pub struct New {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl New {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let folder = self.folder;
        let name = name(&folder)?;
        let file = format!("{}.wasm", name.replace('-', "_"));
        refuse_unless_empty(&folder)?;
        for (path, template) in FILES {
            let content = template.replace("{name}", &name).replace("{file}", &file);
            write(&folder.join(path), &content)?;
        }
        let component = folder
            .join("target")
            .join(TARGET)
            .join("release")
            .join(file);
        if output.json {
            let files: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
            output.json_line(&serde_json::json!({
                "policy": name, "folder": folder.to_string_lossy(), "files": files,
                "component": component.to_string_lossy(),
            }))?;
            return Ok(Outcome::Done);
        }
        let rule = folder.join("src/lib.rs");
        output.line(format!(
            "`{name}` is ready: its rule is in `{}`",
            shown(&rule.to_string_lossy())
        ))?;
        let manifest = folder.join("Cargo.toml");
        let (manifest, component) = (manifest.to_string_lossy(), component.to_string_lossy());
        let build = [
            "cargo",
            "build",
            "--release",
            "--target",
            TARGET,
            "--manifest-path",
            &manifest,
        ];
        let swap = ["policy", "swap", &component, "--reason", "TEXT"];
        for (step, command) in [
            ("build it with", shell(&build)),
            (
                "check it with",
                command(shared, &["policy", "check", &component]),
            ),
            ("make it active with", command(shared, &swap)),
        ] {
            if let Some(command) = command {
                output.line(format!("  {step}: {command}"))?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// The policy's name: the folder's, if a crate and a policy may be called so.
fn name(folder: &Path) -> Result<String, Error> {
    // `.` is a folder with a name, too.
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let is_word = |word: &str| {
        let of_a_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !word.is_empty() && word.chars().all(of_a_word)
    };
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(is_word) {
        Ok(name.into())
    } else {
        Err(Error::PolicyName { name: name.into() })
    }
}

fn refuse_unless_empty(folder: &Path) -> Result<(), Error> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(|cause| Error::Read {
        path: folder.into(),
        cause,
    })?;
    if entries.count() == 0 {
        Ok(())
    } else {
        Err(Error::NotEmpty {
            path: folder.into(),
        })
    }
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    let parents = path.parent().map_or(Ok(()), fs::create_dir_all);
    parents.map_err(|cause| Error::Write {
        path: path.into(),
        cause,
    })?;
    write_new(path, content.as_bytes(), USUAL)
}
