//! Refuses to store a scope that is probably a mistake.
//!
//! Owns the refusals. Leaves the reading of a scope to `gate`. Callers rely on this: no stored
//! scope is wider than its text because a name was dropped, none names an unknown repo unless the
//! operator says that it is new, and none is empty where it names repos. Flags, the environment and
//! the file are read leniently, with a note about a name that is probably mistyped.

use serial_gate_default_policy::scope::{self, Scope};

use super::nearest::{did_you_mean, nearest};
use super::{Error, Queue};
use crate::error::with_causes;
use crate::gate::{repos_of_rules, scope_of, settings_of};
use crate::model::Settings;
use crate::store::{Database, GenerationState, Store};

impl Queue {
    /// Whether the gate acts in a repo, by a name that was typed, as the reference has it
    /// (`serial_gate_applies`). Leaves to `acting` what claims do.
    pub fn applies(&self, repo: Option<&str>) -> bool {
        let settings = self.settings();
        settings.enabled && scope_of(settings).applies(repo.unwrap_or_default())
    }

    /// Refuses settings whose scope differs from the stored one and is probably a mistake: a name
    /// is dropped or unknown, or no repo is in scope. With `new`, unknown names are accepted.
    pub fn check_scope(&mut self, settings: &Settings, new: bool) -> Result<(), Error> {
        let active = self.store.generation_in(GenerationState::Active)?;
        let stored = active.and_then(|active| {
            settings_of(&active)
                .inspect_err(|error| tracing::warn!("{}", with_causes(error)))
                .ok()
        });
        check(
            settings,
            stored.as_ref(),
            new,
            &mut |name| match self.knows_repo(name)? {
                true => Ok(None),
                false => self.repos_near(name).map(Some),
            },
        )
    }

    /// What is probably wrong with this process's own scope: a name of no task, and nearly that of
    /// another repo.
    pub fn note_of_scope(&mut self) -> Result<Option<String>, Error> {
        let settings = self.settings().clone();
        match self.check_scope(&settings, false) {
            Err(Error::UnknownRepo { repo, near, .. }) if !near.is_empty() => Ok(Some(format!(
                "the gate acts only in the repos of `repos`, and no task of `{}` is known{}",
                repo.escape_debug(),
                did_you_mean(&near)
            ))),
            Err(error @ Error::Gate(_)) => Err(error),
            _ => Ok(None),
        }
    }
}

/// The same for a database that is about to be prepared. If it knows no repo, any name that a repo
/// can have is taken; if it has settings, it keeps them.
pub fn check_first_scope(
    database: &Database,
    settings: &Settings,
    configured: &[String],
    new: bool,
) -> Result<(), Error> {
    let found = Store::look_into(&database.location);
    if found.has_generations {
        return Ok(());
    }
    let known = || found.repos.iter().chain(configured);
    check(settings, None, new || found.repos.is_empty(), &mut |name| {
        let is_known = known().any(|known| *known == name);
        Ok((!is_known).then(|| nearest(name, known())))
    })
}

/// The known names that are nearest to an unknown name; none if the name is known.
type Near = Option<Vec<String>>;

fn check(
    settings: &Settings,
    stored: Option<&Settings>,
    new: bool,
    near: &mut dyn FnMut(&str) -> Result<Near, Error>,
) -> Result<(), Error> {
    let is_new_text = stored.is_none_or(|stored| stored.repos != settings.repos);
    if let Some(name) = scope::dropped(&settings.repos)
        .next()
        .filter(|_| is_new_text)
    {
        return Err(Error::NotInScope {
            near: near(name)?.unwrap_or_default(),
            repo: name.into(),
        });
    }
    let scope = scope_of(settings);
    if is_new_text && !settings.repos.is_empty() && scope.names().is_empty() {
        return Err(Error::NoNameInScope {
            repos: settings.repos.clone(),
        });
    }
    let is_new_scope = stored.is_none_or(|stored| scope_of(stored) != scope);
    let exact = scope.exact().filter(|_| is_new_scope);
    if let Some(exact) = exact
        && !exact.iter().any(|name| scope.is_named(name))
    {
        return Err(Error::NothingInScope {
            repos: scope.names().iter().cloned().collect(),
            rules: exact.iter().cloned().collect(),
        });
    }
    if new {
        return Ok(());
    }
    for name in added(settings, stored) {
        if let Some(near) = near(&name)? {
            return Err(Error::UnknownRepo {
                repo: name,
                near,
                left: "changed",
            });
        }
    }
    Ok(())
}

/// The names that come into the scope by these settings.
fn added(settings: &Settings, stored: Option<&Settings>) -> Vec<String> {
    let named = |settings: &Settings| {
        let csv = Scope::parse(&settings.repos).names().clone();
        let rules = repos_of_rules(settings).unwrap_or_default();
        csv.into_iter().chain(rules).collect::<Vec<_>>()
    };
    let before = stored.map(named).unwrap_or_default();
    let mut names = named(settings);
    names.retain(|name| !before.contains(name));
    names
}
