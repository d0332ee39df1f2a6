//! The routes, and the layers that every request passes before its handler.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, State};
use axum::http::StatusCode;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{
    audit, claims, deploys, freezes, health, hooks, jobs, lists, metrics, policy, proposals, queue,
    tasks,
};
use super::app::App;
use super::page::policy as policy_page;
use super::page::{activity, assets, events, forms, login, overview, refusal, repo, task};
use super::transport::document::{Document, complete};
use super::transport::parameters::{self, Parameters};
use super::transport::problem::Problem;
use super::transport::{body, counters, head, origin};

/// The shortest answer that is compressed, in bytes: a shorter one fits into a packet.
const COMPRESSED: u64 = 1_024;

/// The routes with their description.
pub struct Routes {
    pub guarded: Router<App>,
    /// These need no token.
    pub public: Router<App>,
    /// These need a signature instead.
    pub signed: Router<App>,
    pub document: utoipa::openapi::OpenApi,
    /// The methods of each path, as the header `Allow` lists them.
    pub allowed: HashMap<String, String>,
    /// What each operation takes in its query string.
    pub parameters: Parameters,
}

/// All routes. A guarded handler names the role that it needs.
pub fn routes() -> Routes {
    let guarded = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(queue::queue))
        .routes(routes!(queue::explain))
        .routes(routes!(lists::tasks, tasks::add_task))
        .routes(routes!(lists::task, tasks::change_task))
        .routes(routes!(tasks::cancel_task))
        .routes(routes!(lists::jobs, jobs::add_job))
        .routes(routes!(lists::job))
        .routes(routes!(claims::claim))
        .routes(routes!(jobs::heartbeat))
        .routes(routes!(jobs::finish))
        .routes(routes!(jobs::fail))
        .routes(routes!(jobs::requeue))
        .routes(routes!(lists::freezes, freezes::freeze))
        .routes(routes!(freezes::unfreeze_group))
        .routes(routes!(freezes::unfreeze))
        .routes(routes!(deploys::add_deploy))
        .routes(routes!(audit::audit))
        .routes(routes!(policy::history))
        .routes(routes!(proposals::check))
        .routes(routes!(proposals::swap))
        .routes(routes!(policy::rollback))
        .routes(routes!(
            policy::shadow,
            proposals::start_shadow,
            policy::stop_shadow
        ))
        .routes(routes!(policy::promote))
        .routes(routes!(events::events))
        .routes(routes!(metrics::metrics))
        .routes(routes!(overview::page))
        .routes(routes!(activity::page))
        .routes(routes!(repo::page))
        .routes(routes!(task::page))
        .routes(routes!(policy_page::page))
        .routes(routes!(forms::freeze))
        .routes(routes!(forms::unfreeze))
        .routes(routes!(forms::requeue))
        .routes(routes!(forms::rollback));
    let public = OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(openapi))
        .routes(routes!(login::login_page, login::login))
        .routes(routes!(login::logout))
        .routes(routes!(assets::style))
        .routes(routes!(assets::script))
        .routes(routes!(assets::morph));
    let signed = OpenApiRouter::new()
        .routes(routes!(hooks::github))
        .routes(routes!(hooks::gitlab))
        .routes(routes!(hooks::gitea));
    let (guarded, mut document) = guarded.split_for_parts();
    let (public, described) = public.split_for_parts();
    document.merge(described);
    let (signed, described) = signed.split_for_parts();
    document.merge(described);
    let allowed = complete(&mut document);
    let parameters = Parameters::of(&mut document);
    Routes {
        guarded,
        public,
        signed,
        document,
        allowed,
        parameters,
    }
}

/// The routes behind the layers.
pub fn with_layers([guarded, public, signed]: [Router<App>; 3], app: App) -> Router {
    let access = || Arc::clone(&app.access);
    let public = public
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(access(), origin::check_public));
    let parameters = Arc::clone(&app.parameters);
    guarded
        .layer(from_fn_with_state(parameters, parameters::check))
        .method_not_allowed_fallback(no_method)
        .fallback(nothing_here)
        .layer(from_fn_with_state(access(), origin::check))
        .merge(public)
        // A forge is on another machine, and its signature is all that counts.
        .merge(signed.method_not_allowed_fallback(no_method))
        .layer(DefaultBodyLimit::max(body::JSON))
        .layer(from_fn(body::receive))
        .layer(from_fn(head::check))
        .layer(from_fn(origin::harden))
        .layer(from_fn(refusal::for_browsers))
        .layer(compression())
        .layer(from_fn_with_state(
            Arc::clone(&app.counters),
            counters::count,
        ))
        .with_state(app)
}

/// Compresses what is long. Not events, which would be held back until there are many.
fn compression() -> CompressionLayer<impl Predicate> {
    let is_long = SizeAbove::new(COMPRESSED).and(NotForContentType::SSE);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(is_long)
}

async fn nothing_here() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is nothing here: `/openapi.json` lists all routes",
    )
}

async fn no_method(State(app): State<App>, path: MatchedPath) -> impl IntoResponse {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this method is not allowed here: `/openapi.json` lists all routes",
    );
    let allowed = app.allowed.get(path.as_str()).cloned().unwrap_or_default();
    ([(ALLOW, allowed)], problem)
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "The OpenAPI document", body = serde_json::Value))
)]
async fn openapi(State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.document.clone())
}
