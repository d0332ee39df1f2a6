//! What differs from run to run, and the comparison that allows for it.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// What the gate makes anew each time: a token, the number of a freeze, a commit.
const NEW_EACH_TIME: &str = r"sg[a-z]_[A-Za-z0-9_-]+|\b\d{13}\b|\b[0-9a-f]{10}\b";
const TIME: &str = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d";

static SPECIAL: LazyLock<Regex> = LazyLock::new(|| {
    let time_first = format!("(?<time>{TIME})|(?<value>{NEW_EACH_TIME})|(?<any>…)");
    Regex::new(&time_first).unwrap()
});

/// The values of a document and the ones that this run printed in their place.
pub struct Values(HashMap<String, String>);

impl Values {
    pub fn new() -> Values {
        Values(HashMap::new())
    }

    /// A command with the values of this run.
    pub fn in_command(&self, command: &str) -> String {
        let known = |found: &Captures<'_>| {
            let text = &found[0];
            self.0.get(text).map_or(text, String::as_str).to_owned()
        };
        SPECIAL.replace_all(command, known).into_owned()
    }

    /// Whether a run printed what a document says, whose values it then learns.
    pub fn agree(&mut self, said: &[String], printed: &[String]) -> bool {
        let Some((first, rest)) = said.split_first() else {
            return printed.is_empty();
        };
        if first.trim() == "…" {
            return (0..=printed.len()).any(|skipped| self.agree(rest, &printed[skipped..]));
        }
        let Some((line, others)) = printed.split_first() else {
            return false;
        };
        self.agrees(first, line) && self.agree(rest, others)
    }

    fn agrees(&mut self, said: &str, printed: &str) -> bool {
        let (mut pattern, mut end, mut learned) = (String::from("^"), 0, Vec::new());
        for found in SPECIAL.captures_iter(said) {
            let whole = found.get(0).unwrap();
            pattern += &regex_lite::escape(&said[end..whole.start()]);
            end = whole.end();
            if found.name("any").is_some() {
                pattern += ".*";
            } else if found.name("time").is_some() {
                pattern += TIME;
            } else if let Some(known) = self.0.get(whole.as_str()) {
                pattern += &regex_lite::escape(known);
            } else {
                pattern += &format!("({NEW_EACH_TIME})");
                learned.push(whole.as_str());
            }
        }
        pattern += &regex_lite::escape(said[end..].trim_end());
        pattern += "$";
        let Some(values) = Regex::new(&pattern).unwrap().captures(printed.trim_end()) else {
            return false;
        };
        for (at, value) in learned.into_iter().enumerate() {
            let printed = values[at + 1].to_owned();
            self.0.insert(value.to_owned(), printed);
        }
        true
    }
}

#[cfg(test)]
fn agree(said: &str, printed: &str) -> bool {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    Values::new().agree(&lines(said), &lines(printed))
}

#[test]
fn a_value_is_the_same_wherever_the_document_has_it() {
    let mut values = Values::new();
    let said = ["token sgc_one".to_owned()];
    assert!(values.agree(&said, &["token sgc_two".to_owned()]));
    assert_eq!(
        values.in_command("finish --token sgc_one"),
        "finish --token sgc_two"
    );
    assert!(!values.agree(&said, &["token sgc_three".to_owned()]));
}

#[test]
fn other_words_and_other_lines_differ() {
    assert!(agree(
        "at 2026-01-01 00:00:00 UTC",
        "at 2027-12-31 23:59:59 UTC"
    ));
    assert!(agree("a … c\n…\nz", "a b c\n1\n2\nz"));
    assert!(agree("…\nz", "z"));
    assert!(!agree("a", "b"));
    assert!(!agree("a", "a\nb"));
    assert!(!agree("a\nb", "a"));
    assert!(!agree("…\nz", "y"));
}
