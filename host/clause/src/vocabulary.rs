//! The words and symbols of the language, and what is said about the others.
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

/// A symbol that the language leaves out: the construct of its refusal, what the symbol would do,
/// and what to write instead.
pub(crate) struct Refused {
    pub symbol: &'static str,
    pub construct: &'static str,
    pub what: &'static str,
    pub remedy: &'static str,
}

/// The refused symbol that a text starts with.
pub(crate) fn refused_symbol(text: &str) -> Option<&'static Refused> {
    let mut refused = REFUSED_SYMBOLS.iter();
    refused.find(|refused| text.starts_with(refused.symbol))
}

/// A family of SQL keywords that the language leaves out.
pub(crate) struct Family {
    pub construct: &'static str,
    pub remedy: &'static str,
    words: &'static [&'static str],
}

/// The refused family of a word, if it is an SQL keyword.
pub(crate) fn refused_word(word: &str) -> Option<&'static Family> {
    let refuses = |family: &&Family| {
        let mut words = family.words.iter();
        words.any(|refused| refused.eq_ignore_ascii_case(word))
    };
    REFUSED_WORDS.iter().find(refuses)
}

const PLAIN: &str = "write names plainly and strings in single quotes";
const PLAIN_OR_LIST: &str = "write names plainly and lists as `IN (...)`";

#[rustfmt::skip]
static REFUSED_SYMBOLS: &[Refused] = &[
    refuse("--", "comment", "starts a comment", "remove it"),
    refuse("/*", "comment", "starts a comment", "remove it"),
    refuse("*/", "comment", "ends a comment", "remove it"),
    refuse(";", "statement", "ends a statement", "remove it, a clause is one boolean expression"),
    refuse("\"", "quoted-identifier", "quotes an identifier", PLAIN),
    refuse("`", "quoted-identifier", "quotes an identifier", PLAIN),
    refuse("[", "quoted-identifier", "quotes an identifier or an array", PLAIN_OR_LIST),
    refuse("]", "quoted-identifier", "quotes an identifier or an array", PLAIN_OR_LIST),
    refuse("$", "dollar", "starts a parameter or a dollar-quoted string",
        "write the value as `'...'` or an integer"),
    refuse("?", "parameter", "is a parameter", "write the value itself"),
    refuse("::", "cast", "casts a value", "compare integers with integers and text with text"),
    refuse(":", "parameter", "starts a parameter", "write the value itself"),
    refuse("->", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("#>", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("@>", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("<@", "json-operator", "reads JSON", "compare a contract column as it is"),
    refuse("@", "parameter", "starts a parameter", "write the value itself"),
    refuse("==", "comparison", "is not a comparison of both databases", "write `=`"),
    refuse("<=>", "comparison", "is not a comparison of both databases",
        "write `=` with `IS NULL`"),
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
    refuse("-", "arithmetic", "calculates",
        "write the integer itself, its sign directly before the digits"),
    refuse("*", "star", "is neither a product nor a select list here",
        "write `SELECT 1` or `SELECT count(*)`, or the integer itself"),
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

/// Refusing by name is for the author's sake: without this list each of these would still be
/// refused, as an unknown column or as bad syntax.
#[rustfmt::skip]
static REFUSED_WORDS: &[Family] = &[
    Family {
        construct: "set-operation", remedy: "join the conditions of both with `OR` or `AND`",
        words: &["UNION", "INTERSECT", "EXCEPT", "MINUS"],
    },
    Family {
        construct: "cte", remedy: "write the sub-select in place, as `EXISTS (SELECT 1 FROM ...)`",
        words: &["WITH", "RECURSIVE", "MATERIALIZED"],
    },
    Family {
        construct: "join", remedy: "write one table per sub-select and nest a second `EXISTS`",
        words: &[
            "JOIN", "CROSS", "INNER", "OUTER", "LEFT", "RIGHT", "FULL", "NATURAL", "USING", "ON",
            "LATERAL",
        ],
    },
    Family {
        construct: "pattern", remedy: "write `=` or `IN ('...', '...')`",
        words: &["LIKE", "ILIKE", "GLOB", "SIMILAR", "REGEXP", "RLIKE", "MATCH", "ESCAPE"],
    },
    Family {
        construct: "case", remedy: "write the conditions with `AND`, `OR` and `NOT`",
        words: &["CASE", "WHEN", "THEN", "ELSE", "END"],
    },
    Family {
        construct: "cast", remedy: "compare integers with integers and text with text",
        words: &["CAST", "CONVERT", "TRY_CAST"],
    },
    Family {
        construct: "collate", remedy: "remove it, text is compared byte by byte",
        words: &["COLLATE", "COLLATION", "NOCASE", "RTRIM"],
    },
    Family {
        construct: "null-test", remedy: "write `IS NULL` or `IS NOT NULL`",
        words: &["ISNULL", "NOTNULL", "UNKNOWN"],
    },
    Family {
        construct: "distinct", remedy: "remove it, or write `=` with `IS NULL`",
        words: &["DISTINCT"],
    },
    Family {
        construct: "quantifier",
        remedy: "write `IN ('...', '...')` or `EXISTS (SELECT 1 FROM ...)`",
        words: &["ALL", "ANY", "SOME", "UNNEST"],
    },
    Family {
        construct: "sub-select-tail", remedy: "end the sub-select after its `WHERE`",
        words: &[
            "ORDER", "GROUP", "HAVING", "LIMIT", "OFFSET", "FETCH", "FOR", "WINDOW", "OVER",
            "PARTITION", "FILTER", "WITHIN", "TABLESAMPLE", "INDEXED", "INTO", "QUALIFY", "BY",
        ],
    },
    Family {
        construct: "row-source",
        remedy: "write `SELECT 1 FROM tasks t WHERE ...` over one contract table",
        words: &["VALUES", "TABLE", "ONLY", "ROWS"],
    },
    Family {
        construct: "row-value", remedy: "compare the columns one by one with `AND`",
        words: &["ROW", "ARRAY", "STRUCT", "MAP", "OVERLAPS"],
    },
    Family {
        construct: "current-value",
        remedy: "a clause reads no clock and no session: state the time limit beside it",
        words: &[
            "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP",
            "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE", "CURRENT_CATALOG", "CURRENT_SCHEMA",
            "USER", "INTERVAL",
        ],
    },
    Family {
        construct: "statement", remedy: "a clause is one boolean expression: remove the statement",
        words: &[
            "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "DROP", "CREATE", "ALTER", "TRUNCATE",
            "GRANT", "REVOKE", "ATTACH", "DETACH", "PRAGMA", "VACUUM", "ANALYZE", "REINDEX",
            "EXPLAIN", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "COPY", "CALL",
            "EXECUTE", "PREPARE", "DO", "SET", "RESET", "SHOW", "LOCK", "LISTEN", "NOTIFY",
            "RETURNING", "RAISE",
        ],
    },
    Family {
        construct: "keyword", remedy: "use another name, or a word of the language",
        words: &[
            "DEFAULT", "OPERATOR", "XOR", "DIV", "MOD", "AT", "ZONE", "DESC", "ASC", "SYMMETRIC",
            "ASYMMETRIC", "VARIADIC", "PRIOR", "CONNECT", "START", "GLOBAL", "MEMBER", "EXTRACT",
            "POSITION", "SUBSTRING", "OVERLAY", "TRIM", "CHECK", "CONSTRAINT", "FOREIGN", "PRIMARY",
            "REFERENCES", "UNIQUE", "INDEX", "TRIGGER", "VIEW", "VIRTUAL", "TEMP", "TEMPORARY",
            "TO", "IF", "NOTHING", "TRANSACTION", "COLUMN", "ADD",
        ],
    },
];
