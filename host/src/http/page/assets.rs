//! The page's stylesheet and scripts, which the command carries: nothing is loaded from elsewhere.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const STYLE: &str = include_str!("../../../templates/dashboard.css");
const SCRIPT: &str = include_str!("../../../templates/dashboard.js");
/// Changes a page to another one without replacing what is the same: idiomorph 0.8.0 (0BSD), as
/// its authors built it.
const MORPH: &str = include_str!("../../../templates/idiomorph.min.js");

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The page's stylesheet
#[utoipa::path(
    get, path = "/dashboard.css", tag = "dashboard", security(()),
    responses(
        (status = 200, description = "The stylesheet", body = String, content_type = "text/css"),
    )
)]
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// The script that keeps a page up to date, also as a worker that a browser's tabs share
#[utoipa::path(
    get, path = "/dashboard.js", tag = "dashboard", security(()),
    responses(
        (status = 200, description = "The script", body = String, content_type = "text/javascript"),
    )
)]
pub async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, JAVASCRIPT)], SCRIPT)
}

/// The library with which the script changes a page
#[utoipa::path(
    get, path = "/idiomorph.js", tag = "dashboard", security(()),
    responses(
        (status = 200, description = "The script", body = String, content_type = "text/javascript"),
    )
)]
pub async fn morph() -> impl IntoResponse {
    ([(CONTENT_TYPE, JAVASCRIPT)], MORPH)
}
