//! The deliveries of the forges' webhooks: each has its effect once.
//!
//! Owns their table, which keeps the last ones. Leaves the effects to `pulls` and `pushes`. Callers
//! rely on this: a delivery and its effect are one change, so that one that was cut off may be sent
//! again; and the effect of one that is no longer kept is harmless, too.

use jiff::Timestamp;

use super::pulls::{self, PullEffect, PullNews};
use super::pushes::{self, PushEffect, PushNews};
use super::task_end::FinishedStages;
use crate::store::engine::{Tx, values};
use crate::store::{Error, Store, sql_time};

/// How many deliveries are kept.
const KEPT: i64 = 50_000;

/// A delivery of a webhook, which its signature has shown to be the forge's.
#[derive(Debug, Clone, Copy)]
pub struct Hook<'a> {
    /// The forge.
    pub forge: &'a str,
    /// The repo of the queue.
    pub repo: &'a str,
    /// The forge's id for the delivery. No signature covers it.
    pub id: Option<&'a str>,
    /// The digest of the body.
    pub digest: &'a str,
    /// What it tells.
    pub news: News<'a>,
}

/// What a delivery tells.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// The state of a pull request.
    Pull(PullNews<'a>),
    /// A push to a branch.
    Push(PushNews<'a>),
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEffect {
    /// It came before, and changed nothing now.
    SeenAlready,
    /// It told of a pull request.
    Pull(PullEffect),
    /// It told of a push.
    Push(PushEffect),
}

impl Store {
    /// Takes a delivery of a webhook, once.
    pub fn take_hook(
        &mut self,
        now: Timestamp,
        hook: Hook<'_>,
        finished: &FinishedStages,
    ) -> Result<HookEffect, Error> {
        self.write(|tx| {
            if is_seen(tx, now, hook)? {
                return Ok(HookEffect::SeenAlready);
            }
            let Hook { forge, repo, .. } = hook;
            Ok(match hook.news {
                News::Pull(news) => {
                    HookEffect::Pull(pulls::take(tx, now, forge, repo, news, finished)?)
                }
                News::Push(news) => HookEffect::Push(pushes::take(tx, now, repo, news)?),
            })
        })
    }
}

/// Marks a delivery as seen. True if it was. A pull request's body has times in it, so the same
/// body is the same delivery, whatever its id, which no signature covers. A base may be pushed back
/// and forth, so a push is known by its id.
fn is_seen(tx: &dyn Tx, now: Timestamp, hook: Hook<'_>) -> Result<bool, Error> {
    let mark = match (hook.news, hook.id) {
        (News::Push(_), Some(id)) => format!("id {id}"),
        _ => format!("digest {}", hook.digest),
    };
    let new: Option<i64> = tx.row(
        "INSERT INTO serial_gate_hook (forge, repo, mark, at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (forge, repo, mark) DO NOTHING RETURNING id",
        values![hook.forge, hook.repo, mark, sql_time(now)],
        |row| row.get(0),
    )?;
    if let Some(new) = new {
        tx.execute(
            "DELETE FROM serial_gate_hook WHERE id <= $1",
            values![new.saturating_sub(KEPT)],
        )?;
    }
    Ok(new.is_none())
}
