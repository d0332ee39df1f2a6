//! Freezes: close a repo, and open it again.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serial_gate::queue::{Frozen, NewFreeze, Queue};
use serial_gate::store::Actor;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::transport::access::Operator;
use crate::http::transport::extract::{Json, maybe_whole};
use crate::http::transport::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// The repo
    #[schema(min_length = 1, example = "alpha")]
    pub repo: String,
    /// Why, for people who look at the queue
    #[schema(min_length = 1, example = "checkout is down since 14:02")]
    pub reason: String,
    /// The person who freezes it, if that is not the owner of the token
    pub who: Option<String>,
    /// The task whose deploy went bad
    pub work_item: Option<String>,
    /// Accept a repo that nothing in the queue has yet; without this, such a repo is refused
    #[serde(default)]
    #[schema(default = false)]
    pub new: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfreeze {
    /// The repo
    #[schema(min_length = 1, example = "alpha")]
    pub repo: String,
    /// Why it may go on, for the history
    #[serde(default)]
    #[schema(default = "", example = "rolled back")]
    pub reason: String,
    /// The person who opens it, if that is not the owner of the token
    pub who: Option<String>,
    /// The newest freeze that the caller knows, by its number: if it is not the newest, nothing is
    /// cleared
    #[serde(default, deserialize_with = "maybe_whole")]
    pub freeze_id: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub struct Unfrozen {
    repo: String,
    /// How many freezes were cleared; 0 if it was not frozen
    cleared: usize,
    /// A hint if it was not frozen: no task of it is known, or a frozen repo has a similar name
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Close a repo until it is unfrozen: no task of it starts
///
/// `holds` and `note` say whether the freeze has an effect: where the gate does not act, it holds
/// nothing. A repo that nothing in the queue has is refused, unless `new` is true.
#[utoipa::path(
    post, path = "/v1/freezes", tag = "freezes", security(("token" = ["operator"])),
    request_body = Freeze,
    responses(
        (status = 200, description = "It is frozen; this is on the disk", body = Frozen),
    )
)]
pub async fn freeze(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(freeze): Json<Freeze>,
) -> Result<Json<Frozen>, Problem> {
    if freeze.reason.is_empty() {
        return Err(Problem::invalid("`reason` is empty: say why"));
    }
    let step = move |queue: &mut Queue| {
        let who = caller.named(freeze.who.as_deref());
        let actor = Actor {
            now: Timestamp::now(),
            who: &who,
            why: &freeze.reason,
        };
        let new = NewFreeze {
            repo: &freeze.repo,
            work_item: freeze.work_item.as_deref(),
            new: freeze.new,
        };
        queue.freeze(actor, new)
    };
    Ok(Json(app.writer.change(step).await??))
}

/// Open a frozen repo again: clears all its active freezes
#[utoipa::path(
    post, path = "/serial-gate/unfreeze", tag = "freezes", security(("token" = ["operator"])),
    request_body = Unfreeze,
    responses(
        (status = 200, description = "It is open; this is on the disk", body = Unfrozen),
        (
            status = "default", body = Problem, content_type = "application/problem+json",
            description = "It was refused. 409: it was frozen again in the meantime"
        ),
    )
)]
pub async fn unfreeze(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(unfreeze): Json<Unfreeze>,
) -> Result<Json<Unfrozen>, Problem> {
    let step = move |queue: &mut Queue| {
        let who = caller.named(unfreeze.who.as_deref());
        let actor = Actor {
            now: Timestamp::now(),
            who: &who,
            why: &unfreeze.reason,
        };
        let store = queue.store_mut();
        let cleared = store.unfreeze(actor, &unfreeze.repo, unfreeze.freeze_id)?;
        let note = match cleared {
            0 => queue.not_frozen(&unfreeze.repo)?,
            _ => None,
        };
        Ok::<Unfrozen, serial_gate::queue::Error>(Unfrozen {
            cleared,
            note,
            repo: unfreeze.repo.clone(),
        })
    };
    Ok(Json(app.writer.change(step).await??))
}
