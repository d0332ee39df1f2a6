//! A value of an orchestrator's row, kept as it is, so that it can be compared or searched for.

use super::engine::{FromValue, ToValue, Value};

/// A value as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    Null,
    Integer(i64),
    Real(f64),
    /// Not always UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Raw {
    /// For people.
    pub(crate) fn shown(&self) -> Option<String> {
        self.to_value().shown()
    }
}

impl ToValue for Raw {
    fn to_value(&self) -> Value<'_> {
        match self {
            Raw::Null => Value::Null,
            Raw::Integer(number) => Value::Integer(*number),
            Raw::Real(number) => Value::Real(*number),
            Raw::Text(text) => Value::Text(text),
            Raw::Blob(bytes) => Value::Bytes(bytes),
        }
    }
}

impl FromValue for Raw {
    fn from_value(value: Value<'_>) -> Option<Raw> {
        Some(match value {
            Value::Null => Raw::Null,
            Value::Integer(number) => Raw::Integer(number),
            Value::Real(number) => Raw::Real(number),
            Value::Text(text) => Raw::Text(text.to_vec()),
            Value::Bytes(bytes) => Raw::Blob(bytes.to_vec()),
        })
    }
}
