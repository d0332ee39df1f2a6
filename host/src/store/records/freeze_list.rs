//! The list of freezes, active and cleared ones.
//!
//! Owns what is shown of a freeze in a list, and the filters. Leaves the pages to `lists`.

use jiff::Timestamp;

use super::freeze_groups::NUMBER_OF_ROW;
use super::lists::{Listing, Page, PageOf, Way};
use crate::store::engine::{Row, ToValue};
use crate::store::{Error, Store, sql_time};

/// A freeze in a list. Times are as RFC 3339 has them; a text that is no time stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ListedFreeze {
    /// Its number.
    pub freeze_id: i64,
    /// The repo.
    pub repo: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The task whose deploy went bad.
    pub work_item_id: Option<String>,
    /// When the repo was frozen.
    pub frozen_at: Option<String>,
    /// When people are reminded of it. It opens nothing.
    pub until: Option<String>,
    /// The number of the freezes that it was made with, by which these are cleared together.
    pub group: Option<i64>,
    /// When it was opened again; none while the freeze is active.
    pub cleared_at: Option<String>,
}

/// Which freezes are listed: those that fit all that is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct FreezeFilter<'a> {
    /// Of this repo.
    pub repo: Option<&'a str>,
    /// Active ones, or cleared ones.
    pub active: Option<bool>,
    /// Made since then. A freeze whose time is not known is left out.
    pub since: Option<Timestamp>,
}

impl Store {
    /// A page of the freezes, the newest first.
    pub fn freezes(
        &mut self,
        filter: FreezeFilter<'_>,
        page: PageOf,
    ) -> Result<Page<ListedFreeze>, Error> {
        let since = filter.since.map(sql_time);
        self.read(|tx| {
            let mut list = Listing {
                table: "repo_freeze",
                columns: format!(
                    "repo_freeze.id, repo_freeze.repo, reason, work_item_id, frozen_at,
                     cleared_at, {NUMBER_OF_ROW}, term.until, term.made_with"
                ),
                joined: "LEFT JOIN serial_gate_freeze_term AS term
                    ON term.\"freeze\" = coalesce(CAST(repo_freeze.gate_number AS BIGINT),
                    repo_freeze.id)",
                values: Vec::new(),
                conditions: Vec::new(),
                filters_later: false,
            };
            if let Some(since) = &since {
                list.not_older("repo_freeze.frozen_at", since);
            }
            let mut ways = Vec::new();
            if let Some(active) = filter.active {
                let not = if active { "" } else { "NOT" };
                list.conditions.push(format!("cleared_at IS {not} NULL"));
            }
            if let Some(repo) = &filter.repo {
                list.only("repo_freeze.repo = $V", *repo);
                ways.push(Way {
                    by_index: tx.by_index("serial_gate_freezes_repo"),
                    condition: "repo = $D",
                    value: Some(repo.to_value()),
                    is_in_order: true,
                });
            } else if filter.active == Some(true) {
                ways.push(Way {
                    by_index: tx.by_index("serial_gate_freezes_active"),
                    condition: "cleared_at IS NULL",
                    value: None,
                    is_in_order: false,
                });
            }
            list.page(tx, ways, page, |row| {
                let frozen = row.time(4)?;
                let fits = filter.since.is_none_or(|since| frozen >= Some(since));
                Ok((row.get(0)?, fits.then(|| freeze_at(row)).transpose()?))
            })
        })
    }
}

fn freeze_at(row: Row<'_>) -> Result<ListedFreeze, Error> {
    Ok(ListedFreeze {
        freeze_id: row.get(6)?,
        repo: row.shown(1)?,
        reason: row.shown(2)?,
        work_item_id: row.shown(3)?,
        frozen_at: row.moment(4)?,
        cleared_at: row.moment(5)?,
        until: row.moment(7)?,
        group: row.id(8)?,
    })
}
