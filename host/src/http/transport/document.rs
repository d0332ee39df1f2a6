//! The OpenAPI document: the parts that all operations share.
//!
//! Owns its head, the token's scheme, and the description of a refusal. Each operation names its
//! role itself, in `security`.

use std::collections::HashMap;

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};

use super::nul;
use super::problem::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "serial gate",
        description = "Holds a task's first job until every earlier task of its repo is done, and \
                       holds a repo after a bad deploy until an operator clears it. Errors are \
                       `application/problem+json`."
    ),
    components(schemas(Problem)),
    modifiers(&Token)
)]
pub struct Document;

struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "A token of `serial-gate token add`. Without any token in the database, \
                           callers on this machine need none.";
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(description));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("DELETE", &mut item.delete),
        ("GET", &mut item.get),
        ("PATCH", &mut item.patch),
        ("POST", &mut item.post),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds what all operations share: the texts that none takes, and the refusal to each that does not
/// describe its own. Returns the methods of each
/// path, as the header `Allow` lists them.
pub fn complete(document: &mut utoipa::openapi::OpenApi) -> HashMap<String, String> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    let refused = ResponseBuilder::new()
        .description("It was refused")
        .content("application/problem+json", content.build())
        .build();
    nul::describe(document);
    let mut allowed = HashMap::new();
    for (path, item) in &mut document.paths.paths {
        let mut methods = Vec::new();
        for (method, operation) in operations(item) {
            methods.push(method);
            let responses = &mut operation.responses.responses;
            responses
                .entry("default".into())
                .or_insert_with(|| refused.clone().into());
        }
        allowed.insert(path.clone(), methods.join(", "));
    }
    allowed
}
