//! What differs from run to run, and the comparison that allows for it.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// What is new each time: a claim's token, a token of the service, the number of a freeze, a commit.
const KINDS: [&str; 4] = [
    r"sgc_[A-Za-z0-9_-]+",
    r"sgt_[A-Za-z0-9_-]+",
    r"\b\d{13}\b",
    r"\b[0-9a-f]{10}\b",
];
const TIME: &str = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d";

static SPECIAL: LazyLock<Regex> = LazyLock::new(|| {
    let kinds = KINDS.join("|");
    let time_first = format!("(?<time>{TIME})|(?<value>{kinds})|(?<any>…)");
    Regex::new(&time_first).unwrap()
});

/// The kind of a value of a document.
fn kind(value: &str) -> &'static str {
    let is = |kind: &&&str| {
        Regex::new(&format!("^(?:{kind})$"))
            .unwrap()
            .is_match(value)
    };
    KINDS.iter().find(is).unwrap()
}

/// The values of a document and the ones that this run printed in their place.
#[derive(Clone)]
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
            return (0..=printed.len()).any(|skipped| {
                let mut learned = self.clone();
                let agrees = learned.agree(rest, &printed[skipped..]);
                if agrees {
                    *self = learned;
                }
                agrees
            });
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
                pattern += &format!("({})", kind(whole.as_str()));
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
            let is_another = |known: (&String, &String)| known.0 != value && *known.1 == printed;
            if self.0.iter().any(is_another) {
                // Two values of the document are one here.
                return false;
            }
            let before = self.0.insert(value.to_owned(), printed.clone());
            if before.is_some_and(|before| before != printed) {
                return false;
            }
        }
        true
    }
}

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
    assert!(!agree("sgc_a", "sgt_b"));
    assert!(agree("sgc_a sgc_b", "sgc_1 sgc_2"));
    assert!(!agree("sgc_a sgc_b", "sgc_1 sgc_1"));
    assert!(agree("…\nsgc_a\nz", "sgc_1\ny\nsgc_2\nz"));
}
