//! The deploy that a freeze is about.
//!
//! Owns the look-up from a freeze's number to the verdict that made it. Leaves the rows to
//! `freezes` and `deploys`.

use crate::store::engine::values;
use crate::store::{Error, Store};

/// A degraded deploy that froze its repo.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FrozenDeploy {
    /// The deploy, by the name that its system gave it.
    pub deploy: Option<String>,
    /// The task that was deployed.
    pub work_item_id: Option<String>,
    /// When the verdict was stored, UTC.
    #[serde(serialize_with = "crate::store::maybe_rfc3339")]
    #[schema(format = DateTime)]
    pub at: Option<String>,
}

impl Store {
    /// The deploy whose verdict made a freeze; none if no verdict made it.
    pub fn deploy_of_freeze(
        &mut self,
        repo: &str,
        freeze: i64,
    ) -> Result<Option<FrozenDeploy>, Error> {
        self.read(|tx| {
            tx.row(
                "SELECT deploy, work_item_id, at FROM serial_gate_deploy
                 WHERE verdict = 'degraded' AND repo = $1 AND \"freeze\" = $2 LIMIT 1",
                values![repo, freeze],
                |row| {
                    Ok(FrozenDeploy {
                        deploy: row.shown(0)?,
                        work_item_id: row.shown(1)?,
                        at: row.shown(2)?,
                    })
                },
            )
        })
    }
}
