//! The parameters of the query string: those that the document describes, and no other.
//!
//! Owns the check, for every route of clients. A parameter that is silently ignored, such as a
//! mistyped filter, would give an answer to another question. Leaves the values to the handlers,
//! except for NUL, and the routes of the page and of probes alone.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{OpenApi, RefOr};

use super::document::operations;
use super::nul;
use super::problem::Problem;

/// The names that each operation takes, by its method and path.
pub struct Parameters(HashMap<(&'static str, String), Vec<String>>);

impl Parameters {
    pub fn of(document: &mut OpenApi) -> Parameters {
        let mut all = HashMap::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                let mut names = Vec::new();
                for parameter in operation.parameters.iter().flatten() {
                    if let RefOr::T(parameter) = parameter
                        && parameter.parameter_in == ParameterIn::Query
                    {
                        names.push(parameter.name.clone());
                    }
                }
                all.insert((method, path.clone()), names);
            }
        }
        Parameters(all)
    }
}

/// Refuses a parameter that the route does not take, and a NUL in the query string or the path.
pub async fn check(
    State(parameters): State<Arc<Parameters>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map(MatchedPath::as_str).unwrap_or_default();
    let is_of_clients = path.starts_with("/v1/") || path == "/queue";
    nul::check_encoded(request.uri().path().as_bytes(), "the path")?;
    if let Some(query) = request
        .uri()
        .query()
        .filter(|query| is_of_clients && !query.is_empty())
    {
        nul::check_encoded(query.as_bytes(), "the query string")?;
        let method = match request.method() {
            &Method::HEAD => "GET",
            method => method.as_str(),
        };
        let of_route = parameters.0.iter();
        let mut of_route = of_route.filter(|((of, at), _)| *of == method && at == path);
        if let Some((_, names)) = of_route.next() {
            // A query that cannot be read is refused by the handler that reads it.
            let given = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
            let given = given.map(|Query(given)| given).unwrap_or_default();
            let unknown = given.iter().find(|(name, _)| !names.contains(name));
            if let Some((name, _)) = unknown {
                return Err(unknown_name(name, names));
            }
            if given.is_empty() && names.is_empty() {
                return Err(unknown_name(query, names));
            }
        }
    }
    Ok(next.run(request).await)
}

fn unknown_name(name: &str, names: &[String]) -> Problem {
    let takes = match names {
        [] => "this route takes none".to_owned(),
        names => format!("this route takes `{}`", names.join("`, `")),
    };
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("unknown parameter `{}`: {takes}", name.escape_debug()),
    )
}
