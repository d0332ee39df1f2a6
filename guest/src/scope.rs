//! The scope: in which repos the gate acts.
//!
//! Owns the setting `repos`, a list with commas. The contract defines it, so it is the same for
//! every policy and for the host. Reading it never fails: a scope without a valid name is all
//! repos. The list `repos` of the rules narrows the scope further; its names are exact. A repo is
//! in scope when both admit it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The repos in which the gate acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The names; empty means all repos.
    names: BTreeSet<String>,
    /// The repos that the rules name; `None` means all repos.
    exact: Option<BTreeSet<String>>,
    /// What the operator should know about the setting.
    notes: Vec<String>,
}

impl Scope {
    /// Reads the setting `repos`.
    pub fn parse(csv: &str) -> Scope {
        let mut scope = Scope {
            names: BTreeSet::new(),
            exact: None,
            notes: Vec::new(),
        };
        let mut unnamed = 0_usize;
        for name in csv.split(',').map(strip).filter(|name| !name.is_empty()) {
            if name.bytes().all(is_of_a_name) {
                scope.names.insert(name.into());
            } else if scope.notes.len() < NOTED {
                scope.notes.push(note(name));
            } else {
                unnamed += 1;
            }
        }
        if unnamed > 0 {
            scope
                .notes
                .push(format!("{unnamed} more were dropped from the scope"));
        }
        if scope.names.is_empty() && !scope.notes.is_empty() {
            scope
                .notes
                .push("no repo name is left in the scope, so the gate acts in all repos".into());
        }
        scope
    }

    /// The same scope, limited to the repos that the rules name, if they name any.
    #[must_use]
    pub fn within(self, repos: Option<&[String]>) -> Scope {
        Scope {
            exact: repos.map(|repos| repos.iter().cloned().collect()),
            ..self
        }
    }

    /// The repos that the rules name, sorted; `None` means all repos.
    pub fn exact(&self) -> Option<&BTreeSet<String>> {
        self.exact.as_ref()
    }

    /// The names of the setting, sorted; empty means all repos.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// What the operator should know about the setting, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether a repo, by its exact name, is in the scope. Claims use this.
    pub fn contains(&self, repo: &str) -> bool {
        self.is_named(repo) && self.is_in_the_rules(repo)
    }

    /// Whether the setting admits a repo, by its exact name.
    pub fn is_named(&self, repo: &str) -> bool {
        self.names.is_empty() || self.names.contains(repo)
    }

    /// Whether the rules admit a repo, by its exact name.
    pub fn is_in_the_rules(&self, repo: &str) -> bool {
        self.exact.as_ref().is_none_or(|exact| exact.contains(repo))
    }

    /// Whether the gate applies to a repo that an operator named. Unlike in a claim, the setting
    /// ignores space around the name. The rules do not.
    pub fn applies(&self, repo: &str) -> bool {
        self.is_named(strip(repo)) && self.is_in_the_rules(repo)
    }
}

/// How many dropped names get a note: the host shows few notes.
const NOTED: usize = 10;

/// How many letters of a dropped name its note shows.
const LETTERS: usize = 60;

fn note(name: &str) -> String {
    let start: String = name.chars().take(LETTERS).collect();
    let more = if start.len() < name.len() { "…" } else { "" };
    // An escape may be four times as long as its letter, or longer.
    let shown: String = start.escape_debug().take(4 * LETTERS).collect();
    format!("`{shown}{more}` is not a repo name and was dropped from the scope")
}

/// The names in the setting `repos` that are no repo names, and are dropped from the scope.
pub fn dropped(csv: &str) -> impl Iterator<Item = &str> {
    let names = csv.split(',').map(strip).filter(|name| !name.is_empty());
    names.filter(|name| !name.bytes().all(is_of_a_name))
}

/// Whether a repo's name may have this byte.
fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Removes the space that the reference removes: Unicode's, and the separators U+001C to U+001F.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(csv: &str) -> Vec<String> {
        Scope::parse(csv).names.into_iter().collect()
    }

    #[test]
    fn names_are_stripped_sorted_and_never_repeated() {
        assert_eq!(names(" b ,a,\u{1f}b\u{2003},,A"), ["A", "a", "b"]);
    }

    #[test]
    fn one_valid_name_narrows_the_scope_and_the_others_are_noted() {
        let scope = Scope::parse("alpha, org/repo");
        assert!(scope.contains("alpha") && !scope.contains("beta"));
        assert_eq!(
            scope.notes(),
            ["`org/repo` is not a repo name and was dropped from the scope"]
        );
    }

    #[test]
    fn a_scope_of_invalid_names_only_is_all_repos_and_says_so() {
        let scope = Scope::parse("org/repo, a b");
        assert!(scope.contains("anything"));
        assert_eq!(scope.notes().len(), 3);
    }

    #[test]
    fn a_repo_is_in_scope_when_the_setting_and_the_rules_both_admit_it() {
        let rules = ["org/app".into(), "alpha".into()];
        let scope = Scope::parse("").within(Some(&rules));
        assert!(scope.contains("org/app") && !scope.contains("beta"));
        let scope = Scope::parse("alpha,beta").within(Some(&rules));
        assert!(scope.contains("alpha"));
        assert!(!scope.contains("beta") && !scope.contains("org/app"));
    }

    #[test]
    fn the_rules_name_a_repo_exactly_also_for_applies() {
        let scope = Scope::parse("alpha").within(Some(&["alpha".into()]));
        assert!(scope.applies("alpha") && !scope.applies(" alpha "));
    }

    #[test]
    fn applies_ignores_space_around_the_name_and_the_claim_does_not() {
        let scope = Scope::parse("alpha");
        assert!(scope.applies("\u{1f}alpha ") && !scope.contains("alpha "));
    }
}
