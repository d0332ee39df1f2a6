//! A verb's report: tables and lines for people, JSON for machines.
//!
//! Owns the choice between the two forms, the standard output, and colour, which `anstream` drops
//! when the output is not a terminal or `NO_COLOR` is set. Leaves the standard error to `log`.
//! Callers rely on this: a verb adds both forms to its report and never asks which one is wanted.
//! Text from the database must pass through `shown` before it gets here: a repo's name must not
//! move the cursor of a terminal. JSON is escaped here.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;
use serial_gate::printable::{printable, printable_json};
use serial_gate::queue::Queue;
use serial_gate::remedy::with_advice;

use super::Outcome;
use super::error_remedy;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

/// The report of a verb, in the requested form, and its outcome.
pub struct Report {
    /// Whether JSON was requested.
    pub json: bool,
    /// How the verb ended.
    pub outcome: Outcome,
    text: String,
    /// Why a document could not be written as JSON.
    error: Option<serde_json::Error>,
    /// Closed once the report is printed.
    queue: Option<Queue>,
}

impl Report {
    /// An empty report of a verb that succeeded.
    pub fn new(json: bool) -> Report {
        Report {
            json,
            outcome: Outcome::Done,
            text: String::new(),
            error: None,
            queue: None,
        }
    }

    /// A JSON document on one line; nothing for people. Characters that a terminal would obey are
    /// escaped, not dropped: a machine reads the database's text.
    pub fn json(&mut self, document: &impl Serialize) {
        if !self.json {
            return;
        }
        match serde_json::to_string(document) {
            Ok(line) => self.push(&printable_json(&line)),
            Err(error) => self.error = Some(error),
        }
    }

    /// A line for people.
    pub fn line(&mut self, text: impl AsRef<str>) {
        if !self.json {
            self.push(text.as_ref());
        }
    }

    /// A line that an operator should not miss. Its text may come from the database.
    pub fn note(&mut self, text: &str) {
        self.line(format!("{} {}", toned(Tone::Held, "note:"), shown(text)));
    }

    /// A line below the last one, with text that may come from the database, if there is any.
    pub fn detail(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            self.line(format!("  {}", shown(text)));
        }
    }

    /// Aligned columns under headings, two spaces apart, for people.
    pub fn table(&mut self, headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        if self.json {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let headings = headings.iter().map(|heading| heading.to_uppercase());
        table.set_header(headings.map(Cell::new));
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            column.set_cell_alignment(CellAlignment::Left);
        }
        for line in table.lines() {
            self.push(line.trim_end());
        }
    }

    /// The same report with another outcome.
    pub fn ended(self, outcome: Outcome) -> Report {
        Report { outcome, ..self }
    }

    /// Leaves the database open until the report is printed. The last process that closes it waits
    /// for the disk, and with normal durability nobody waits for that.
    pub fn before_closing(self, queue: Queue) -> Report {
        Report {
            queue: Some(queue),
            ..self
        }
    }

    /// Prints it. No other code writes a result to the standard output.
    pub fn print(self) -> io::Result<Outcome> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        let mut stdout: Box<dyn Write> = match self.json {
            true => Box::new(io::stdout().lock()),
            false => Box::new(anstream::stdout().lock()),
        };
        // Line by line: if the standard output fills up, the lines before are complete.
        for line in self.text.split_inclusive('\n') {
            stdout.write_all(line.as_bytes())?;
        }
        stdout.flush()?;
        drop(self.queue);
        Ok(self.outcome)
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// The meaning of a text, which gives its colour.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    Heading,
    Free,
    Held,
    Quiet,
}

/// Text from the database, with every character escaped that could move a cursor or reverse a line.
pub fn shown(text: &str) -> String {
    printable(text).into_owned()
}

/// A document with a note, if there is one.
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

/// An error, its causes, and what helps, a line each. `gate` is the beginning of a command on the
/// same database.
pub fn error_text(error: &(dyn std::error::Error + 'static), gate: &str) -> String {
    let lines = |error: &(dyn std::error::Error + 'static)| {
        let text = match error_remedy::of(error, gate) {
            Some(remedy) => with_advice(&error.to_string(), &remedy),
            None => error.to_string(),
        };
        let lines: Vec<String> = text.lines().map(shown).collect();
        // A further line is indented: at the start of a line it would look like another error.
        lines.join("\n    ")
    };
    let mut text = format!("{RED}error{RED:#}: {}\n", lines(error));
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let cause = without_number(lines(cause));
        text.push_str(&format!("  {DIM}because{DIM:#} {cause}\n"));
    }
    if let Some(flag) = error_remedy::flag(error) {
        text.push_str(&format!("  {flag}\n"));
    }
    text
}

/// The operating system's words for an error as part of a sentence:
/// `No such file or directory (os error 2)` has a capital letter and a number for programmers.
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

/// Text for the standard error: coloured for a terminal, plain for anything else.
pub fn for_stderr(text: &str) -> Vec<u8> {
    let choice = anstream::AutoStream::choice(&io::stderr());
    let mut stream = anstream::AutoStream::new(Vec::new(), choice);
    // Writing to a vector cannot fail.
    let _ = stream.write_all(text.as_bytes());
    stream.into_inner()
}
