//! What is printed, and how: tables for people, JSON lines for machines.
//!
//! Owns the standard output and colour, which `anstream` drops when nobody looks at a terminal or
//! `NO_COLOR` is set. Text from the database is shown with its control characters escaped: a repo's
//! name must not move somebody's cursor.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

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
        let mut line = String::new();
        for c in serde_json::to_string(document)?.chars() {
            match c {
                '\u{7f}'..='\u{9f}' => line.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => line.push(c),
            }
        }
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

/// An error and its causes, to the standard error. If that is closed, nobody is there to be told.
pub fn print_error(error: &dyn std::error::Error) {
    let mut stderr = anstream::stderr();
    let lines = |error: &dyn std::error::Error| {
        error
            .to_string()
            .lines()
            .map(shown)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let _ = writeln!(stderr, "{RED}error{RED:#}: {}", lines(error));
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    for cause in causes {
        let _ = writeln!(stderr, "  {DIM}because{DIM:#} {}", lines(cause));
    }
}
