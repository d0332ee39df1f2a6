//! What happened to a repo: its freezes, its deploys, and what operators did.
//!
//! Owns how many of each are shown, the newest ones.

use jiff::Timestamp;
use serial_gate::queue::Queue;
use serial_gate::store::{AuditEntry, FreezeFilter, PageOf};

use super::markup::Markup;
use crate::http::transport::problem::Problem;

/// The shown freezes, deploys and entries of the audit.
const SHOWN: u32 = 10;

/// The newest rows of each kind.
pub struct Past {
    pub freezes: Vec<Freeze>,
    pub deploys: Vec<Deploy>,
    pub audit: Vec<Entry>,
}

pub struct Freeze {
    pub id: i64,
    pub reason: String,
    pub from: Option<Markup>,
    /// When it was cleared; none if it is active.
    pub until: Option<Markup>,
}

pub struct Deploy {
    pub name: String,
    pub verdict: String,
    pub class: &'static str,
    pub detail: String,
    pub at: Markup,
}

/// What an operator did.
pub struct Entry {
    pub at: Markup,
    pub who: String,
    pub what: String,
    pub why: String,
}

/// The past of a repo.
pub fn past_of(queue: &mut Queue, repo: &str, now: Timestamp) -> Result<Past, Problem> {
    let store = queue.store();
    let newest = PageOf {
        before: None,
        limit: SHOWN,
    };
    let filter = FreezeFilter {
        repo: Some(repo),
        ..FreezeFilter::default()
    };
    let freezes = store.freezes(filter, newest)?.rows.into_iter();
    let freezes = freezes.map(|freeze| Freeze {
        id: freeze.freeze_id,
        reason: freeze.reason.unwrap_or_default(),
        from: freeze.frozen_at.as_deref().map(Markup::at_text),
        until: freeze.cleared_at.as_deref().map(Markup::at_text),
    });
    let deploys = store.deploys_of(repo, SHOWN)?.into_iter();
    let deploys = deploys.map(|deploy| Deploy {
        name: deploy
            .deploy
            .or(deploy.work_item_id)
            .unwrap_or_else(|| format!("deploy {}", deploy.id)),
        class: match deploy.verdict.as_str() {
            "healthy" => "free",
            _ => "failed",
        },
        verdict: deploy.verdict,
        detail: deploy.detail.unwrap_or_default(),
        at: Markup::ago_text(&deploy.at, now),
    });
    let audit = store.audit_of_repo(repo, SHOWN)?.into_iter().map(entry);
    Ok(Past {
        freezes: freezes.collect(),
        deploys: deploys.collect(),
        audit: audit.collect(),
    })
}

/// An entry of the audit for people.
pub fn entry(entry: AuditEntry) -> Entry {
    Entry {
        at: Markup::at_text(&entry.at),
        what: what(&entry),
        who: entry.who,
        why: entry.why,
    }
}

/// What an operator did, without who and why.
pub fn what(entry: &AuditEntry) -> String {
    let change = match (entry.before.as_deref(), entry.after.as_deref()) {
        (Some(before), Some(after)) => format!(", {before} → {after}"),
        (None, Some(after)) => format!(", {after}"),
        _ => String::new(),
    };
    format!("{} {}{change}", entry.action, entry.subject)
}
