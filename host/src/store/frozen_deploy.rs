//! The deploy that a freeze is about.
//!
//! Owns the way back from a freeze's number to the verdict that made it. Leaves both to `freezes`
//! and `deploys`.

use rusqlite::{OptionalExtension, params};

use super::value::Shown;
use super::{Error, Store};

/// A degraded deploy that froze its repo.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FrozenDeploy {
    /// The deploy, by the name that its system gave it.
    pub deploy: Option<String>,
    /// The task that was deployed.
    pub work_item_id: Option<String>,
    /// When the verdict came, UTC.
    pub at: Option<String>,
}

impl Store {
    /// The deploy whose verdict made a freeze; none if people made it.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn deploy_of_freeze(
        &mut self,
        repo: &str,
        freeze: i64,
    ) -> Result<Option<FrozenDeploy>, Error> {
        self.doing(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT deploy, work_item_id, at FROM serial_gate_deploy
                 WHERE verdict = 'degraded' AND repo = ?1 AND freeze = ?2 LIMIT 1",
            )?;
            let deploy = query.query_row(params![repo, freeze], |row| {
                Ok(FrozenDeploy {
                    deploy: row.get::<_, Shown>(0)?.0,
                    work_item_id: row.get::<_, Shown>(1)?.0,
                    at: row.get::<_, Shown>(2)?.0,
                })
            });
            Ok(deploy.optional()?)
        })
    }
}
