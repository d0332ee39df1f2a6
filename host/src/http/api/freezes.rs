//! Freezes: close a repo, and open it again.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serial_gate::queue::{Frozen, FrozenAll, NewFreeze, Queue};
use serial_gate::store::Actor;
use utoipa::ToSchema;

use super::policy::given;
use crate::http::app::App;
use crate::http::transport::access::{Caller, Operator};
use crate::http::transport::extract::{Json, Path};
use crate::http::transport::fields::{maybe_time, maybe_whole};
use crate::http::transport::problem::Problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// The repo; without it, `all` is true
    #[serde(default)]
    #[schema(min_length = 1, example = "alpha")]
    pub repo: Option<String>,
    /// Freeze all repos that are known now; a repo that appears later is not covered
    #[serde(default)]
    #[schema(default = false)]
    pub all: bool,
    /// When people are reminded of the freeze. It opens nothing
    #[serde(default, deserialize_with = "maybe_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Why, for people who look at the queue
    #[schema(
        pattern = r"^[^\x00]*\S[^\x00]*$",
        min_length = 1,
        example = "checkout is down since 14:02"
    )]
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
    pub cleared: usize,
    /// A hint if it was not frozen: no task of it is known, or a frozen repo has a similar name
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was frozen.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Made {
    /// A repo
    One(Frozen),
    /// All repos that were known
    All(FrozenAll),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnfreezeGroup {
    /// Why they may go on, for the history
    #[serde(default)]
    #[schema(default = "")]
    reason: String,
    /// The person who opens them, if that is not the owner of the token
    who: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct UnfrozenGroup {
    group: i64,
    /// How many freezes were cleared; 0 if none of them was active
    cleared: usize,
    /// The repos that another freeze still holds
    still_frozen: Vec<String>,
}

/// Close a repo, or all known ones, until it is unfrozen: no task of it starts
///
/// `holds` and `note` say whether the freeze has an effect: where the gate does not act, it holds
/// nothing. A repo that nothing in the queue has is refused, unless `new` is true.
#[utoipa::path(
    post, path = "/v1/freezes", tag = "freezes", security(("token" = ["operator"])),
    request_body = Freeze,
    responses(
        (status = 200, description = "It is frozen; this is on the disk", body = Made),
    )
)]
pub async fn freeze(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(freeze): Json<Freeze>,
) -> Result<Json<Made>, Problem> {
    if freeze.all && (freeze.repo.is_some() || freeze.new || freeze.work_item.is_some()) {
        return Err(Problem::invalid(
            "`all` is for every known repo: leave out `repo`, `new` and `work_item`",
        ));
    }
    if freeze.until.is_some_and(|until| until <= Timestamp::now()) {
        return Err(Problem::invalid(
            "`until` is in the past: give a later time",
        ));
    }
    match (freeze.all, &freeze.repo) {
        (true, _) => all(&app, caller, freeze).await,
        (false, Some(_)) => Ok(Json(Made::One(one(&app, caller, freeze).await?))),
        (false, None) => Err(Problem::invalid("no repo: give `repo`, or `all`")),
    }
}

/// Closes one repo.
pub async fn one(app: &App, caller: Caller, freeze: Freeze) -> Result<Frozen, Problem> {
    let why = given(freeze.reason)?;
    let step = move |queue: &mut Queue| {
        let who = caller.named(freeze.who.as_deref());
        let actor = Actor {
            now: Timestamp::now(),
            who: &who,
            why: &why,
        };
        let new = NewFreeze {
            repo: freeze.repo.as_deref().unwrap_or_default(),
            work_item: freeze.work_item.as_deref(),
            until: freeze.until,
            new: freeze.new,
        };
        queue.freeze(actor, new)
    };
    Ok(app.writer.change(step).await??)
}

async fn all(app: &App, caller: Caller, freeze: Freeze) -> Result<Json<Made>, Problem> {
    let why = given(freeze.reason)?;
    let step = move |queue: &mut Queue| {
        let who = caller.named(freeze.who.as_deref());
        let actor = Actor {
            now: Timestamp::now(),
            who: &who,
            why: &why,
        };
        queue.freeze_all(actor, freeze.until)
    };
    Ok(Json(Made::All(app.writer.change(step).await??)))
}

/// Clear the freezes that were made together: a repo that has another freeze stays frozen
#[utoipa::path(
    post, path = "/v1/freezes/{group}/unfreeze", tag = "freezes",
    security(("token" = ["operator"])),
    params(("group" = i64, Path, description = "Their number")), request_body = UnfreezeGroup,
    responses(
        (status = 200, description = "They are cleared; this is on the disk", body = UnfrozenGroup),
    )
)]
pub async fn unfreeze_group(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(group): Path<i64>,
    Json(unfreeze): Json<UnfreezeGroup>,
) -> Result<Json<UnfrozenGroup>, Problem> {
    let step = move |queue: &mut Queue| {
        let who = caller.named(unfreeze.who.as_deref());
        let actor = Actor {
            now: Timestamp::now(),
            who: &who,
            why: &unfreeze.reason,
        };
        queue.store_mut().unfreeze_group(actor, group)
    };
    let repos = app.writer.change(step).await??;
    Ok(Json(UnfrozenGroup {
        group,
        cleared: repos.len(),
        still_frozen: repos
            .into_iter()
            .filter(|(_, is_frozen)| *is_frozen)
            .map(|(repo, _)| repo)
            .collect(),
    }))
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
