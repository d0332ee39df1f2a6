//! The parameters of a statement, one for each place where a value is used.
//!
//! Owns the new numbers. A server finds one type for a parameter, whatever the number of its places,
//! and refuses the statement when the places need several: an orchestrator's `stage` may be
//! `varchar` beside the gate's own `text`. Callers rely on this: a place of `$1 IS NULL`, which
//! needs no type, shares the number of the next place of `$1`.

/// A statement and, for each of its parameters, the place of the value among those that were given.
pub(crate) struct Placed {
    pub sql: String,
    pub values: Vec<usize>,
}

/// Gives each place of a value a parameter of its own.
pub(crate) fn placed(sql: &str) -> Placed {
    let mut placed = Placed {
        sql: String::with_capacity(sql.len() + 16),
        values: Vec::new(),
    };
    // The new numbers of the values that were only asked for NULL so far.
    let mut asked: Vec<(usize, usize)> = Vec::new();
    // The quote that a text or a name of the statement ends with.
    let (mut rest, mut quote) = (sql, None);
    while let Some(place) = rest.find(['$', '\'', '"']) {
        let (before, after) = rest.split_at(place);
        placed.sql.push_str(before);
        let digits = after.get(1..).unwrap_or_default();
        let length = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let (number, following) = digits.split_at(length);
        let value = number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        let Some(value) = value.filter(|_| quote.is_none() && after.starts_with('$')) else {
            let found = after.chars().next().filter(|found| *found != '$');
            quote = match quote {
                None => found,
                Some(_) if found == quote => None,
                open => open,
            };
            placed.sql.push_str(after.get(..1).unwrap_or_default());
            rest = digits;
            continue;
        };
        let known = asked.iter().position(|(of, _)| *of == value);
        let number = match known {
            Some(known) => asked.get(known).map_or(0, |(_, number)| *number),
            None => {
                placed.values.push(value);
                placed.values.len()
            }
        };
        let is_asked = following.starts_with(" IS NULL") || following.starts_with(" IS NOT NULL");
        match known {
            None if is_asked => asked.push((value, number)),
            Some(known) if !is_asked => drop(asked.swap_remove(known)),
            _ => {}
        }
        placed.sql.push_str(&format!("${number}"));
        rest = following;
    }
    placed.sql.push_str(rest);
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_a_parameter_unless_it_only_asks_for_null() {
        let cases: [(&str, &str, &[usize]); 5] = [
            (
                "FROM \"it's $1\".jobs WHERE id = $2",
                "FROM \"it's $1\".jobs WHERE id = $1",
                &[1],
            ),
            (
                "SET a = $2, b = $2 WHERE id = $1",
                "SET a = $1, b = $2 WHERE id = $3",
                &[1, 1, 0],
            ),
            (
                "$2 IS NULL OR id != $2 AND $2 = x",
                "$1 IS NULL OR id != $1 AND $2 = x",
                &[1, 1],
            ),
            (
                "a = '$1 it''s $2' AND b = $1",
                "a = '$1 it''s $2' AND b = $1",
                &[0],
            ),
            ("a = $10 AND b LIKE '$'", "a = $1 AND b LIKE '$'", &[9]),
        ];
        for (sql, expected, values) in cases {
            let placed = placed(sql);
            assert_eq!(
                (placed.sql.as_str(), placed.values.as_slice()),
                (expected, values)
            );
        }
    }
}
