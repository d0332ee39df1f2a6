//! The addresses of the pages.
//!
//! Callers rely on this: any text may be a repo's name, so it is a parameter, never a part of the
//! path.

use form_urlencoded::Serializer;

/// The page of a repo.
pub fn repo(name: &str) -> String {
    with_parameters("/repo", [("name", name)])
}

/// The page of a task.
pub fn task(id: i64) -> String {
    format!("/tasks/{id}")
}

/// An address with these parameters.
pub fn with_parameters<'a>(
    path: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let query = Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    match query.is_empty() {
        true => path.into(),
        false => format!("{path}?{query}"),
    }
}
