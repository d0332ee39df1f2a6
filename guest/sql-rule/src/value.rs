//! Values as the database compares them.
//!
//! Callers rely on this: comparisons have SQL's three truth values, `None` being NULL.

use core::cmp::Ordering;

use serial_gate_clause::tree::Comparison;

/// A value of a column, or a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Number(Number),
    Text(Text<'a>),
}

/// A number's place in the order of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(i128);

/// A text. Two values that look alike differ when their symbols do; a literal has none.
///
/// A column of texts may hold a blob, which the contract shows as `x'00ff'`. It equals no text and
/// comes after all of them. A text that looks the same is taken for a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub text: &'a str,
    pub symbol: u32,
}

impl Number {
    pub(crate) const fn of(integer: i64) -> Number {
        // Odd places are between two integers.
        Number(integer as i128 * 2)
    }

    /// A value of `jobs.task_id`: the contract's `task-id-kind`. Two values between the same
    /// integers, or beyond all of them, cannot be told apart.
    pub(crate) fn task_id(number: i64, kind: u8) -> Option<Number> {
        match kind {
            0 => None,
            1 => Some(Number::of(number)),
            2 => Some(Number(Number::of(number).0 - 1)),
            _ => Some(Number(i128::MAX)),
        }
    }
}

impl Value<'_> {
    /// The order of two values; `None` if one is NULL.
    pub(crate) fn order(self, other: Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Number(left), Value::Number(right)) => Some(left.cmp(&right)),
            (Value::Text(left), Value::Text(right)) => Some(left.order(right)),
            // The guard lets numbers meet numbers, and texts meet texts.
            _ => None,
        }
    }

    pub(crate) fn compare(self, comparison: Comparison, other: Value<'_>) -> Option<bool> {
        self.order(other).map(|order| comparison.holds(order))
    }

    pub(crate) fn is_null(self) -> bool {
        self == Value::Null
    }
}

impl Text<'_> {
    fn order(self, other: Text<'_>) -> Ordering {
        let [left, right] = [self.symbol, other.symbol];
        if left == right && left != 0 {
            return Ordering::Equal;
        }
        let order = self.is_blob().cmp(&other.is_blob());
        let order = order.then_with(|| self.text.cmp(other.text));
        match left == 0 || right == 0 {
            true => order,
            // A number looks like a text, and is another value.
            false => order.then(left.cmp(&right)),
        }
    }

    fn is_blob(&self) -> bool {
        let bytes = self.text.strip_prefix("x'");
        let bytes = bytes.and_then(|bytes| bytes.strip_suffix('\''));
        self.symbol != 0
            && bytes.is_some_and(|bytes| {
                bytes.len() % 2 == 0
                    && bytes
                        .bytes()
                        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            })
    }
}
