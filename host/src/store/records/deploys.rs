//! Deploys: the verdict on each, and the freeze of a repo whose deploy went bad.
//!
//! Owns the history, and what counts as the same deploy: the same id in the same repo, or, where no
//! id is given, the same work item. Callers rely on this: the first degraded verdict of a deploy
//! freezes the repo, with its alert, its history and its row in the audit in one transaction; a
//! repeated verdict never does, even after an operator has cleared the freeze; a healthy verdict
//! never clears a freeze, and without an id it ends what counts as the same deploy.

use super::audit::{self, AuditRow};
use super::effect::Effect;
use super::freezes::{self, FROZEN, NewRow};
use crate::store::engine::{Tx, values};
use crate::store::names::not_empty;
use crate::store::{Actor, Error, Store, sql_time};

/// The state of a deploy.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DeployVerdict {
    /// It works.
    Healthy,
    /// It does not work.
    Degraded,
}

impl DeployVerdict {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            DeployVerdict::Healthy => "healthy",
            DeployVerdict::Degraded => "degraded",
        }
    }
}

/// A verdict to store.
#[derive(Debug, Clone, Copy)]
pub struct NewDeploy<'a> {
    /// The repo that was deployed.
    pub repo: &'a str,
    /// The verdict.
    pub verdict: DeployVerdict,
    /// The deploy, by the name that its system gave it.
    pub deploy: Option<&'a str>,
    /// The task that was deployed.
    pub work_item: Option<&'a str>,
}

/// What a verdict led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct RecordedDeploy {
    /// The verdict's number in the history.
    pub id: i64,
    /// The number of the freeze that it made, if it made one.
    pub freeze_id: Option<i64>,
    /// Whether this deploy was known to be degraded before.
    pub repeated: bool,
}

impl Store {
    /// Stores a verdict; `actor` has the reason for it. A degraded one freezes its repo, once for
    /// each deploy. A deploy without an id and without a work item is always a new one. `note` is
    /// for the alert: what the freeze does not hold.
    ///
    /// # Errors
    ///
    /// When a name is empty, or the verdict or its freeze cannot be written or does not stay.
    pub fn record_deploy(
        &mut self,
        actor: Actor<'_>,
        new: NewDeploy<'_>,
        note: Option<&str>,
    ) -> Result<RecordedDeploy, Error> {
        not_empty("repo", new.repo)?;
        not_empty("deploy", new.deploy.unwrap_or("none"))?;
        not_empty("work item", new.work_item.unwrap_or("none"))?;
        self.write_durably(|tx| {
            let repeated = was_degraded(tx, new)?;
            let before = freezes::standing(tx, new.repo)?;
            let why = reason(new, actor.why);
            let freezing = Actor { why: &why, ..actor };
            let freeze = if new.verdict == DeployVerdict::Degraded && !repeated {
                let row = NewRow {
                    repo: new.repo,
                    work_item: new.work_item,
                    until: None,
                    is_of_group: false,
                    group: None,
                };
                let freeze = freezes::add(tx, freezing, row, note)?;
                Some(freeze)
            } else {
                None
            };
            let freeze_id = freeze.map(|freeze| freeze.number);
            let what = format!("the verdict over `{}`", new.repo.escape_debug());
            let effect = Effect {
                what: &what,
                table: "serial_gate_deploy",
            };
            let id = effect.returned(tx.row(
                "INSERT INTO serial_gate_deploy
                        (at, repo, deploy, work_item_id, verdict, detail, \"freeze\", who)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
                values![
                    sql_time(actor.now),
                    new.repo,
                    new.deploy,
                    new.work_item,
                    new.verdict.name(),
                    actor.why,
                    freeze_id,
                    actor.who
                ],
                |row| row.get(0),
            ))?;
            let row = AuditRow {
                action: "deploy verdict",
                repo: Some(new.repo),
                subject: format!("{} is {}", named(new), new.verdict.name()),
                before: Some(before),
                after: Some(freeze_id.map_or(before, |_| FROZEN)),
            };
            audit::write_down(tx, actor, row)?;
            // Without its row, a repeated verdict would freeze the repo again.
            effect.is_there(
                tx,
                "SELECT 1 FROM serial_gate_deploy WHERE id = $1 AND repo = $2
                 AND deploy IS NOT DISTINCT FROM $3
                     AND work_item_id IS NOT DISTINCT FROM $4 AND verdict = $5
                     AND \"freeze\" IS NOT DISTINCT FROM $6",
                values![
                    id,
                    new.repo,
                    new.deploy,
                    new.work_item,
                    new.verdict.name(),
                    freeze_id
                ],
            )?;
            if let Some(freeze) = freeze {
                freezes::check_frozen(tx, freezing, new.repo, freeze)?;
            }
            Ok(RecordedDeploy {
                id,
                freeze_id,
                repeated,
            })
        })
    }
}

/// Ids are compared with ids only, and a deploy without an id counts as new once its work item was
/// healthy. When in doubt it counts as new, and freezes.
fn was_degraded(tx: &dyn Tx, new: NewDeploy<'_>) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM serial_gate_deploy WHERE verdict = 'degraded' AND repo = $1
         AND deploy IS NOT DISTINCT FROM $2 AND (CAST($2 AS TEXT) IS NOT NULL OR (work_item_id = $3 AND id > (
            SELECT coalesce(max(id), 0) FROM serial_gate_deploy
            WHERE verdict = 'healthy' AND repo = $1 AND deploy IS NULL AND work_item_id = $3)))",
        values![new.repo, new.deploy, new.work_item],
    )
}

/// A deploy in a few words.
fn named(new: NewDeploy<'_>) -> String {
    match (new.deploy, new.work_item) {
        (Some(deploy), Some(work_item)) => format!("deploy {deploy} of {work_item}"),
        (Some(deploy), None) => format!("deploy {deploy}"),
        (None, Some(work_item)) => format!("the deploy of {work_item}"),
        (None, None) => "the deploy".into(),
    }
}

/// Why the repo is frozen.
fn reason(new: NewDeploy<'_>, detail: &str) -> String {
    let degraded = format!("{} is {}", named(new), new.verdict.name());
    if detail.is_empty() {
        degraded
    } else {
        format!("{degraded}: {detail}")
    }
}
