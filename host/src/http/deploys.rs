//! What became of deploys, and what operators did.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serial_gate::queue::{Deployed, Queue};
use serial_gate::store::{AuditEntry, DeployVerdict, NewDeploy};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::Caller;
use super::body::{Asked, Body};
use super::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The repo that was deployed
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    /// How it is
    verdict: DeployVerdict,
    /// The deploy, by the name that its system gave it
    #[schema(min_length = 1)]
    deploy: Option<String>,
    /// The task that was deployed
    #[schema(min_length = 1, example = "ORCH-88")]
    work_item: Option<String>,
    /// What was seen
    #[serde(default)]
    #[schema(default = "", example = "checkout answers 500")]
    detail: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// In this repo only
    repo: Option<String>,
    /// How many, the newest first
    #[serde(default = "a_page")]
    #[param(default = 50, minimum = 1, maximum = 1000)]
    limit: u32,
}

fn a_page() -> u32 {
    50
}

/// Say how a deploy is: a degraded one freezes its repo, once for each deploy
#[utoipa::path(
    post, path = "/deploys", tag = "freezes", security(("token" = ["worker"])), request_body = Deploy,
    responses(
        (status = 201, description = "It is written down, and what it led to is on the disk", body = Deployed),
    )
)]
pub async fn add_deploy(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(deploy): Body<Deploy>,
) -> Result<(StatusCode, Json<Deployed>), Problem> {
    let step = move |queue: &mut Queue| {
        let new = NewDeploy {
            repo: &deploy.repo,
            verdict: deploy.verdict,
            deploy: deploy.deploy.as_deref(),
            work_item: deploy.work_item.as_deref(),
        };
        let act = caller.act(&deploy.detail);
        queue.deploy_verdict(act, new)
    };
    let recorded = app.writer.change(step).await??;
    Ok((StatusCode::CREATED, Json(recorded)))
}

/// What operators did, the newest first
#[utoipa::path(
    get, path = "/audit", tag = "freezes", security(("token" = ["reader"])), params(Which),
    responses(
        (status = 200, description = "The list", body = Vec<AuditEntry>),
    )
)]
pub async fn audit(
    State(app): State<App>,
    Asked(Which { repo, limit }): Asked<Which>,
) -> Result<Json<Vec<AuditEntry>>, Problem> {
    if !(1..=1_000).contains(&limit) {
        return Err(Problem::invalid("`limit` is a number from 1 to 1000"));
    }
    let read = move |reader: &mut super::Reader| reader.queue.store().audit(repo.as_deref(), limit);
    Ok(Json(app.reader.run(read).await??))
}
