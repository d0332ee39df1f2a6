//! The clause for some settings.
//!
//! Owns what every rule file gets without a line in it: the kill switch makes the clause empty, the
//! scope lets every job of another repo through, and without `freeze_enabled` each sub-select over
//! `repo_freeze` finds nothing. Callers rely on this: the guard accepts the text, unless the scope is
//! too long for a clause.

use alloc::format;
use alloc::string::String;

use serial_gate_clause::Clause;
use serial_gate_default_policy::clause::list;
use serial_gate_default_policy::scope::Scope;

use crate::error::Error;
use crate::file::{RuleFile, Settings};
use crate::fill::fill;
use crate::parameters::Parameters;

/// The settings, read.
pub(crate) struct Set {
    pub parameters: Parameters,
    pub scope: Scope,
}

impl Set {
    pub(crate) fn read(file: &RuleFile, settings: Settings<'_>) -> Result<Set, Error> {
        let (parameters, repos) = file.defaults.with(settings.rules).map_err(Error::Rules)?;
        Ok(Set {
            parameters,
            scope: Scope::parse(settings.repos).within(repos.as_deref()),
        })
    }
}

/// The whole clause, with its leading `AND`.
pub(crate) fn text(file: &RuleFile, set: &Set, has_freezes: bool) -> Result<String, Error> {
    let own = own(file, &set.parameters, has_freezes)?;
    let setting = Some(set.scope.names()).filter(|names| !names.is_empty());
    let lists = setting.into_iter().chain(set.scope.exact());
    let in_scope: String = lists
        .map(|repos| format!("AND jobs.repo IN ({}) ", list(repos)))
        .collect();
    Ok(framed(&own, &in_scope))
}

fn framed(own: &str, in_scope: &str) -> String {
    if in_scope.is_empty() {
        return format!("AND ( {own} )");
    }
    // A job without a repo is in no scope, and must pass: the comparison alone would be NULL.
    format!("AND NOT ( jobs.repo IS NOT NULL {in_scope}AND NOT ( {own} ) )")
}

/// Checks that the clause has room for both lists of a scope.
pub(crate) fn check_room(own: &str) -> Result<(), Error> {
    let framed = framed(own, "AND jobs.repo IN ('a') AND jobs.repo IN ('b') ");
    match Clause::accept(&framed) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Error::NoRoom {
            what: refusal.what().into(),
            remedy: refusal.remedy().into(),
        }),
    }
}

/// The file's own condition, without a leading `AND`.
pub(crate) fn own(
    file: &RuleFile,
    parameters: &Parameters,
    has_freezes: bool,
) -> Result<String, Error> {
    let filled = fill(&file.clause, parameters, has_freezes)?;
    if let Err(refusal) = Clause::accept(&filled.text) {
        let column = filled.column(refusal.line(), refusal.column());
        return Err(Error::of_clause(&refusal, column));
    }
    let text = filled.text.trim();
    let rest = text
        .get(..3)
        .filter(|word| word.eq_ignore_ascii_case("AND"));
    let behind = rest.and_then(|_| text.get(3..));
    let is_whole_word =
        |rest: &&str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    Ok(behind.filter(is_whole_word).unwrap_or(text).trim().into())
}
