//! Deploys: how they turned out.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serial_gate::queue::{Deployed, Queue};
use serial_gate::store::{DeployVerdict, NewDeploy};
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::transport::access::Worker;
use crate::http::transport::extract::Json;
use crate::http::transport::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The repo that was deployed
    #[schema(min_length = 1, example = "alpha")]
    repo: String,
    /// Whether it is healthy
    verdict: DeployVerdict,
    /// The deploy's ID in its own system
    #[schema(min_length = 1)]
    deploy: Option<String>,
    /// The task that was deployed, by its name
    #[schema(min_length = 1, example = "ORCH-88")]
    work_item: Option<String>,
    /// What was observed
    #[serde(default)]
    #[schema(default = "", example = "checkout answers 500")]
    detail: String,
}

/// Report how a deploy turned out: a degraded one freezes its repo, once for each deploy
#[utoipa::path(
    post, path = "/v1/deploys", tag = "freezes", security(("token" = ["worker"])),
    request_body = Deploy,
    responses(
        (status = 201, description = "It is recorded; this is on the disk", body = Deployed),
    )
)]
pub async fn add_deploy(
    State(app): State<App>,
    Worker(caller): Worker,
    Json(deploy): Json<Deploy>,
) -> Result<(StatusCode, Json<Deployed>), Problem> {
    let step = move |queue: &mut Queue| {
        let new = NewDeploy {
            repo: &deploy.repo,
            verdict: deploy.verdict,
            deploy: deploy.deploy.as_deref(),
            work_item: deploy.work_item.as_deref(),
        };
        let actor = caller.actor(&deploy.detail);
        queue.deploy_verdict(actor, new)
    };
    let recorded = app.writer.change(step).await??;
    Ok((StatusCode::CREATED, Json(recorded)))
}
