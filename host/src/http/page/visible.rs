//! A page that shows what is not seen.
//!
//! Owns what becomes of control characters and of those that turn a text round: the command line
//! shows them alike. Callers rely on this: nothing of the database reaches a browser without it,
//! whatever the template does; and a field sends back the text that it was given.

use std::fmt::Write as _;

use serial_gate::printable::{is_invisible, printable};

/// The page with each such character escaped. The ends of its lines stay.
pub fn visible(page: &str) -> String {
    let lines: Vec<_> = page.split('\n').map(printable).collect();
    lines.join("\n")
}

/// A text as the value of a field, escaped.
pub fn field_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_invisible(letter) || matches!(letter, '&' | '<' | '>' | '"' | '\'') {
            // Writing to a string does not fail.
            let _ = write!(value, "&#{};", u32::from(letter));
        } else {
            value.push(letter);
        }
    }
    value
}
