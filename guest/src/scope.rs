//! The scope: in which repos the gate acts.
//!
//! Owns the reading of the comma-separated setting (reference semantics 17–23), which is part of
//! the contract and therefore the same for every policy and for the host. It never fails: a scope
//! without one valid name is all repos. The list `repos` of the rules narrows it further; its names
//! are taken as they are. A repo is in scope when both admit it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The repos in which the gate acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The names, without repeats and in the order of their bytes; none means all repos.
    names: BTreeSet<String>,
    /// The repos that the rules name; none admits all.
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

    /// The same scope, of which only the repos are left that the rules name; all of it, if they
    /// name none.
    #[must_use]
    pub fn within(self, repos: Option<&[String]>) -> Scope {
        Scope {
            exact: repos.map(|repos| repos.iter().cloned().collect()),
            ..self
        }
    }

    /// The repos that the rules name, sorted; none admits all.
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

    /// Whether a repo, by its exact name, is in the scope. This is the rule of the claim.
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

    /// Whether the gate applies to a repo that an operator named. Space around the name does not
    /// count for the setting, unlike in the claim (reference semantics 23). The rules name a repo
    /// exactly.
    pub fn applies(&self, repo: &str) -> bool {
        self.is_named(strip(repo)) && self.is_in_the_rules(repo)
    }
}

/// How many names that were dropped have a note: the host shows a few notes only.
const NOTED: usize = 10;

/// How many letters of a name are in its note.
const LETTERS: usize = 60;

fn note(name: &str) -> String {
    let start: String = name.chars().take(LETTERS).collect();
    let more = if start.len() < name.len() { "…" } else { "" };
    // Each letter may be escaped to four times its length or more.
    let shown: String = start.escape_debug().take(4 * LETTERS).collect();
    format!("`{shown}{more}` is not a repo name and was dropped from the scope")
}

/// The names in the setting `repos` that cannot be a repo's there, and are dropped from the scope.
pub fn dropped(csv: &str) -> impl Iterator<Item = &str> {
    let names = csv.split(',').map(strip).filter(|name| !name.is_empty());
    names.filter(|name| !name.bytes().all(is_of_a_name))
}

/// Whether a repo's name may have this byte.
fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Removes space as the reference does: Unicode's, and the four separators U+001C to U+001F.
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
