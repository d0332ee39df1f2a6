//! What a component says of itself, read without compiling or running it.
//!
//! Owns the reading of its metadata. Leaves the names at its border to `compile`, and whether they
//! are those of a policy to `contract`. Callers rely on this: the metadata is what its author wrote,
//! true or not; what runs is told by the digest alone.

use wasmparser::{KnownCustom, Parser, Payload, ProducersSectionReader};

use super::Error;
use super::compile::border;
use super::contract::{check_border, check_is_component};
use super::runtime::digest;

/// How much of the metadata is read: entries, and letters of each.
const ENTRIES: usize = 64;
const LETTERS: usize = 300;

/// The custom sections that tools write for people, one text each.
const TEXTS: [&str; 7] = [
    "version",
    "description",
    "authors",
    "licenses",
    "source",
    "homepage",
    "revision",
];

/// A component, seen from outside.
#[derive(Debug)]
pub struct Inspected {
    /// Its size.
    pub bytes: usize,
    /// Its SHA-256 digest, in hexadecimal.
    pub digest: String,
    /// Why it cannot be a policy here; none if its names are those of a policy.
    pub problem: Option<Error>,
    /// The names that it imports.
    pub imports: Vec<String>,
    /// The names that it exports.
    pub exports: Vec<String>,
    /// Keys and texts, such as `version` and `1.0.0`, in their order in the file.
    pub metadata: Vec<(String, String)>,
}

/// Reads a component.
///
/// # Errors
///
/// When it is not a component, is broken, or has more of something than this host compiles.
pub fn inspect(bytes: &[u8]) -> Result<Inspected, Error> {
    check_is_component(bytes)?;
    let border = border(bytes)?;
    let problem = check_border(&border).err();
    let names = |names: Vec<(String, bool)>| names.into_iter().map(|(name, _)| name).collect();
    Ok(Inspected {
        bytes: bytes.len(),
        digest: digest(bytes),
        problem,
        metadata: metadata(bytes),
        imports: names(border.imports),
        exports: names(border.exports),
    })
}

/// The metadata, as far as it can be read.
fn metadata(bytes: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let sections = Parser::new(0).parse_all(bytes).map_while(Result::ok);
    let customs = sections.filter_map(|payload| match payload {
        Payload::CustomSection(custom) => Some(custom),
        _ => None,
    });
    for custom in customs {
        match custom.as_known() {
            KnownCustom::Producers(producers) => add_producers(producers, &mut found),
            KnownCustom::ComponentName(names) => {
                for name in names.into_iter().map_while(Result::ok) {
                    if let wasmparser::ComponentName::Component { name, .. } = name {
                        add(&mut found, "name", name);
                    }
                }
            }
            _ if TEXTS.contains(&custom.name()) => {
                add(
                    &mut found,
                    custom.name(),
                    &String::from_utf8_lossy(custom.data()),
                );
            }
            _ => {}
        }
    }
    found
}

/// What it was made with: languages and tools.
fn add_producers(producers: ProducersSectionReader<'_>, found: &mut Vec<(String, String)>) {
    for field in producers.into_iter().map_while(Result::ok) {
        for value in field.values.into_iter().map_while(Result::ok) {
            let text = format!("{} {}", value.name, value.version);
            add(found, field.name, text.trim());
        }
    }
}

fn add(found: &mut Vec<(String, String)>, key: &str, text: &str) {
    let cut = |text: &str| text.chars().take(LETTERS).collect::<String>();
    let entry = (cut(key), cut(text));
    if found.len() < ENTRIES && !found.contains(&entry) {
        found.push(entry);
    }
}
