//! The cases: read from lines of JSON and checked before any is run.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Error;

/// A case and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name, or its line.
    pub name: String,
    /// Tables, settings and operations.
    pub document: Document,
    /// The expected result.
    pub expected: Map<String, Value>,
}

#[derive(Deserialize)]
struct Line {
    case: Document,
    expected: Map<String, Value>,
}

/// A row or an operation: its columns by name.
pub(super) type Row = Map<String, Value>;

/// What a case starts from and does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    name: Option<String>,
    #[serde(rename = "tags")]
    _tags: Value,
    pub(super) settings: Row,
    pub(super) projects: Vec<Option<String>>,
    pub(super) tasks: Vec<Row>,
    pub(super) jobs: Vec<Row>,
    pub(super) freezes: Vec<Row>,
    pub(super) probe_repos: Vec<Option<String>>,
    pub(super) ops: Vec<Row>,
}

impl Default for Document {
    fn default() -> Document {
        Document {
            name: None,
            _tags: Value::Null,
            settings: Row::new(),
            projects: Vec::new(),
            tasks: Vec::new(),
            jobs: Vec::new(),
            freezes: Vec::new(),
            probe_repos: Vec::new(),
            ops: Vec::new(),
        }
    }
}

/// Reads a file of cases. Blank lines do not count.
///
/// # Errors
///
/// When the file cannot be read or has no case, or a line is not one; it says which.
pub fn read_cases(path: &Path) -> Result<Vec<Case>, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::Read {
        path: path.into(),
        cause,
    })?;
    parse_cases(path, &text)
}

/// Reads cases from a text. `path` is the name by which an error calls it.
///
/// # Errors
///
/// When there is no case in it, or a line is not one; it says which.
pub fn parse_cases(path: &Path, text: &str) -> Result<Vec<Case>, Error> {
    let lines = text
        .split('\n')
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let cases: Vec<Case> = lines
        .map(|(number, text)| {
            let line = number + 1;
            let parsed: Line = serde_json::from_str(text).map_err(|error| Error::Line {
                path: path.into(),
                line,
                problem: error.to_string(),
            })?;
            let name = parsed
                .case
                .name
                .clone()
                .unwrap_or_else(|| format!("line {line}"));
            Ok(Case {
                name,
                document: parsed.case,
                expected: parsed.expected,
            })
        })
        .collect::<Result<_, Error>>()?;
    if cases.is_empty() {
        Err(Error::NoCase { path: path.into() })
    } else {
        Ok(cases)
    }
}
