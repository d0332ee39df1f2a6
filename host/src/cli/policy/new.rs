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

/// What a policy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    Rust,
    Python,
    #[value(name = "typescript")]
    TypeScript,
    C,
    /// A rule file, which needs no compiler.
    #[value(skip)]
    Clause,
}

/// A file of a new policy: its path and its content. `{name}` becomes the policy's name, `{file}` the
/// component's.
type File = (&'static str, &'static str);

const OF_ALL: [File; 2] = [
    ("cases.jsonl", include_str!("template/cases.jsonl")),
    ("wit/serial-gate.wit", CONTRACT),
];

const RUST: [File; 5] = [
    ("Cargo.toml", include_str!("template/rust/manifest.toml")),
    ("README.md", include_str!("template/rust/README.md")),
    (".gitignore", include_str!("template/rust/gitignore")),
    ("src/lib.rs", include_str!("template/rust/lib.rs")),
    ("src/tests.rs", include_str!("template/rust/tests.rs")),
];

const PYTHON: [File; 4] = [
    ("README.md", include_str!("template/python/README.md")),
    (".gitignore", include_str!("template/python/gitignore")),
    ("policy.py", include_str!("template/python/policy.py")),
    (
        "requirements.txt",
        include_str!("template/python/requirements.txt"),
    ),
];

const TYPESCRIPT: [File; 5] = [
    ("README.md", include_str!("template/typescript/README.md")),
    (".gitignore", include_str!("template/typescript/gitignore")),
    (
        "package.json",
        include_str!("template/typescript/package.json"),
    ),
    ("policy.ts", include_str!("template/typescript/policy.ts")),
    (
        "tsconfig.json",
        include_str!("template/typescript/tsconfig.json"),
    ),
];

const C: [File; 7] = [
    ("README.md", include_str!("template/c/README.md")),
    (".gitignore", include_str!("template/c/gitignore")),
    (
        "bindings/policy.c",
        include_str!("template/c/bindings/policy.c"),
    ),
    (
        "bindings/policy.h",
        include_str!("template/c/bindings/policy.h"),
    ),
    ("build.sh", include_str!("template/c/build.sh")),
    (
        "requirements.txt",
        include_str!("template/c/requirements.txt"),
    ),
    ("rule.c", include_str!("template/c/rule.c")),
];

const CLAUSE: [File; 2] = [
    ("rule.sql", include_str!("template/clause/rule.sql")),
    ("cases.jsonl", include_str!("template/cases.jsonl")),
];

impl Language {
    fn files(self) -> impl Iterator<Item = File> {
        let own = match self {
            Language::Rust => &RUST[..],
            Language::Python => &PYTHON,
            Language::TypeScript => &TYPESCRIPT,
            Language::C => &C,
            Language::Clause => return CLAUSE.iter().chain(&[]).copied(),
        };
        own.iter().chain(&OF_ALL).copied()
    }

    /// The file with the rule.
    fn rule(self) -> &'static str {
        match self {
            Language::Rust => "src/lib.rs",
            Language::Python => "policy.py",
            Language::TypeScript => "policy.ts",
            Language::C => "rule.c",
            Language::Clause => "rule.sql",
        }
    }

    /// The component's file, and the folder in which the build leaves it.
    fn component(self, name: &str) -> (String, PathBuf) {
        match self {
            Language::Rust => (
                format!("{}.wasm", name.replace('-', "_")),
                Path::new("target").join(TARGET).join("release"),
            ),
            Language::Python | Language::TypeScript | Language::C => {
                (format!("{name}.wasm"), PathBuf::new())
            }
            Language::Clause => (self.rule().to_owned(), PathBuf::new()),
        }
    }

    /// How it is built, from any folder.
    fn build(self, folder: &Path) -> Option<String> {
        match self {
            Language::Rust => {
                let manifest = folder.join("Cargo.toml");
                let manifest = manifest.to_string_lossy();
                shell(&[
                    "cargo",
                    "build",
                    "--release",
                    "--target",
                    TARGET,
                    "--manifest-path",
                    &manifest,
                ])
            }
            Language::C => {
                let script = folder.join("build.sh");
                shell(&["sh", &script.to_string_lossy()])
            }
            Language::Python | Language::TypeScript => {
                let readme = folder.join("README.md");
                Some(format!("see `{}`", shown(&readme.to_string_lossy())))
            }
            Language::Clause => None,
        }
    }
}

/// Make a folder with the start of a new policy: the contract, a small rule, its tests
#[derive(Args)]
#[command(after_help = "\
The folder must be empty or not exist yet. Its last part is the policy's name.

Examples:
  serial-gate policy new review-first
  serial-gate policy new review-first --language python
  serial-gate policy new review-first --language c
  serial-gate policy new review-first --clause-only")]
pub struct New {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What the policy is written in
    #[arg(long, value_enum, default_value = "rust")]
    language: Language,
    /// Only a clause with parameters, in one file that needs no compiler
    #[arg(long, conflicts_with = "language")]
    clause_only: bool,
}

impl Verb for New {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let folder = self.folder;
        let language = match self.clause_only {
            true => Language::Clause,
            false => self.language,
        };
        let name = name(&folder)?;
        let (file, built) = language.component(&name);
        refuse_unless_empty(&folder)?;
        for (path, template) in language.files() {
            let content = template.replace("{name}", &name).replace("{file}", &file);
            write(&folder.join(path), &content)?;
        }
        let component = folder.join(built).join(file);
        let component = component.to_string_lossy();
        let files: Vec<&str> = language.files().map(|(path, _)| path).collect();
        let mut report = shared.report();
        report.json(&serde_json::json!({
            "policy": name, "folder": folder.to_string_lossy(), "files": files,
            "component": component,
        }));
        let rule = folder.join(language.rule());
        report.line(format!(
            "`{name}` is ready: its rule is in `{}`",
            shown(&rule.to_string_lossy())
        ));
        let swap = ["policy", "swap", &component, "--reason", "TEXT"];
        for (step, command) in [
            ("build it with", language.build(&folder)),
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
