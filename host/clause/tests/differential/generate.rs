//! Generated texts: clauses of the language, clauses with a few changes, and words in any order.
//!
//! The numbers are drawn from a small deterministic generator, so that a failure can be run again.

pub struct Generator(u64);

/// How deep sub-selects are inside each other.
const DEPTH: usize = 2;

#[rustfmt::skip]
const PIECES: &[&str] = &[
    " AND ", " OR ", " NOT ", " IN ", " BETWEEN ", " IS NULL", " IS NOT NULL", " TRUE ", "FALSE",
    " NULL ", "EXISTS ", "SELECT ", " FROM ", " WHERE ", " AS ", "min(", "count(", "count(*)", "f(",
    "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)",
    "(SELECT max(j.repo) FROM jobs j WHERE j.task_id = jobs.task_id)",
    "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo)", "t.repo = jobs.repo", "jobs.id",
    "jobs.repo", "jobs.agent", "tasks.id", "t.id", "t.repo", "t.stage", "s.repo", "jobs", "tasks",
    "t", "id", " = ", " <> ", " != ", " < ", " >= ", " == ", "(", ")", "()", ", ", ".", "*", "0",
    "1", "-1", "007", "1000", "1001", "9223372036854775808", "1 = 1", "'a'", "''", "'it''s'",
    "'x\\'", "\"id\"", "--", "/*", "*/", ";", " + ", " - ", "\n", "\t", "||", "::text", " LIKE ",
    " IS ", " NOT NULL", " BETWEEN 1 AND 2", " NOT IN ('a', NULL)", " = 1 = 1", " UNION ", "E'a'",
];

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn text(&mut self) -> String {
        match self.below(8) {
            0 => self.words(),
            1..=3 => self.clause(),
            _ => {
                let mut text = self.clause();
                for _ in 0..1 + self.below(3) {
                    text = self.changed(&text);
                }
                text
            }
        }
    }

    fn words(&mut self) -> String {
        let count = self.below(25);
        let words = (0..count).map(|_| self.one_of(PIECES));
        words.collect::<Vec<_>>().concat()
    }

    fn clause(&mut self) -> String {
        let size = 1 + self.below(4);
        let and = self.one_of(&["", "", "", "AND ", "and "]);
        let condition = self.condition(size, 0);
        match and.as_str() {
            "" => condition,
            and => format!("{and}({condition})"),
        }
    }

    fn changed(&mut self, text: &str) -> String {
        let mut pieces = cut(text);
        let at = self.below(pieces.len() + 1);
        let length = self.below((pieces.len() - at).min(6) + 1);
        let behind = at + length;
        match self.below(5) {
            0 => pieces.insert(at, self.one_of(PIECES)),
            1 => drop(pieces.splice(at..behind, [self.one_of(PIECES)])),
            2 => drop(pieces.drain(at..behind)),
            3 => {
                pieces.insert(behind, ")".to_owned());
                pieces.insert(at, self.one_of(&["(", "NOT (", " AND (", " OR ("]));
            }
            _ => {
                let copy = pieces.get(at..behind).unwrap().to_vec();
                drop(pieces.splice(at..at, copy));
            }
        }
        pieces.concat()
    }

    fn condition(&mut self, size: usize, depth: usize) -> String {
        if size > 0 && self.below(3) > 0 {
            let condition = self.condition(size - 1, depth);
            return match self.below(7) {
                0..=3 => {
                    let operator = self.one_of(&["AND", "OR", "and", "Or"]);
                    let other = self.condition(size - 1, depth);
                    format!("{condition} {operator} {other}")
                }
                4 | 5 => format!("NOT {condition}"),
                _ => format!("({condition})"),
            };
        }
        let is_integer = self.below(2) == 0;
        let not = self.one_of(&["", "", "NOT ", "not "]);
        match self.below(if depth < DEPTH { 12 } else { 9 }) {
            0..=3 => {
                let operator = self.one_of(&["=", "<>", "!=", "<", "<=", ">", ">="]);
                let (left, right) = (self.value(is_integer, depth), self.value(is_integer, depth));
                format!("{left} {operator} {right}")
            }
            4 | 5 => {
                let value = self.value(is_integer, depth);
                let count = 1 + self.below(3);
                let items = (0..count).map(|_| self.literal(is_integer));
                let items = items.collect::<Vec<_>>().join(", ");
                format!("{value} {not}IN ({items})")
            }
            6 => {
                let value = self.value(is_integer, depth);
                let (low, high) = (self.value(is_integer, depth), self.value(is_integer, depth));
                format!("{value} {not}BETWEEN {low} AND {high}")
            }
            7 => format!("{} IS {not}NULL", self.value(is_integer, depth)),
            8 => self.one_of(&["TRUE", "FALSE", "true"]),
            9 | 10 => {
                let source = self.source(depth);
                format!("{not}EXISTS (SELECT 1 {source})")
            }
            _ => {
                let call = self.one_of(&["count(*)", "COUNT(*)", "count ( * )"]);
                let operator = self.one_of(&["=", "<>", "<", "<=", ">", ">="]);
                let number = self.one_of(&["0", "3", "1000", "(4)", "-1", "1001"]);
                let source = self.source(depth);
                format!("(SELECT {call} {source}) {operator} {number}")
            }
        }
    }

    fn value(&mut self, is_integer: bool, depth: usize) -> String {
        let value = match self.below(8) {
            0..=3 => {
                let row = match depth {
                    0 => self.one_of(&["jobs", "JOBS"]),
                    _ => self.one_of(&["jobs", "s1", "S1", &format!("s{depth}")]),
                };
                let column = match is_integer {
                    true => "id".to_owned(),
                    false => self.one_of(&["repo", "Repo"]),
                };
                format!("{row}.{column}")
            }
            4 if depth < DEPTH => {
                let end = self.one_of(&["min", "max", "MIN", "max "]);
                let column = if is_integer { "id" } else { "repo" };
                let source = self.source(depth);
                format!("(SELECT {end}(s{}.{column}) {source})", depth + 1)
            }
            _ => self.literal(is_integer),
        };
        match self.below(10) {
            0 => format!("({value})"),
            _ => value,
        }
    }

    fn literal(&mut self, is_integer: bool) -> String {
        match is_integer {
            true => self.one_of(&["NULL", "0", "1", "-1", "007", "-9223372036854775808", "(7)"]),
            false => self.one_of(&["NULL", "''", "'a'", "'it''s'", "'x\\'", "'done'", "'--'"]),
        }
    }

    /// A sub-select from its `FROM` to its end.
    fn source(&mut self, depth: usize) -> String {
        let table = self.one_of(&["tasks", "jobs", "repo_freeze", "Tasks"]);
        let explicit = self.one_of(&["", "AS ", "as "]);
        let own = format!("s{}", depth + 1);
        let tie = match self.below(4) {
            0 => format!("jobs.repo = {own}.repo"),
            1 => format!("({own}.id = jobs.task_id)"),
            _ => format!("{own}.repo = jobs.repo"),
        };
        let size = self.below(3);
        let filter = match self.below(3) {
            0 => tie,
            1 => format!("{tie} AND ({})", self.condition(size, depth + 1)),
            _ => format!("(({}) AND {tie})", self.condition(size, depth + 1)),
        };
        format!("FROM {table} {explicit}{own} WHERE {filter}")
    }

    fn one_of(&mut self, texts: &[&str]) -> String {
        let at = self.below(texts.len());
        texts.get(at).copied().unwrap_or_default().to_owned()
    }

    /// xorshift64*.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// Words, strings and single symbols.
fn cut(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let (mut in_string, mut joins) = (false, false);
    for c in text.chars() {
        let is_word = c.is_alphanumeric() || c == '_';
        match pieces.last_mut() {
            Some(last) if in_string || (joins && is_word) => last.push(c),
            _ => pieces.push(c.to_string()),
        }
        in_string ^= c == '\'';
        joins = is_word;
    }
    pieces
}
