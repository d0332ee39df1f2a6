//! What is printed, and how: tables for people, JSON lines for machines.
//!
//! Owns the standard output and colour, which `anstream` drops when nobody looks at a terminal or
//! `NO_COLOR` is set. Leaves the standard error to `log`. Text from the database is shown with its control characters escaped: a repo's
//! name must not move somebody's cursor.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;
use serial_gate::printable::printable_json;

use super::error_remedy;
use super::text::shown;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

/// Where a verb prints.
pub struct Output {
    /// Print JSON.
    pub json: bool,
    stream: anstream::AutoStream<io::Stdout>,
}

/// What a cell or a word means, which gives its colour.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// A heading.
    Heading,
    /// Nothing is in the way.
    Free,
    /// It waits.
    Held,
    /// Beside the point.
    Quiet,
}

impl Output {
    /// Prints to the standard output.
    pub fn new(json: bool) -> Output {
        Output {
            json,
            stream: anstream::stdout(),
        }
    }

    /// One JSON document on one line. What a terminal would take for a command is escaped, not
    /// dropped: a machine reads the same text as it stands in the database.
    pub fn json_line(&mut self, document: &impl Serialize) -> io::Result<()> {
        let mut line = printable_json(&serde_json::to_string(document)?).into_owned();
        line.push('\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(line.as_bytes())?;
        stdout.flush()
    }

    /// One line for people.
    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.stream, "{}", text.as_ref())
    }

    /// Aligned columns under headings, two spaces apart.
    pub fn table(&mut self, headings: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(
            headings
                .iter()
                .map(|heading| Cell::new(heading.to_uppercase())),
        );
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            column.set_cell_alignment(CellAlignment::Left);
        }
        for line in table.lines() {
            writeln!(self.stream, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A document, with a note if there is something to note.
pub fn noting(mut document: serde_json::Value, note: Option<&String>) -> serde_json::Value {
    if let (Some(fields), Some(note)) = (document.as_object_mut(), note) {
        fields.insert("note".into(), note.as_str().into());
    }
    document
}

/// Text in the colour of its tone.
pub fn toned(tone: Tone, text: impl AsRef<str>) -> String {
    let style = match tone {
        Tone::Heading => BOLD,
        Tone::Free => GREEN,
        Tone::Held => YELLOW,
        Tone::Quiet => DIM,
    };
    format!("{style}{}{style:#}", text.as_ref())
}

/// An error and its causes, a line each, with what helps.
pub fn error_text(error: &(dyn std::error::Error + 'static)) -> String {
    let lines = |error: &(dyn std::error::Error + 'static)| {
        let remedy = error_remedy::of(error).map(|remedy| format!(": {remedy}"));
        let text = format!("{error}{}", remedy.unwrap_or_default());
        let lines: Vec<String> = text.lines().map(shown).collect();
        // What goes on under an error is never at the start of a line, where another error would be.
        lines.join("\n    ")
    };
    let mut text = format!("{RED}error{RED:#}: {}\n", lines(error));
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    for cause in causes {
        let cause = without_number(lines(cause));
        text.push_str(&format!("  {DIM}because{DIM:#} {cause}\n"));
    }
    text
}

/// The operating system's words for an error, as a part of a sentence: `No such file or directory (os error 2)` has a number
/// for programmers and a capital letter.
fn without_number(text: String) -> String {
    let Some((words, number)) = text.rsplit_once(" (os error ") else {
        return text;
    };
    if number.trim_end_matches(')').parse::<i32>().is_err() {
        return text;
    }
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// Text as the standard error gets it: with its colours for a terminal, and without them for anything else.
pub fn for_stderr(text: &str) -> Vec<u8> {
    let choice = anstream::AutoStream::choice(&io::stderr());
    let mut stream = anstream::AutoStream::new(Vec::new(), choice);
    // A vector takes everything.
    let _ = stream.write_all(text.as_bytes());
    stream.into_inner()
}
