//! Cuts a clause into the pieces that filling it needs.
//!
//! Owns where a parameter, a word, a string and a parenthesis start and end. Leaves the language to
//! `serial-gate-clause`, which reads the filled clause: every other sign is passed on unchanged. Callers rely on this: the pieces, one behind the other, are the text.

use alloc::vec::Vec;

/// A piece of the text, with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'t> {
    pub kind: Kind,
    pub text: &'t str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, digits and `_`.
    Word,
    /// `:name`.
    Parameter,
    Open,
    Close,
    Space,
    /// A string, or any other sign.
    Other,
}

impl<'t> Piece<'t> {
    /// Whether this is the word, in any case of letters.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether a literal that touches it would become a part of another value.
    pub(crate) fn is_of_a_value(&self) -> bool {
        let is_string = self.kind == Kind::Other && self.text.ends_with('\'');
        is_string || matches!(self.kind, Kind::Word | Kind::Parameter)
    }

    /// The name of a parameter.
    pub(crate) fn parameter(&self) -> Option<&'t str> {
        let name = self.text.strip_prefix(':')?;
        (self.kind == Kind::Parameter).then_some(name)
    }
}

pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut is_behind_colon = false;
    while let Some(first) = rest.chars().next() {
        let behind = rest.get(first.len_utf8()..).unwrap_or_default();
        let (kind, length) = match first {
            '\'' => (
                Kind::Other,
                1 + behind.find('\'').map_or(behind.len(), |end| end + 1),
            ),
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            // `::` is a cast, which the language refuses by name.
            ':' if !is_behind_colon && behind.starts_with(starts_word) => {
                (Kind::Parameter, 1 + length_of(behind, is_of_word))
            }
            _ if is_of_word(first) => (Kind::Word, length_of(rest, is_of_word)),
            _ if first.is_ascii_whitespace() => {
                (Kind::Space, length_of(rest, |c| c.is_ascii_whitespace()))
            }
            _ => (Kind::Other, first.len_utf8()),
        };
        is_behind_colon = first == ':' && kind == Kind::Other;
        let (text, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        pieces.push(Piece { kind, text });
        rest = after;
    }
    pieces
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn length_of(text: &str, is_of_it: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_of_it(c)).unwrap_or(text.len())
}
