//! The order of names as people read them: `team-3` before `team-10`.
//!
//! Callers rely on this: it is a total order on any texts, and equal only for equal texts.

use std::cmp::Ordering;

/// Compares two names: digits by their number, letters whatever their case, and then exactly.
pub(super) fn natural(one: &str, other: &str) -> Ordering {
    folded(one, other).then_with(|| one.cmp(other))
}

fn folded(mut one: &str, mut other: &str) -> Ordering {
    loop {
        let (mut letters, mut other_letters) = (one.chars(), other.chars());
        let (letter, other_letter) = match (letters.next(), other_letters.next()) {
            (Some(letter), Some(other_letter)) => (letter, other_letter),
            (letter, other_letter) => return letter.is_some().cmp(&other_letter.is_some()),
        };
        if letter.is_ascii_digit() && other_letter.is_ascii_digit() {
            let ((number, rest), (other_number, other_rest)) = (split(one), split(other));
            let order = by_number(number, other_number);
            if order.is_ne() {
                return order;
            }
            (one, other) = (rest, other_rest);
            continue;
        }
        if letter != other_letter {
            let order = letter.to_lowercase().cmp(other_letter.to_lowercase());
            if order.is_ne() {
                return order;
            }
        }
        (one, other) = (letters.as_str(), other_letters.as_str());
    }
}

/// The digits at the beginning, and the rest.
fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(digits).unwrap_or((text, ""))
}

/// Compares digits. Without leading zeros, the longer number is the greater one.
fn by_number(one: &str, other: &str) -> Ordering {
    let [one, other] = [one, other].map(|digits| digits.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}
