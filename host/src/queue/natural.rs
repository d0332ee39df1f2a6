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
        let (number, rest) = split(one);
        let (other_number, other_rest) = split(other);
        if !number.is_empty() && !other_number.is_empty() {
            let [number, other_number] =
                [number, other_number].map(|digits| digits.trim_start_matches('0'));
            // Without leading zeros, the longer number is the greater one.
            let by_length = number.len().cmp(&other_number.len());
            let order = by_length.then_with(|| number.cmp(other_number));
            if order.is_ne() {
                return order;
            }
            (one, other) = (rest, other_rest);
            continue;
        }
        let (mut letters, mut other_letters) = (one.chars(), other.chars());
        let (letter, other_letter) = match (letters.next(), other_letters.next()) {
            (Some(letter), Some(other_letter)) => (letter, other_letter),
            (letter, other_letter) => return letter.is_some().cmp(&other_letter.is_some()),
        };
        let order = letter.to_lowercase().cmp(other_letter.to_lowercase());
        if order.is_ne() {
            return order;
        }
        (one, other) = (letters.as_str(), other_letters.as_str());
    }
}

/// The digits at the beginning, and the rest.
fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(digits).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers_and_letters_whatever_their_case() {
        let ordered = [
            "",
            "2",
            "10",
            "99999999999999999999999999",
            "100000000000000000000000000",
            "a",
            "Team-2/x",
            "team-2/x",
            "team-02/x",
            "team-3",
            "team-3b",
            "team-10",
            "team-10-1",
            "TEAM-11",
            "é2",
            "é10",
            "日本",
            "日本2",
        ];
        for (place, name) in ordered.iter().enumerate() {
            for (other_place, other) in ordered.iter().enumerate() {
                assert_eq!(
                    natural(name, other),
                    place.cmp(&other_place),
                    "{name:?} and {other:?}"
                );
            }
        }
    }
}
