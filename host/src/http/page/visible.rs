//! A page that shows what is not seen.
//!
//! Owns what becomes of control characters and of those that turn a text round: the command line
//! shows them alike. Callers rely on this: nothing of the database reaches a browser without it,
//! whatever the template does; and a field sends back the text that it was given.

use form_urlencoded::byte_serialize;
use serial_gate::printable::printable;

/// The page with each such character escaped. The ends of its lines stay, and tabs, which move
/// nothing there.
pub fn visible(page: &str) -> String {
    let mut shown = String::with_capacity(page.len());
    for part in page.split_inclusive(['\n', '\t']) {
        let text = part.trim_end_matches(['\n', '\t']);
        shown.push_str(&printable(text));
        shown.push_str(part.get(text.len()..).unwrap_or_default());
    }
    shown
}

/// A text as the value of a hidden field. A browser changes line ends, and letters that its own
/// encoding lacks, so each byte that is no letter or digit is encoded.
pub fn field_value(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// The text that such a field has sent back.
pub fn field_text(value: &str) -> String {
    let field = format!("text={value}");
    let mut fields = form_urlencoded::parse(field.as_bytes());
    fields
        .next()
        .map_or_else(String::new, |(_, text)| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_sends_back_the_text_that_it_was_given() {
        for text in [
            "alpha",
            "org/app",
            "a&b=c%20+d",
            "\r\n\u{9b}\u{202e}",
            "é<\">",
        ] {
            let value = field_value(text);
            assert!(value.is_ascii() && !value.contains(['"', '<', '&']));
            assert_eq!(field_text(&value), text);
        }
    }
}
