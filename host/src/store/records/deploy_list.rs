//! The verdicts on a repo's deploys, for people.
//!
//! Owns the list. Leaves every change to `deploys`.

use crate::store::engine::{Row, values};
use crate::store::{Error, Store};

/// A verdict in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDeploy {
    /// Its number.
    pub id: i64,
    /// When it was stored, UTC.
    pub at: String,
    /// The deploy, by the name that its system gave it.
    pub deploy: Option<String>,
    /// The task that was deployed.
    pub work_item_id: Option<String>,
    /// The verdict: `healthy` or `degraded`.
    pub verdict: String,
    /// What was said about it.
    pub detail: Option<String>,
}

impl Store {
    /// The verdicts on a repo's deploys, the newest first.
    pub fn deploys_of(&mut self, repo: &str, limit: u32) -> Result<Vec<ListedDeploy>, Error> {
        let sql = "SELECT id, at, deploy, work_item_id, verdict, detail FROM serial_gate_deploy
            WHERE repo = $1 ORDER BY id DESC LIMIT $2";
        self.read(|tx| tx.rows(sql, values![repo, limit], deploy_at))
    }
}

fn deploy_at(row: Row<'_>) -> Result<ListedDeploy, Error> {
    let text = |column| row.shown(column);
    Ok(ListedDeploy {
        id: row.get(0)?,
        at: text(1)?.unwrap_or_default(),
        deploy: text(2)?,
        work_item_id: text(3)?,
        verdict: text(4)?.unwrap_or_default(),
        detail: text(5)?,
    })
}
