//! Where two results differ.

use serde_json::{Map, Value};

/// One field that is not as expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The field, as a path such as `final.snapshot.per_repo.alpha.frozen`.
    pub field: String,
    /// What was expected; none if the field was not.
    pub expected: Option<Value>,
    /// What came; none if the field did not.
    pub got: Option<Value>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json =
            |value: &Option<Value>| value.as_ref().map_or("nothing".into(), ToString::to_string);
        let (expected, got) = (json(&self.expected), json(&self.got));
        write!(f, "{}: expected {expected}, got {got}", self.field)
    }
}

/// Every field in which `got` is not `expected`, in no more detail than objects and equally long
/// lists allow. A result may be expected in part: a field that it does not have is not compared.
pub(super) fn differences(
    expected: &Map<String, Value>,
    got: &Map<String, Value>,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (field, value) in expected {
        compare(field, Some(value), got.get(field), &mut differences);
    }
    differences
}

fn compare(
    field: &str,
    expected: Option<&Value>,
    got: Option<&Value>,
    differences: &mut Vec<Difference>,
) {
    let inner = |key: &str| format!("{field}.{key}");
    match (expected, got) {
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            for (key, value) in expected {
                compare(&inner(key), Some(value), got.get(key), differences);
            }
            for (key, value) in got.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                compare(&inner(key), None, Some(value), differences);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) if expected.len() == got.len() => {
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare(
                    &inner(&index.to_string()),
                    Some(expected),
                    Some(got),
                    differences,
                );
            }
        }
        (expected, got) if expected == got => {}
        (expected, got) => differences.push(Difference {
            field: field.to_owned(),
            expected: expected.cloned(),
            got: got.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(expected: Value, got: Value) -> Vec<String> {
        let (Value::Object(expected), Value::Object(got)) = (expected, got) else {
            return vec![];
        };
        differences(&expected, &got)
            .into_iter()
            .map(|difference| difference.field)
            .collect()
    }

    #[test]
    fn equal_results_differ_nowhere() {
        assert_eq!(
            fields(
                json!({"a": [1, {"b": null}]}),
                json!({"a": [1, {"b": null}]})
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_difference_is_named_by_its_path() {
        assert_eq!(
            fields(json!({"a": [1, {"b": null}]}), json!({"a": [1, {"b": 2}]})),
            ["a.1.b"]
        );
    }

    #[test]
    fn a_field_that_is_missing_is_a_difference_and_inside_a_field_so_is_one_too_many() {
        assert_eq!(fields(json!({"a": 1}), json!({"b": 1})), ["a"]);
        assert_eq!(
            fields(json!({"a": {}}), json!({"a": {"c": 1}, "b": 1})),
            ["a.c"]
        );
    }

    #[test]
    fn lists_of_different_lengths_differ_as_a_whole() {
        assert_eq!(fields(json!({"a": [1, 2]}), json!({"a": [1]})), ["a"]);
    }
}
