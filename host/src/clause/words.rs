//! The words of the language: which keywords the parser may see, and what is said about the others.
//!
//! Owns the allow-list and the list of refused SQL keywords with their remedies. Leaves to
//! `contract` which tables and columns exist. Invariant: a word outside the allow-list reaches the
//! parser with no keyword meaning, so a keyword that SQLite, PostgreSQL or sqlparser adds later is
//! a plain name here and is refused as an unknown one.

use sqlparser::keywords::Keyword;

/// The keyword of an allow-listed word, in any case of letters.
pub(crate) fn keyword(word: &str) -> Option<Keyword> {
    let keyword = match word.to_ascii_uppercase().as_str() {
        "AND" => Keyword::AND,
        "OR" => Keyword::OR,
        "NOT" => Keyword::NOT,
        "IN" => Keyword::IN,
        "BETWEEN" => Keyword::BETWEEN,
        "IS" => Keyword::IS,
        "NULL" => Keyword::NULL,
        "TRUE" => Keyword::TRUE,
        "FALSE" => Keyword::FALSE,
        "EXISTS" => Keyword::EXISTS,
        "SELECT" => Keyword::SELECT,
        "FROM" => Keyword::FROM,
        "WHERE" => Keyword::WHERE,
        "AS" => Keyword::AS,
        _ => return None,
    };
    Some(keyword)
}

/// A family of SQL keywords that the language leaves out.
pub(crate) struct Refused {
    /// The construct of the refusal.
    pub construct: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
    words: &'static [&'static str],
}

/// The refused family a word belongs to, if it is an SQL keyword.
pub(crate) fn refused(word: &str) -> Option<&'static Refused> {
    REFUSED.iter().find(|family| {
        family
            .words
            .iter()
            .any(|refused| refused.eq_ignore_ascii_case(word))
    })
}

/// Refusing by name is for the author's sake: without this list each of these would still be
/// refused, as an unknown column or as bad syntax.
#[rustfmt::skip]
static REFUSED: &[Refused] = &[
    Refused {
        construct: "set-operation", remedy: "join the conditions of both with `OR` or `AND`",
        words: &["UNION", "INTERSECT", "EXCEPT", "MINUS"],
    },
    Refused {
        construct: "cte", remedy: "write the sub-select in place, as `EXISTS (SELECT 1 FROM ...)`",
        words: &["WITH", "RECURSIVE", "MATERIALIZED"],
    },
    Refused {
        construct: "join", remedy: "write one table per sub-select and nest a second `EXISTS`",
        words: &["JOIN", "CROSS", "INNER", "OUTER", "LEFT", "RIGHT", "FULL", "NATURAL", "USING", "ON", "LATERAL"],
    },
    Refused {
        construct: "pattern", remedy: "write `=` or `IN ('...', '...')`",
        words: &["LIKE", "ILIKE", "GLOB", "SIMILAR", "REGEXP", "RLIKE", "MATCH", "ESCAPE"],
    },
    Refused {
        construct: "case", remedy: "write the conditions with `AND`, `OR` and `NOT`",
        words: &["CASE", "WHEN", "THEN", "ELSE", "END"],
    },
    Refused {
        construct: "cast", remedy: "compare integers with integers and text with text",
        words: &["CAST", "CONVERT", "TRY_CAST"],
    },
    Refused {
        construct: "collate", remedy: "remove it, text is compared byte by byte",
        words: &["COLLATE", "COLLATION", "NOCASE", "RTRIM"],
    },
    Refused {
        construct: "null-test", remedy: "write `IS NULL` or `IS NOT NULL`",
        words: &["ISNULL", "NOTNULL", "UNKNOWN"],
    },
    Refused {
        construct: "distinct", remedy: "remove it, or write `=` with `IS NULL`",
        words: &["DISTINCT"],
    },
    Refused {
        construct: "quantifier", remedy: "write `IN ('...', '...')` or `EXISTS (SELECT 1 FROM ...)`",
        words: &["ALL", "ANY", "SOME", "UNNEST"],
    },
    Refused {
        construct: "sub-select-tail", remedy: "end the sub-select after its `WHERE`",
        words: &["ORDER", "GROUP", "HAVING", "LIMIT", "OFFSET", "FETCH", "FOR", "WINDOW", "OVER", "PARTITION", "FILTER",
            "WITHIN", "TABLESAMPLE", "INDEXED", "INTO", "QUALIFY", "BY"],
    },
    Refused {
        construct: "row-source", remedy: "write `SELECT 1 FROM tasks t WHERE ...` over one contract table",
        words: &["VALUES", "TABLE", "ONLY", "ROWS"],
    },
    Refused {
        construct: "row-value", remedy: "compare the columns one by one with `AND`",
        words: &["ROW", "ARRAY", "STRUCT", "MAP", "OVERLAPS"],
    },
    Refused {
        construct: "current-value", remedy: "a clause reads no clock and no session: state the time limit beside it",
        words: &["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "CURRENT_USER",
            "SESSION_USER", "CURRENT_ROLE", "CURRENT_CATALOG", "CURRENT_SCHEMA", "USER", "INTERVAL"],
    },
    Refused {
        construct: "statement", remedy: "a clause is one boolean expression: remove the statement",
        words: &["INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "DROP", "CREATE", "ALTER", "TRUNCATE", "GRANT", "REVOKE",
            "ATTACH", "DETACH", "PRAGMA", "VACUUM", "ANALYZE", "REINDEX", "EXPLAIN", "BEGIN", "COMMIT", "ROLLBACK",
            "SAVEPOINT", "RELEASE", "COPY", "CALL", "EXECUTE", "PREPARE", "DO", "SET", "RESET", "SHOW", "LOCK", "LISTEN",
            "NOTIFY", "RETURNING", "RAISE"],
    },
    Refused {
        construct: "keyword", remedy: "use another name, or one of the language's own words",
        words: &["DEFAULT", "OPERATOR", "XOR", "DIV", "MOD", "AT", "ZONE", "DESC", "ASC", "SYMMETRIC", "ASYMMETRIC", "VARIADIC",
            "PRIOR", "CONNECT", "START", "GLOBAL", "MEMBER", "EXTRACT", "POSITION", "SUBSTRING", "OVERLAY", "TRIM", "CHECK",
            "CONSTRAINT", "FOREIGN", "PRIMARY", "REFERENCES", "UNIQUE", "INDEX", "TRIGGER", "VIEW", "VIRTUAL", "TEMP",
            "TEMPORARY", "TO", "IF", "NOTHING", "TRANSACTION", "COLUMN", "ADD"],
    },
];
