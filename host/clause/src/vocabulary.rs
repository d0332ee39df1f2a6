//! The words and symbols of the language, and the refusals of all others.
//!
//! Owns the allow-lists, and the lists of SQL's other words and symbols with their remedies. Leaves
//! to `lex` where a word or a symbol starts, the minus of a negative integer and the star of a
//! count, and to `contract` which tables and columns exist.
//! Invariant: a word outside the allow-list is a plain name, so a keyword that a database adds
//! later is refused as an unknown name. Refused symbols are looked up first, and both lists name
//! the longer symbol first, so no prefix of a refused symbol is taken for an allowed one.

use super::lex::TokenKind;
use super::tree::Comparison;

/// A keyword of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    And,
    Or,
    Not,
    In,
    Between,
    Is,
    Null,
    True,
    False,
    Exists,
    Select,
    From,
    Where,
    As,
}

static KEYWORDS: &[(&str, Keyword)] = &[
    ("AND", Keyword::And),
    ("OR", Keyword::Or),
    ("NOT", Keyword::Not),
    ("IN", Keyword::In),
    ("BETWEEN", Keyword::Between),
    ("IS", Keyword::Is),
    ("NULL", Keyword::Null),
    ("TRUE", Keyword::True),
    ("FALSE", Keyword::False),
    ("EXISTS", Keyword::Exists),
    ("SELECT", Keyword::Select),
    ("FROM", Keyword::From),
    ("WHERE", Keyword::Where),
    ("AS", Keyword::As),
];

/// The keyword that a word is, in any case of letters.
pub(crate) fn keyword(word: &str) -> Option<Keyword> {
    let mut keywords = KEYWORDS.iter();
    let found = keywords.find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, keyword)| *keyword)
}

static SYMBOLS: &[(&str, TokenKind)] = &[
    ("<=", TokenKind::Comparison(Comparison::LessOrEqual)),
    (">=", TokenKind::Comparison(Comparison::GreaterOrEqual)),
    ("<>", TokenKind::Comparison(Comparison::NotEqual)),
    ("!=", TokenKind::Comparison(Comparison::NotEqual)),
    ("=", TokenKind::Comparison(Comparison::Equal)),
    ("<", TokenKind::Comparison(Comparison::Less)),
    (">", TokenKind::Comparison(Comparison::Greater)),
    ("(", TokenKind::Open),
    (")", TokenKind::Close),
    (",", TokenKind::Comma),
    (".", TokenKind::Dot),
];

/// The allowed symbol that a text starts with.
pub(crate) fn symbol(text: &str) -> Option<(&'static str, TokenKind)> {
    let mut symbols = SYMBOLS.iter().copied();
    symbols.find(|(symbol, _)| text.starts_with(symbol))
}

/// A symbol that the language leaves out, the construct of its refusal, what the symbol would do,
/// and what to write instead.
type Symbol = (&'static str, &'static str, &'static str, &'static str);

/// The refused symbol that a text starts with.
pub(crate) fn refused_symbol(text: &str) -> Option<&'static Symbol> {
    let mut refused = REFUSED_SYMBOLS.iter();
    refused.find(|(symbol, ..)| text.starts_with(symbol))
}

/// The construct and the remedy of a word's refusal, if it is an SQL keyword that the language
/// leaves out.
pub(crate) fn refused_word(word: &str) -> Option<(&'static str, &'static str)> {
    let refuses = |words: &str| {
        words
            .split(' ')
            .any(|refused| refused.eq_ignore_ascii_case(word))
    };
    let mut families = REFUSED_WORDS.iter();
    let (construct, remedy, _) = families.find(|(.., words)| refuses(words))?;
    Some((construct, remedy))
}

const PLAIN: &str = "write names plainly and strings in single quotes";
const PLAIN_OR_LIST: &str = "write names plainly and lists as `IN (...)`";

#[rustfmt::skip]
static REFUSED_SYMBOLS: &[Symbol] = &[
    ("--", "comment", "starts a comment", "remove it"),
    ("/*", "comment", "starts a comment", "remove it"),
    ("*/", "comment", "ends a comment", "remove it"),
    (";", "statement", "ends a statement", "remove it, a clause is one boolean expression"),
    ("\"", "quoted-identifier", "quotes an identifier", PLAIN),
    ("`", "quoted-identifier", "quotes an identifier", PLAIN),
    ("[", "quoted-identifier", "quotes an identifier or an array", PLAIN_OR_LIST),
    ("]", "quoted-identifier", "quotes an identifier or an array", PLAIN_OR_LIST),
    ("$", "dollar", "starts a parameter or a dollar-quoted string",
        "write the value as `'...'` or an integer"),
    ("?", "parameter", "is a parameter", "write the value itself"),
    ("::", "cast", "casts a value", "compare integers with integers and text with text"),
    (":", "parameter", "starts a parameter", "write the value itself"),
    ("->", "json-operator", "reads JSON", "compare a contract column as it is"),
    ("#>", "json-operator", "reads JSON", "compare a contract column as it is"),
    ("@>", "json-operator", "reads JSON", "compare a contract column as it is"),
    ("<@", "json-operator", "reads JSON", "compare a contract column as it is"),
    ("@", "parameter", "starts a parameter", "write the value itself"),
    ("==", "comparison", "is not a comparison of both databases", "write `=`"),
    ("<=>", "comparison", "is not a comparison of both databases",
        "write `=` with `IS NULL`"),
    ("=>", "comparison", "is not a comparison", "write `>=`"),
    ("=<", "comparison", "is not a comparison", "write `<=`"),
    ("!~", "pattern", "matches a pattern", "write `=` or `IN ('...', '...')`"),
    ("~", "pattern", "matches a pattern", "write `=` or `IN ('...', '...')`"),
    ("||", "concatenation", "joins strings", "write the whole string"),
    ("<<", "bit-operator", "shifts bits", "write the integer itself"),
    (">>", "bit-operator", "shifts bits", "write the integer itself"),
    ("&", "bit-operator", "combines bits", "write `AND`"),
    ("|", "bit-operator", "combines bits", "write `OR`"),
    ("^", "bit-operator", "combines bits", "write the integer itself"),
    ("#", "bit-operator", "combines bits", "write the integer itself"),
    ("+", "arithmetic", "calculates", "write the integer itself"),
    ("-", "arithmetic", "calculates",
        "write the integer itself, its sign directly before the digits"),
    ("*", "star", "is neither a product nor a select list here",
        "write `SELECT 1` or `SELECT count(*)`, or the integer itself"),
    ("/", "arithmetic", "calculates", "write the integer itself"),
    ("%", "arithmetic", "calculates", "write the integer itself"),
];

/// Refusing by name is for the author's sake: without this list each of these would still be
/// refused, as an unknown column or as bad syntax.
#[rustfmt::skip]
static REFUSED_WORDS: &[(&str, &str, &str)] = &[
    ("set-operation", "join the conditions of both with `OR` or `AND`",
        "UNION INTERSECT EXCEPT MINUS"),
    ("cte", "write the sub-select in place, as `EXISTS (SELECT 1 FROM ...)`",
        "WITH RECURSIVE MATERIALIZED"),
    ("join", "write one table per sub-select and nest a second `EXISTS`",
        "JOIN CROSS INNER OUTER LEFT RIGHT FULL NATURAL USING ON LATERAL"),
    ("pattern", "write `=` or `IN ('...', '...')`",
        "LIKE ILIKE GLOB SIMILAR REGEXP RLIKE MATCH ESCAPE"),
    ("case", "write the conditions with `AND`, `OR` and `NOT`",
        "CASE WHEN THEN ELSE END"),
    ("cast", "compare integers with integers and text with text",
        "CAST CONVERT TRY_CAST"),
    ("collate", "remove it, text is compared byte by byte",
        "COLLATE COLLATION NOCASE RTRIM"),
    ("null-test", "write `IS NULL` or `IS NOT NULL`",
        "ISNULL NOTNULL UNKNOWN"),
    ("distinct", "remove it, or write `=` with `IS NULL`",
        "DISTINCT"),
    ("quantifier", "write `IN ('...', '...')` or `EXISTS (SELECT 1 FROM ...)`",
        "ALL ANY SOME UNNEST"),
    ("sub-select-tail", "end the sub-select after its `WHERE`",
        "ORDER GROUP HAVING LIMIT OFFSET FETCH FOR WINDOW OVER PARTITION FILTER WITHIN \
         TABLESAMPLE INDEXED INTO QUALIFY BY"),
    ("row-source", "write `SELECT 1 FROM tasks t WHERE ...` over one contract table",
        "VALUES TABLE ONLY ROWS"),
    ("row-value", "compare the columns one by one with `AND`",
        "ROW ARRAY STRUCT MAP OVERLAPS"),
    ("current-value", "a clause reads no clock and no session: return the time as `valid-until`",
        "CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP CURRENT_USER \
         SESSION_USER CURRENT_ROLE CURRENT_CATALOG CURRENT_SCHEMA USER INTERVAL"),
    ("statement", "a clause is one boolean expression: remove the statement",
        "INSERT UPDATE DELETE REPLACE MERGE DROP CREATE ALTER TRUNCATE GRANT REVOKE ATTACH \
         DETACH PRAGMA VACUUM ANALYZE REINDEX EXPLAIN BEGIN COMMIT ROLLBACK SAVEPOINT RELEASE \
         COPY CALL EXECUTE PREPARE DO SET RESET SHOW LOCK LISTEN NOTIFY RETURNING RAISE"),
    ("keyword", "use another name, or a word of the language",
        "DEFAULT OPERATOR XOR DIV MOD AT ZONE DESC ASC SYMMETRIC ASYMMETRIC VARIADIC PRIOR \
         CONNECT START GLOBAL MEMBER EXTRACT POSITION SUBSTRING OVERLAY TRIM CHECK CONSTRAINT \
         FOREIGN PRIMARY REFERENCES UNIQUE INDEX TRIGGER VIEW VIRTUAL TEMP TEMPORARY TO IF \
         NOTHING TRANSACTION COLUMN ADD"),
];
