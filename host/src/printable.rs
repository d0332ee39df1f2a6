//! Text that can be shown on one line as it is.
//!
//! Owns which letters are not seen but do something: end the line, move a cursor, turn the text
//! round. Leaves to its callers where that matters: the terminal, the log, the texts of policies.

use std::borrow::Cow;

/// How a caller shows a text of the database.
pub type Show<'a> = &'a dyn Fn(&str) -> String;

/// A text as it is.
pub fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// Bytes in hexadecimal, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a letter is not seen: control characters, ends of lines and paragraphs, and characters
/// that format the text around them.
pub fn is_invisible(letter: char) -> bool {
    let formats = matches!(
        letter,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    letter.is_control() || formats
}

/// The text with each of these letters escaped, such as `\u{a}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |letter, text| text.extend(letter.escape_unicode()))
}

/// A line of JSON in which each of these letters is escaped as in JSON, so that a reader gets the
/// same document.
pub fn printable_json(line: &str) -> Cow<'_, str> {
    escaped(line, |letter, text| {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_invisible(letter) {
            escape(letter, &mut shown);
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_a_cursor_end_the_line_or_turn_it_around_is_escaped() {
        assert_eq!(
            printable("a\nb\r\u{1b}[2J\u{9b}\u{202e}\u{2028}\u{200b}\u{feff}"),
            r"a\u{a}b\u{d}\u{1b}[2J\u{9b}\u{202e}\u{2028}\u{200b}\u{feff}"
        );
        assert!(matches!(printable("ORCH-1 für 日本 🚀"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_of_json_is_the_same_document() {
        let text = "a\u{7f}\u{202e}\u{e0001}\u{85}b";
        let line = serde_json::Value::from(text).to_string();
        let shown = printable_json(&line);
        assert!(!shown.contains(is_invisible));
        assert_eq!(
            serde_json::from_str::<String>(&shown).ok().as_deref(),
            Some(text)
        );
    }
}
