//! `policy new`: makes a folder with the start of a new policy.
//!
//! Owns the names of the files; their content is in `template/`. The contract is the host's own
//! file, so the two cannot differ. Callers rely on this: nothing is overwritten.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::new_file::{USUAL, write_new};
use super::wit::CONTRACT;
use crate::cli::Error;
use crate::cli::options::Shared;
use crate::cli::output::Report;
use crate::cli::text::{command, shell, shown};
use crate::cli::verb::Verb;

const TARGET: &str = "wasm32-wasip2";

/// The files by their paths. `{name}` becomes the policy's name, `{file}` the component's.
const FILES: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("template/manifest.toml")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
    ("cases.jsonl", include_str!("template/cases.jsonl")),
    ("src/lib.rs", include_str!("template/lib.rs")),
    ("src/tests.rs", include_str!("template/tests.rs")),
    ("wit/serial-gate.wit", CONTRACT),
];

/// Make a folder with the start of a new policy: the contract, a small rule, its tests
#[derive(Args)]
#[command(after_help = "\
The folder must be empty or not exist yet. Its last part is the policy's name.

Example:
  serial-gate policy new review-first")]
pub struct New {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Verb for New {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
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
        let mut report = shared.report();
        report.json(&serde_json::json!({
            "policy": name, "folder": folder.to_string_lossy(),
            "files": FILES.map(|(path, _)| path), "component": component.to_string_lossy(),
        }));
        let rule = folder.join("src/lib.rs");
        report.line(format!(
            "`{name}` is ready: its rule is in `{}`",
            shown(&rule.to_string_lossy())
        ));
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
                report.line(format!("  {step}: {command}"));
            }
        }
        Ok(report)
    }
}

/// The policy's name: the folder's, if it is valid for a crate and a policy.
fn name(folder: &Path) -> Result<String, Error> {
    // The folder may be given as `.`.
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let is_word = |word: &str| {
        let of_a_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !word.is_empty() && word.chars().all(of_a_word)
    };
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(is_word) {
        Ok(name.into())
    } else {
        Err(Error::new(format!(
            "`{name}` is not a name for a policy: begin with a lower-case letter, and write \
             lower-case words and digits with `-` between them, such as `review-first`"
        )))
    }
}

fn refuse_unless_empty(folder: &Path) -> Result<(), Error> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(Error::read(folder))?;
    match entries.count() {
        0 => Ok(()),
        _ => Err(Error::new(format!(
            "`{}` is not empty, and nothing is overwritten: name a new folder",
            folder.display()
        ))),
    }
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    let parents = path.parent().map_or(Ok(()), fs::create_dir_all);
    parents.map_err(Error::write(path))?;
    write_new(path, content.as_bytes(), USUAL)
}
