//! A line of a job's output.
//!
//! Owns where a line ends, its length, what is printed before it, and how many lines are kept.
//! Leaves the reading to `output`. Callers rely on this: a line shows nothing that a terminal or a
//! log would obey, and it does not contain the token of the job's claim.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Serialize;

use super::output::Stream;
use crate::printable::{is_invisible, printable, printable_json};
use crate::store::Claimed;

/// The bytes of a line that are printed.
const LONGEST: usize = 4_000;

/// The bytes of a line that are read, some of which may not be printed.
const MOST: usize = LONGEST + 256;

/// The letters of a work item before a line.
const LONGEST_NAME: usize = 40;

/// How many lines are kept, and how many bytes.
const LINES: usize = 50;
const BYTES: usize = 8 << 10;

/// The letters of a line that are part of a job's error.
const LONGEST_COMPLAINT: usize = 200;

/// What is printed instead of the token.
const TOKEN: &str = "[token]";

/// How the lines of a job are printed.
pub(super) struct Form {
    pub job: i64,
    work_item: Option<String>,
    agent: Option<String>,
    token: String,
    /// Before a line.
    label: String,
    is_json: bool,
}

/// A line for machines.
#[derive(Serialize)]
struct Line<'a> {
    job: i64,
    work_item_id: Option<&'a str>,
    agent: Option<&'a str>,
    stream: &'static str,
    line: &'a str,
}

impl Form {
    pub fn of(job: &Claimed, is_json: bool) -> Form {
        let name = job.work_item_id.as_deref().unwrap_or_default();
        let mut letters = name.chars();
        let begin: String = letters.by_ref().take(LONGEST_NAME).collect();
        let (begin, end) = (printable(&begin), letters.next().map_or("", |_| "…"));
        Form {
            job: job.id,
            work_item: job.work_item_id.clone(),
            agent: job.agent.clone(),
            token: job.token.clone(),
            label: match name {
                "" => format!("[{}]", job.id),
                _ => format!("[{} {begin}{end}]", job.id),
            },
            is_json,
        }
    }

    /// Adds a line to a text, and returns it as it is kept.
    pub fn write(
        &self,
        stream: Stream,
        (line, is_cut): (&[u8], bool),
        text: &mut String,
    ) -> String {
        let line = self.shown(line, is_cut);
        if self.is_json {
            let document = Line {
                job: self.job,
                work_item_id: self.work_item.as_deref(),
                agent: self.agent.as_deref(),
                stream: match stream {
                    Stream::Stdout => "stdout",
                    Stream::Stderr => "stderr",
                },
                line: &line,
            };
            // A struct of texts can always be written.
            let document = serde_json::to_string(&document).unwrap_or_default();
            text.push_str(&printable_json(&document));
        } else {
            text.push_str(&self.label);
            text.push(' ');
            text.push_str(&line);
        }
        text.push('\n');
        line
    }

    fn shown(&self, line: &[u8], is_cut: bool) -> String {
        let line = String::from_utf8_lossy(line);
        let mut line = harmless(&without_sequences(&line)).replace(&self.token, TOKEN);
        // The end of what was read may be the beginning of the token.
        let most = match is_cut {
            true => LONGEST.min(line.len().saturating_sub(self.token.len())),
            false => LONGEST,
        };
        if is_cut || line.len() > most {
            line.truncate(line.floor_char_boundary(most));
            line.push('…');
        }
        line
    }
}

/// The line with its invisible characters escaped, except for tabs.
fn harmless(line: &str) -> Cow<'_, str> {
    if !line.contains(is_invisible) {
        return Cow::Borrowed(line);
    }
    let parts: Vec<_> = line.split('\t').map(printable).collect();
    Cow::Owned(parts.join("\t"))
}

/// The line without the sequences by which a terminal changes colours and moves its cursor.
fn without_sequences(line: &str) -> Cow<'_, str> {
    const BEGIN: &str = "\u{1b}[";
    let Some((plain, mut rest)) = line.split_once(BEGIN) else {
        return Cow::Borrowed(line);
    };
    let mut plain = plain.to_owned();
    loop {
        let after = rest.trim_start_matches(|letter| matches!(letter, ' '..='?'));
        match after.strip_prefix(|letter| matches!(letter, '@'..='~')) {
            Some(after) => rest = after,
            None => plain.push_str(BEGIN),
        }
        let Some((before, after)) = rest.split_once(BEGIN) else {
            plain.push_str(rest);
            return Cow::Owned(plain);
        };
        plain.push_str(before);
        rest = after;
    }
}

/// The beginning of a line whose end is not there yet.
#[derive(Default)]
pub(super) struct Unfinished {
    line: Vec<u8>,
    is_cut: bool,
    /// Whether the cursor went back to the beginning: what follows takes the place of the line.
    is_returned: bool,
}

/// Takes a line, and whether it was cut.
type Each<'a> = &'a mut dyn FnMut((&[u8], bool));

impl Unfinished {
    /// Takes in bytes, and gives each line that is finished to `each`, and whether it was cut.
    pub fn take_in(&mut self, bytes: &[u8], each: Each<'_>) {
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match part.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (part, None),
            };
            if self.is_returned && !text.is_empty() {
                self.begin();
            }
            let room = MOST.saturating_sub(self.line.len());
            self.is_cut |= text.len() > room;
            self.line
                .extend_from_slice(text.get(..room).unwrap_or(text));
            match end {
                Some(b'\n') => {
                    each((&self.line, self.is_cut));
                    self.begin();
                }
                Some(_) => self.is_returned = true,
                None => {}
            }
        }
    }

    /// The line without an end, if there is one.
    pub fn end(self, each: Each<'_>) {
        if !self.line.is_empty() {
            each((&self.line, self.is_cut));
        }
    }

    fn begin(&mut self) {
        self.line.clear();
        (self.is_cut, self.is_returned) = (false, false);
    }
}

/// The last lines of an output.
#[derive(Default)]
pub(super) struct Last {
    lines: VecDeque<String>,
    bytes: usize,
    complaint: String,
}

impl Last {
    pub fn push(&mut self, stream: Stream, line: String) {
        if stream == Stream::Stderr && !line.trim().is_empty() {
            self.complaint.clone_from(&line);
        }
        self.bytes = self.bytes.saturating_add(line.len() + 1);
        self.lines.push_back(line);
        while (self.lines.len() > LINES || self.bytes > BYTES)
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(first.len() + 1);
        }
    }

    /// The lines; none for a command that printed nothing.
    pub fn text(&self) -> Option<String> {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// The last line of the standard error, as the end of a sentence.
    pub fn complaint(&self) -> String {
        let mut letters = self.complaint.trim().chars();
        let begin: String = letters.by_ref().take(LONGEST_COMPLAINT).collect();
        let end = letters.next().map_or("", |_| "…");
        match begin.as_str() {
            "" => String::new(),
            begin => format!(": {begin}{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(work_item: Option<&str>) -> Form {
        Form::of(
            &Claimed {
                id: 12,
                task_id: None,
                work_item_id: work_item.map(Into::into),
                repo: None,
                agent: Some("developer".into()),
                attempt: 1,
                token: "sgc_secret".into(),
                fence: 1,
                worker: "w".into(),
                lease_until: String::new(),
                generation: None,
            },
            false,
        )
    }

    /// The lines of an output that comes in pieces of a length.
    fn lines(output: &[u8], piece: usize) -> Vec<String> {
        let (form, mut lines, mut unfinished) = (form(None), Vec::new(), Unfinished::default());
        let mut each = |line: (&[u8], bool)| {
            lines.push(form.write(Stream::Stdout, line, &mut String::new()));
        };
        for piece in output.chunks(piece) {
            unfinished.take_in(piece, &mut each);
        }
        unfinished.end(&mut each);
        lines
    }

    #[test]
    fn a_line_is_the_same_in_whatever_pieces_it_comes() {
        let output =
            b"one\r\n\ntwo \xff\xc3\xa4\n10 %\r20 %\r\r\n30 %\r40 %\nTOKEN=sgc_secret;\nend";
        for piece in 1..output.len() {
            assert_eq!(
                lines(output, piece),
                [
                    "one",
                    "",
                    "two \u{fffd}ä",
                    "20 %",
                    "40 %",
                    "TOKEN=[token];",
                    "end"
                ]
            );
        }
    }

    #[test]
    fn nothing_in_a_line_is_obeyed_by_a_terminal() {
        let output = "\u{1b}[1;31mred\u{1b}[0m\tand \u{1b}[2Jgone \u{7}\u{1b}]0;title\u{7} \u{202e}turned \u{1b}[\u{1b}[3";
        assert_eq!(
            lines(output.as_bytes(), 9),
            [r"red	and gone \u{7}\u{1b}]0;title\u{7} \u{202e}turned \u{1b}[\u{1b}[3"]
        );
    }

    #[test]
    fn a_long_line_is_cut_and_the_token_is_not_in_its_rest() {
        let long = "ä".repeat(1_000_000);
        let line = lines(long.as_bytes(), 8192).concat();
        assert!(line.len() < LONGEST + 4 && line.ends_with("ä…"));
        for before in MOST - 20..MOST + 2 {
            // Without the colour, the line is short enough for what was read of the token.
            let line = format!(
                "{}{}sgc_secret, more",
                "\u{1b}[0m".repeat(100),
                "x".repeat(before - 400)
            );
            let shown = lines(line.as_bytes(), 8192).concat();
            assert!(!shown.contains("sgc"), "{before}: {shown}");
        }
    }

    #[test]
    fn a_line_begins_with_its_job() {
        let label = |work_item| form(work_item).label;
        assert_eq!(label(None), "[12]");
        assert_eq!(label(Some("A-1")), "[12 A-1]");
        assert_eq!(label(Some("a\nb")), r"[12 a\u{a}b]");
        assert!(label(Some(&"long".repeat(50))).chars().count() < 50);
    }

    #[test]
    fn the_last_lines_are_kept_up_to_a_number_and_a_length() {
        let mut last = Last::default();
        assert_eq!(last.text(), None);
        for line in 0..100_000 {
            last.push(Stream::Stdout, line.to_string());
        }
        let text = last.text().unwrap_or_default();
        assert!(text.starts_with("99950\n") && text.ends_with("\n99999"));
        for _ in 0..50 {
            last.push(Stream::Stdout, "x".repeat(LONGEST));
        }
        assert!(last.text().is_some_and(|text| text.len() <= BYTES));
        assert!(last.lines.len() == 2 && last.bytes <= BYTES);
    }

    #[test]
    fn the_last_line_of_the_standard_error_says_what_went_wrong() {
        let mut last = Last::default();
        assert_eq!(last.complaint(), "");
        last.push(Stream::Stderr, " assertion failed ".into());
        last.push(Stream::Stderr, "  ".into());
        last.push(Stream::Stdout, "bye".into());
        assert_eq!(last.complaint(), ": assertion failed");
        last.push(Stream::Stderr, "ä".repeat(300));
        assert_eq!(last.complaint().chars().count(), 203);
    }
}
