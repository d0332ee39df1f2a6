//! The routes, and the OpenAPI document that is made of them.
//!
//! Owns the list, and what holds of every operation: each may be refused, and says so in the same
//! words. An operation says itself who may call it, in `security`: that is what is enforced.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::SCHEME;
use super::problem::Problem;
use super::{
    App, claims, dashboard, deploys, events, forms, freezes, health, metrics, policy, queue, tasks,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "serial gate",
        description = "Holds a task's first job until every earlier task of its repo is done, and holds a repo after a bad deploy until an \
                       operator clears it. Errors are `application/problem+json`."
    ),
    components(schemas(Problem)),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "A token of `serial-gate token add`. Without any token in the database, callers on this machine need none.";
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
    let (routes, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(queue::queue))
        .routes(routes!(queue::explain))
        .routes(routes!(tasks::add_task))
        .routes(routes!(tasks::change_task))
        .routes(routes!(tasks::cancel_task))
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
        .routes(routes!(forms::freeze))
        .routes(routes!(forms::unfreeze))
        .routes(routes!(forms::rollback))
        .routes(routes!(forms::login_page, forms::login))
        .routes(routes!(forms::logout))
        .routes(routes!(dashboard::style))
        .routes(routes!(dashboard::script))
        .split_for_parts();
    add_refusals(&mut document);
    (routes, document)
}

/// Says of every operation that does not say it otherwise how it is refused.
fn add_refusals(document: &mut utoipa::openapi::OpenApi) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    let refused = ResponseBuilder::new()
        .description("It was refused")
        .content("application/problem+json", content.build())
        .build();
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.put,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses
                .entry("default".into())
                .or_insert_with(|| refused.clone().into());
        }
    }
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "The OpenAPI document", body = serde_json::Value))
)]
async fn openapi(State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.document.clone())
}
