//! The routes, and the OpenAPI document that is made of them.
//!
//! Owns the list. An operation says itself who may call it, in `security`: that is what is enforced.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::SCHEME;
use super::{
    App, claims, dashboard, deploys, events, freezes, health, metrics, policy, queue, tasks,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "serial gate",
        description = "Holds a task's first job until every earlier task of its repo is done, and holds a repo after a bad deploy until an \
                       operator clears it. Errors are `application/problem+json`."
    ),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "A token of `serial-gate token add`. Without any token in the database, whoever is on this machine needs none.";
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(description));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme(SCHEME, SecurityScheme::Http(scheme.build()));
    }
}

pub fn routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(queue::queue))
        .routes(routes!(queue::explain))
        .routes(routes!(tasks::add_task))
        .routes(routes!(tasks::change_task))
        .routes(routes!(tasks::add_job))
        .routes(routes!(claims::claim))
        .routes(routes!(claims::heartbeat))
        .routes(routes!(claims::finish))
        .routes(routes!(claims::fail))
        .routes(routes!(claims::requeue))
        .routes(routes!(freezes::freeze))
        .routes(routes!(freezes::unfreeze))
        .routes(routes!(deploys::add_deploy))
        .routes(routes!(deploys::audit))
        .routes(routes!(policy::history))
        .routes(routes!(policy::check))
        .routes(routes!(policy::swap))
        .routes(routes!(policy::rollback))
        .routes(routes!(
            policy::shadow,
            policy::start_shadow,
            policy::stop_shadow
        ))
        .routes(routes!(policy::promote))
        .routes(routes!(events::events))
        .routes(routes!(metrics::metrics))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(openapi))
        .routes(routes!(dashboard::page))
        .routes(routes!(dashboard::freeze))
        .routes(routes!(dashboard::unfreeze))
        .routes(routes!(dashboard::rollback))
        .routes(routes!(dashboard::login_page, dashboard::login))
        .routes(routes!(dashboard::style))
        .routes(routes!(dashboard::script))
        .split_for_parts()
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "The OpenAPI document", body = serde_json::Value))
)]
async fn openapi(State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.document.clone())
}
