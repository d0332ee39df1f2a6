//! The symbols of the language, and what is said about the others.
//!
//! Owns both lists. Leaves to `tokens` where a symbol starts, the minus of a negative integer, and
//! the star of a count. Invariant: refused symbols are looked up first and both lists name the
//! longer symbol first, so no prefix of a refused symbol is taken for an allowed one.

use sqlparser::tokenizer::Token;

/// The allowed symbol that a text starts with.
pub(crate) fn allowed(text: &str) -> Option<&'static (&'static str, Token)> {
    ALLOWED.iter().find(|(symbol, _)| text.starts_with(symbol))
}

static ALLOWED: &[(&str, Token)] = &[
    ("<=", Token::LtEq),
    (">=", Token::GtEq),
    ("<>", Token::Neq),
    ("!=", Token::Neq),
    ("=", Token::Eq),
    ("<", Token::Lt),
    (">", Token::Gt),
    ("(", Token::LParen),
    (")", Token::RParen),
    (",", Token::Comma),
    (".", Token::Period),
];

/// A symbol that the language leaves out.
pub(crate) struct Refused {
    /// The symbol itself.
    pub symbol: &'static str,
    /// The construct of the refusal.
    pub construct: &'static str,
    /// What the symbol would do.
    pub what: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

/// The refused symbol that a text starts with.
pub(crate) fn refused(text: &str) -> Option<&'static Refused> {
    REFUSED
        .iter()
        .find(|refused| text.starts_with(refused.symbol))
}

#[rustfmt::skip]
static REFUSED: &[Refused] = &[
    refuse("--", "comment", "starts a comment", "remove it"),
    refuse("/*", "comment", "starts a comment", "remove it"),
    refuse("*/", "comment", "ends a comment", "remove it"),
    refuse(";", "statement", "ends a statement", "remove it, a clause is one boolean expression"),
    refuse("\"", "quoted-identifier", "quotes an identifier", "write names plainly and strings in single quotes"),
    refuse("`", "quoted-identifier", "quotes an identifier", "write names plainly and strings in single quotes"),
    refuse("[", "quoted-identifier", "quotes an identifier or an array", "write names plainly and lists as `IN (...)`"),
    refuse("]", "quoted-identifier", "quotes an identifier or an array", "write names plainly and lists as `IN (...)`"),
    refuse("$", "dollar", "starts a parameter or a dollar-quoted string", "write the value as `'...'` or an integer"),
    refuse("?", "parameter", "is a parameter", "write the value itself"),
    refuse("::", "cast", "casts a value", "compare integers with integers and text with text"),
    refuse(":", "parameter", "starts a parameter", "write the value itself"),
    refuse("->", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("#>", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("@>", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("<@", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("@", "parameter", "starts a parameter", "write the value itself"),
    refuse("==", "comparison", "is not a comparison of both databases", "write `=`"),
    refuse("<=>", "comparison", "is not a comparison of both databases", "write `=` with `IS NULL`"),
    refuse("=>", "comparison", "is not a comparison", "write `>=`"),
    refuse("=<", "comparison", "is not a comparison", "write `<=`"),
    refuse("!~", "pattern", "matches a pattern", "write `=` or `IN ('...', '...')`"),
    refuse("~", "pattern", "matches a pattern", "write `=` or `IN ('...', '...')`"),
    refuse("||", "concatenation", "joins strings", "write the whole string"),
    refuse("<<", "bit-operator", "shifts bits", "write the integer itself"),
    refuse(">>", "bit-operator", "shifts bits", "write the integer itself"),
    refuse("&", "bit-operator", "combines bits", "write `AND`"),
    refuse("|", "bit-operator", "combines bits", "write `OR`"),
    refuse("^", "bit-operator", "combines bits", "write the integer itself"),
    refuse("#", "bit-operator", "combines bits", "write the integer itself"),
    refuse("+", "arithmetic", "calculates", "write the integer itself"),
    refuse("-", "arithmetic", "calculates", "write the integer itself, its sign directly before the digits"),
    refuse("*", "star", "is neither a product nor a select list here", "write `SELECT 1` or `SELECT count(*)`, or the integer itself"),
    refuse("/", "arithmetic", "calculates", "write the integer itself"),
    refuse("%", "arithmetic", "calculates", "write the integer itself"),
];

const fn refuse(
    symbol: &'static str,
    construct: &'static str,
    what: &'static str,
    remedy: &'static str,
) -> Refused {
    Refused {
        symbol,
        construct,
        what,
        remedy,
    }
}
