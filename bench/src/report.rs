//! A report: Markdown that is printed while it grows and written to `bench/results/` at the end.
//!
//! Owns where reports go. Callers rely on this: the report of `--quick` goes to the folder for
//! temporary files, so that it never replaces the figures of a full run.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use jiff::Timestamp;

use crate::{Times, machine};

/// A report under a name, such as `claim`.
pub struct Report {
    name: &'static str,
    text: String,
}

impl Report {
    /// Begins with the machine, the date and the command. `settings` names what else the figures
    /// depend on, such as when the database is synced.
    pub fn new(name: &'static str, title: &str, settings: &str) -> io::Result<Report> {
        // Cargo passes `--bench` to every bench.
        let arguments: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
        let dash = if arguments.is_empty() { "" } else { " -- " };
        let arguments = arguments.join(" ");
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
        let build = if cfg!(debug_assertions) {
            "dev build"
        } else {
            "release build"
        };
        let mut report = Report {
            name,
            text: String::new(),
        };
        report.paragraph(&format!("# {title}"))?;
        report.paragraph(&format!(
            "- {}\n- {now}, {build}\n- `cargo bench --bench {name}{dash}{arguments}`\n- {settings}",
            machine()
        ))?;
        Ok(report)
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{text}\n")?;
        self.text.push_str(text);
        self.text.push_str("\n\n");
        Ok(())
    }

    /// Adds a table. Every column but the first is aligned to the right.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let cells = |row: &[String]| -> Vec<usize> {
            row.iter().map(|cell| cell.chars().count()).collect()
        };
        let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
        let mut widths = cells(&head);
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(cells(row)) {
                *width = cell.max(*width);
            }
        }
        let line = |row: &[String]| {
            let mut line = String::from("|");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line += &match column {
                    0 => format!(" {cell:<width$} |"),
                    _ => format!(" {cell:>width$} |"),
                };
            }
            line
        };
        let rule: String = widths
            .iter()
            .enumerate()
            .map(|(column, width)| match column {
                0 => format!("{}|", "-".repeat(width + 2)),
                _ => format!("{}:|", "-".repeat(width + 1)),
            })
            .collect();
        let mut lines = vec![line(&head), format!("|{rule}")];
        lines.extend(rows.iter().map(|row| line(row)));
        self.paragraph(&lines.join("\n"))
    }

    /// Adds a table of contestants, each compared with the one named `base`.
    pub fn contest(&mut self, times: &[Times], base: &str) -> io::Result<()> {
        let base_p50 = times
            .iter()
            .find(|times| times.name == base)
            .map(Times::p50);
        let rows: Vec<Vec<String>> = times
            .iter()
            .map(|times| {
                vec![
                    times.name.clone(),
                    duration(times.p50()),
                    duration(times.p99()),
                    times.count().to_string(),
                    base_p50.map_or_else(String::new, |base| ratio(times.p50(), base)),
                ]
            })
            .collect();
        let compared = format!("p50 ÷ {base}");
        self.table(&["", "p50", "p99", "runs", &compared], &rows)
    }

    /// Writes a file with the report's name and another extension: a chart as `svg`.
    pub fn write_file(&self, extension: &str, content: &str) -> io::Result<()> {
        let folder = if env::args().any(|argument| argument == "--quick") {
            env::temp_dir().join("serial-gate-bench")
        } else {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
        };
        fs::create_dir_all(&folder)?;
        let path = folder.join(self.name).with_extension(extension);
        fs::write(&path, content)?;
        writeln!(io::stdout(), "written to {}", path.display())
    }

    /// Writes the report.
    pub fn write(self) -> io::Result<()> {
        self.write_file("md", &format!("{}\n", self.text.trim_end()))
    }
}

/// A time with three digits: `850 ns`, `12.3 µs`, `1.05 s`.
pub fn duration(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    let (value, unit) = match nanos {
        _ if nanos < 999.5 => (nanos, "ns"),
        _ if nanos < 999.5e3 => (nanos / 1e3, "µs"),
        _ if nanos < 999.5e6 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// How many times as long `time` is as `base`.
pub fn ratio(time: Duration, base: Duration) -> String {
    if base.is_zero() {
        return "–".into();
    }
    three_digits(time.as_secs_f64() / base.as_secs_f64())
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
