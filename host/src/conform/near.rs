//! Values close to a value, and the values in a policy's parameters.
//!
//! Owns the small mistakes that a rule may make: off by one, another case of letters, one letter
//! more or less.

use serde_json::Value;

use crate::clause::tree::Literal;
use crate::model::Settings;

/// The values next to a value.
pub(super) fn neighbours(value: &Literal) -> Vec<Literal> {
    match value {
        Literal::Null => Vec::new(),
        Literal::Integer(number) => {
            let next = [number.saturating_sub(1), number.saturating_add(1)];
            next.into_iter().map(Literal::Integer).collect()
        }
        Literal::Text(text) => {
            let mut shorter = text.clone();
            shorter.pop();
            let next = [
                other_case(text),
                shorter,
                format!("{text} "),
                format!("{text}x"),
            ];
            next.into_iter().map(Literal::Text).collect()
        }
    }
}

/// A value just before a value, in the order in which texts and numbers are compared.
pub(super) fn before(value: &Literal) -> Literal {
    match value {
        Literal::Null => Literal::Null,
        Literal::Integer(number) => Literal::Integer(number.saturating_sub(1)),
        Literal::Text(text) => {
            let mut shorter = text.clone();
            shorter.pop();
            Literal::Text(shorter)
        }
    }
}

/// A value just after a value.
pub(super) fn after(value: &Literal) -> Literal {
    match value {
        Literal::Null => Literal::Null,
        Literal::Integer(number) => Literal::Integer(number.saturating_add(1)),
        Literal::Text(text) => Literal::Text(format!("{text} ")),
    }
}

fn other_case(text: &str) -> String {
    let upper = text.to_uppercase();
    if upper == text {
        text.to_lowercase()
    } else {
        upper
    }
}

/// How many parts of `rules` are looked at.
const PARTS: usize = 5_000;

/// The texts in `rules`, which may be names of anything.
pub(super) fn texts_of(settings: &Settings) -> Vec<String> {
    let texts = parts(settings).into_iter().filter_map(|part| match part {
        Value::String(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

/// The numbers in `rules`, which may be times.
pub(super) fn numbers_of(settings: &Settings) -> Vec<i64> {
    let numbers = parts(settings).into_iter();
    numbers.filter_map(|part| part.as_i64()).collect()
}

/// The values in `rules` that are neither lists nor objects.
fn parts(settings: &Settings) -> Vec<Value> {
    let rules = settings.rules.as_deref().unwrap_or_default();
    let mut open: Vec<Value> = serde_json::from_str(rules).into_iter().collect();
    let mut parts = Vec::new();
    while let Some(part) = open.pop() {
        match part {
            Value::Array(items) => open.extend(items),
            Value::Object(entries) => open.extend(entries.into_iter().map(|(_, entry)| entry)),
            part => parts.push(part),
        }
        if parts.len() >= PARTS {
            break;
        }
    }
    parts
}
