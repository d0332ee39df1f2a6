//! Which repos are in scope.
//!
//! Owns the host's reading of the scope: the setting `repos` and the list `repos` of the rules, as
//! the policies of this repository read them. A repo is in scope when both admit it. The reading is
//! lenient: a name that the scope drops is only noted. Leaves to `queue` what may be stored.

use serial_gate_default_policy::scope::{self, Scope};

use super::settings::keys_of;
use crate::model::Settings;

/// The scope of settings. Rules that are not a JSON object name no repos; the policy refuses them.
pub fn scope_of(settings: &Settings) -> Scope {
    Scope::parse(&settings.repos).within(repos_of_rules(settings).as_deref())
}

/// Whether the setting `repos` can hold a name.
pub fn can_be_in_scope(repo: &str) -> bool {
    !repo.contains(',')
        && scope::dropped(repo).next().is_none()
        && Scope::parse(repo).names().contains(repo)
}

/// The repos that the rules name; none if they name none, or in a way that the policies here
/// refuse.
pub(crate) fn repos_of_rules(settings: &Settings) -> Option<Vec<String>> {
    let named = keys_of(settings.rules.as_deref()?)?.remove("repos")?;
    let repos: Vec<String> = serde_json::from_value(named).ok()?;
    Some(repos).filter(|repos| !repos.is_empty())
}
