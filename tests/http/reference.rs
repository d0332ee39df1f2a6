//! The reference in `docs/http.md` against the OpenAPI document of the service.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::Value;

use crate::support::checkout;
use crate::support::service::Service;

/// A route as one of the two describes it, in one form.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    name: String,
    role: String,
    required: BTreeSet<String>,
    optional: BTreeSet<String>,
    statuses: BTreeSet<String>,
}

fn matches(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    let found = pattern.captures_iter(text);
    found.map(|found| found[1].to_owned()).collect()
}

const ROUTE: &str = "`((?:GET|POST|PATCH|PUT|DELETE) /[^` ]*)`";

/// The rows of the tables.
fn described(text: &str) -> Vec<Route> {
    let mut routes = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [names, role, fields, answer] = cells[..] else {
            continue;
        };
        let names = matches(ROUTE, names);
        let required = matches(r"\*\*`(\w+)`\*\*", fields);
        // What is in parentheses is a value.
        let all = Regex::new(r"\([^)]*\)").unwrap().replace_all(fields, "");
        let optional = matches(r"`(\w+)`", &all);
        for name in names {
            routes.push(Route {
                name,
                role: role.to_owned(),
                optional: optional.difference(&required).cloned().collect(),
                required: required.clone(),
                statuses: matches(r"\b([2-5]\d\d)\b", answer),
            });
        }
    }
    routes.sort();
    routes
}

fn texts(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn keys(object: &Value) -> BTreeSet<String> {
    let object = object.as_object().into_iter().flatten();
    object.map(|(key, _)| key.clone()).collect()
}

fn operation(document: &Value, method: &str, path: &str) -> Route {
    let operation = &document["paths"][path][method];
    let (mut required, mut all) = (BTreeSet::new(), BTreeSet::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "query" {
            let name = parameter["name"].as_str().unwrap().to_owned();
            if parameter["required"] == true {
                required.insert(name.clone());
            }
            all.insert(name);
        }
    }
    for (_, content) in operation["requestBody"]["content"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let schema = &content["schema"];
        let name = schema["$ref"]
            .as_str()
            .and_then(|name| name.rsplit('/').next());
        let schema = name.map_or(schema, |name| &document["components"]["schemas"][name]);
        required.append(&mut texts(&schema["required"]));
        all.append(&mut keys(&schema["properties"]));
    }
    let mut statuses = keys(&operation["responses"]);
    statuses.remove("default");
    let role = operation["security"][0]["token"][0].as_str();
    Route {
        name: format!("{} {path}", method.to_uppercase()),
        role: role.unwrap_or("none").to_owned(),
        optional: all.difference(&required).cloned().collect(),
        required,
        statuses,
    }
}

#[test]
fn the_reference_describes_every_route_as_the_service_does() {
    let document = Service::start().get("/openapi.json").is(200).json();
    let mut served = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, _) in item.as_object().unwrap() {
            served.push(operation(&document, method, path));
        }
    }
    served.sort();
    let text = std::fs::read_to_string(checkout().join("docs/http.md")).unwrap();
    let described = described(&text);
    assert_eq!(described.len(), served.len(), "{described:#?}");
    for (route, mut found) in served.iter().zip(described) {
        // The document names the status of a refusal only where it says more about it.
        let answers = std::mem::take(&mut found.statuses);
        assert!(
            answers.is_superset(&route.statuses),
            "{route:?}, {answers:?}"
        );
        found.statuses = route.statuses.clone();
        assert_eq!(found, *route, "left is docs/http.md, right the service");
    }
}

#[test]
fn no_document_names_a_route_that_is_not_there() {
    let document = Service::start().get("/openapi.json").is(200).json();
    let mut served = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, _) in item.as_object().unwrap() {
            served.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let folders = [checkout(), checkout().join("docs")];
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let named = matches(ROUTE, &text);
        let unknown: Vec<_> = named.difference(&served).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
}
