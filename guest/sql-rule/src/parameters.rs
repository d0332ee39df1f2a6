//! The parameters of a rule: their defaults in the file, and their values in the settings.
//!
//! Owns the types, and how a value is printed into a clause. Callers rely on this: a printed value
//! is one literal of the language, or a list of literals, whatever the text in it is.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value as Json;
use serial_gate_default_policy::clause::{list, quoted};
use serial_gate_default_policy::settings::{check, check_text};

use crate::error::names;

/// The key of the settings that narrows the scope.
const REPOS: &str = "repos";

/// The parameters by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters(BTreeMap<String, Value>);

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Integer(i64),
    Text(String),
    Truth(bool),
    /// At least one, for `IN`.
    Integers(Vec<i64>),
    /// At least one, for `IN`.
    Texts(Vec<String>),
}

impl Parameters {
    /// The defaults, as the file's line `-- rules:` has them.
    pub(crate) fn of_file(json: &str) -> Result<Parameters, String> {
        let mut parameters = BTreeMap::new();
        for (name, value) in object(json)? {
            if name == REPOS {
                return Err(format!(
                    "`{REPOS}` is the scope in every policy: give the parameter another name"
                ));
            }
            if !is_name(&name) {
                let name = name.escape_debug();
                return Err(format!(
                    "`{name}` is no name of a parameter: write lower-case letters, digits and `_`"
                ));
            }
            let value = Value::read(&name, value)?;
            parameters.insert(name, value);
        }
        Ok(Parameters(parameters))
    }

    /// These, with the values of the settings, and the repos that they name.
    pub(crate) fn with(
        &self,
        rules: Option<&str>,
    ) -> Result<(Parameters, Option<Vec<String>>), String> {
        let mut parameters = self.clone();
        let mut repos = None;
        for (name, json) in object(rules.unwrap_or("{}"))? {
            let value = match name.as_str() {
                REPOS => &Value::Texts(Vec::new()),
                name => self.0.get(name).ok_or_else(|| self.unknown(name))?,
            };
            let (wanted, read) = (value.kind(), Value::read(&name, json)?);
            if read.kind() != wanted {
                return Err(format!("`{name}` is {}: write {wanted}", read.kind()));
            }
            match read {
                Value::Texts(texts) if name == REPOS => repos = Some(texts),
                read => {
                    parameters.0.insert(name, read);
                }
            }
        }
        Ok((parameters, repos))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn unknown(&self, name: &str) -> String {
        let known = names(self.names().chain([REPOS]));
        format!(
            "`{}` is not a parameter of this rule: it has {known}",
            name.escape_debug()
        )
    }
}

impl Value {
    fn read(name: &str, json: Json) -> Result<Value, String> {
        match json {
            Json::Bool(truth) => Ok(Value::Truth(truth)),
            Json::Number(_) => integer(name, &json).map(Value::Integer),
            Json::String(text) => {
                check_text(name, &text)?;
                Ok(Value::Text(text))
            }
            Json::Array(items) if !items.is_empty() && items.iter().all(Json::is_number) => {
                let items = items.iter().map(|item| integer(name, item));
                items.collect::<Result<_, _>>().map(Value::Integers)
            }
            Json::Array(items) => {
                let text = |item: &Json| item.as_str().map(ToOwned::to_owned);
                let texts: Option<Vec<String>> = items.iter().map(text).collect();
                let texts = texts.ok_or_else(|| {
                    format!("`{name}` is a mixed list: write numbers only, or texts only")
                })?;
                check(name, &texts, "name at least one")?;
                Ok(Value::Texts(texts))
            }
            Json::Null | Json::Object(_) => Err(format!(
                "`{name}` has no value that a clause can hold: write a whole number, a text, `true`, \
                 `false`, or a list of numbers or texts"
            )),
        }
    }

    /// The type, in words.
    fn kind(&self) -> &'static str {
        match self {
            Value::Integer(_) => "a whole number",
            Value::Text(_) => "a text",
            Value::Truth(_) => "`true` or `false`",
            Value::Integers(_) => "a list of whole numbers",
            Value::Texts(_) => "a list of texts",
        }
    }

    /// The one value, as SQL, of a parameter that is not a list.
    pub(crate) fn literal(&self) -> Option<String> {
        match self {
            Value::Integer(integer) => Some(integer.to_string()),
            Value::Text(text) => Some(quoted(text)),
            Value::Truth(true) => Some("TRUE".to_owned()),
            Value::Truth(false) => Some("FALSE".to_owned()),
            Value::Integers(_) | Value::Texts(_) => None,
        }
    }

    /// What stands behind a value that is, or is not, in the list. One item is compared: a clause
    /// with `stage <> 'done'` is flat, and one with `stage NOT IN ('done')` is not.
    pub(crate) fn membership(&self, negated: bool) -> Option<String> {
        let (items, count) = match self {
            Value::Texts(texts) => (list(texts), texts.len()),
            Value::Integers(integers) => {
                let items: Vec<String> = integers.iter().map(i64::to_string).collect();
                (items.join(", "), items.len())
            }
            _ => return None,
        };
        Some(match (count, negated) {
            (1, false) => format!("= {items}"),
            (1, true) => format!("<> {items}"),
            (_, false) => format!("IN ({items})"),
            (_, true) => format!("NOT IN ({items})"),
        })
    }
}

fn object(json: &str) -> Result<Vec<(String, Json)>, String> {
    if serde_json::from_str::<Json>(json).is_ok_and(|json| !json.is_object()) {
        return Err("not a JSON object, such as `{\"limit\":2}`".to_owned());
    }
    match serde_json::from_str(json) {
        Ok(Object(members)) => Ok(members),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

/// The members of an object, each once.
struct Object(Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if members.iter().any(|(known, _)| *known == name) {
                let name = name.escape_debug();
                return Err(A::Error::custom(format!("`{name}` is given twice")));
            }
            members.push((name, value));
        }
        Ok(Object(members))
    }
}

fn integer(name: &str, json: &Json) -> Result<i64, String> {
    let integer = json.as_i64();
    integer.ok_or_else(|| {
        format!(
            "`{json}` in `{name}` is not a whole number of 64 bits: write a whole number, a text, `true`, \
             `false`, or a list of numbers or texts"
        )
    })
}

fn is_name(name: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(is_of_it)
}
