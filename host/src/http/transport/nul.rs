//! The NUL character, which no text of a request may have.
//!
//! Owns the refusal, and how each part of a request writes the character. SQLite would keep it,
//! PostgreSQL would not, and no command could be given it. Callers rely on this: a text that was
//! extracted has none, so both engines answer alike.

use serde_json::Value;
use utoipa::openapi::schema::{ArrayItems, Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr};

use super::document::operations;
use super::problem::Problem;

/// The field for what a job printed: it may be anything, and the queue keeps it without the NUL.
const PRINTED: &str = "output";

/// Refuses JSON that has the character in a text.
pub fn check_json(bytes: &[u8]) -> Result<(), Problem> {
    const ESCAPE: &[u8] = b"\\u0000";
    if !bytes.windows(ESCAPE.len()).any(|part| part == ESCAPE) {
        return Ok(());
    }
    // An escaped backslash may come before it. What cannot be read is refused where it is read.
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
        return Ok(());
    };
    let Value::Object(fields) = body else {
        return if is_in(&body) {
            Err(refused("the body"))
        } else {
            Ok(())
        };
    };
    for (field, value) in &fields {
        if field.contains('\0') {
            return Err(refused("the name of a field"));
        }
        if field != PRINTED && is_in(value) {
            return Err(refused(&format!("`{}`", field.escape_debug())));
        }
    }
    Ok(())
}

/// Refuses a form, a query string or a path that has it.
pub fn check_encoded(bytes: &[u8], part: &str) -> Result<(), Problem> {
    let has_it = bytes.contains(&0) || bytes.windows(3).any(|three| three == b"%00");
    if has_it { Err(refused(part)) } else { Ok(()) }
}

fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(is_in),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || is_in(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn refused(part: &str) -> Problem {
    Problem::invalid(format!("{part} has a NUL character: leave it out"))
}

/// Says so in the document, of each text that a request may have.
pub fn describe(document: &mut OpenApi) {
    let mut named = Vec::new();
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter
                    && let Some(schema) = &mut parameter.schema
                {
                    describe_text(schema, &mut named);
                }
            }
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                for content in body.content.values_mut() {
                    if let RefOr::T(content) = content
                        && let Some(schema) = &mut content.schema
                    {
                        describe_text(schema, &mut named);
                    }
                }
            }
        }
    }
    let Some(components) = &mut document.components else {
        return;
    };
    while let Some(name) = named.pop() {
        if let Some(schema) = components.schemas.get_mut(&name) {
            describe_text(schema, &mut named);
        }
    }
}

/// Describes the texts of a schema, and lists the schemas that it refers to.
fn describe_text(schema: &mut RefOr<Schema>, named: &mut Vec<String>) {
    match schema {
        RefOr::Ref(Ref { ref_location, .. }) => {
            let name = ref_location.rsplit('/').next().unwrap_or_default();
            named.push(name.to_owned());
        }
        RefOr::T(Schema::Object(object)) => {
            if is_free_text(object) {
                object.pattern = Some(r"^[^\x00]*$".into());
            }
            for (name, field) in &mut object.properties {
                if name != PRINTED {
                    describe_text(field, named);
                }
            }
        }
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                describe_text(items, named);
            }
        }
        RefOr::T(Schema::OneOf(several)) => {
            for one in &mut several.items {
                describe_text(one, named);
            }
        }
        RefOr::T(_) => {}
    }
}

fn is_free_text(object: &Object) -> bool {
    let is_text = match &object.schema_type {
        SchemaType::Type(kind) => *kind == Type::String,
        SchemaType::Array(kinds) => kinds.contains(&Type::String),
        SchemaType::AnyValue => false,
    };
    let is_narrower =
        object.pattern.is_some() || object.format.is_some() || object.enum_values.is_some();
    is_text && !is_narrower
}
