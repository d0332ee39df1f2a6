#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod decisions;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serial_gate_clause::Clause;

use crate::{Error, RuleFile, Settings, slot};

const HEAD: &str = "-- name: a\n-- version: 1\n-- summary: b\n";

fn settings(rules: Option<&str>) -> Settings<'_> {
    Settings {
        enabled: true,
        repos: "",
        freeze_enabled: true,
        rules,
    }
}

fn file(rules: &str, clause: &str) -> Result<RuleFile, Error> {
    RuleFile::read(&format!("{HEAD}-- rules: {rules}\n{clause}"))
}

fn clause(rules: &str, clause: &str) -> String {
    let file = file(rules, clause).unwrap();
    file.claim_clause(settings(None)).unwrap().text
}

fn refusal(text: &str) -> String {
    RuleFile::read(text).unwrap_err().to_string()
}

#[test]
fn each_type_of_parameter_becomes_a_literal() {
    for (rules, own, filled) in [
        (r#"{"id": -7}"#, "jobs.id > :id", "jobs.id > -7"),
        (
            r#"{"agent": "o'brien"}"#,
            "jobs.agent = :agent",
            "jobs.agent = 'o''brien'",
        ),
        (
            r#"{"all": true}"#,
            ":all OR jobs.id = 1",
            "TRUE OR jobs.id = 1",
        ),
        (
            r#"{"ids": [1, 2]}"#,
            "jobs.id NOT IN :ids",
            "jobs.id NOT IN (1, 2)",
        ),
        (
            r#"{"a": ["x", "y"]}"#,
            "jobs.agent in :a",
            "jobs.agent IN ('x', 'y')",
        ),
        (
            r#"{"a": ["x"]}"#,
            "jobs.agent NOT\n IN :a",
            "jobs.agent <> 'x'\n",
        ),
        (
            r#"{"a": "x"}"#,
            "jobs.agent IN (:a, ':a')",
            "jobs.agent IN ('x', ':a')",
        ),
    ] {
        assert_eq!(
            clause(rules, own),
            format!("AND ( {} )", filled.trim()),
            "{own}"
        );
    }
}

#[test]
fn without_freezes_their_sub_selects_find_nothing() {
    for (own, filled) in [
        (
            "NOT EXISTS (SELECT 1 FROM repo_freeze f WHERE f.repo = jobs.repo) OR jobs.id = 1",
            "NOT FALSE OR jobs.id = 1",
        ),
        (
            "(SELECT count(*) FROM repo_freeze f WHERE f.repo = jobs.repo AND (f.id > 1)) < 3",
            "0 < 3",
        ),
        (
            "(SELECT max(f.id) FROM repo_freeze f WHERE f.repo = jobs.repo) IS NULL",
            "NULL IS NULL",
        ),
        (
            "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND NOT EXISTS (SELECT 1 FROM \
             repo_freeze f WHERE f.repo = jobs.repo))",
            "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo AND NOT FALSE)",
        ),
        (
            "jobs.agent <> 'EXISTS (SELECT 1 FROM repo_freeze f)'",
            "jobs.agent <> 'EXISTS (SELECT 1 FROM repo_freeze f)'",
        ),
    ] {
        let file = file("{}", own).unwrap();
        let without = Settings {
            freeze_enabled: false,
            ..settings(None)
        };
        let text = file.claim_clause(without).unwrap().text;
        assert_eq!(text, format!("AND ( {filled} )"));
        Clause::accept(&text).unwrap();
    }
}

#[test]
fn the_scope_lets_every_job_of_another_repo_through() {
    let file = file("{}", "AND jobs.agent <> 'x'").unwrap();
    let scope = Settings {
        repos: "b,a",
        ..settings(Some(r#"{"repos": ["org/app"]}"#))
    };
    let answer = file.claim_clause(scope).unwrap();
    assert_eq!(
        answer.text,
        "AND NOT ( jobs.repo IS NOT NULL AND jobs.repo IN ('a', 'b') AND jobs.repo IN ('org/app') \
         AND NOT ( jobs.agent <> 'x' ) )"
    );
}

#[test]
fn the_kill_switch_makes_the_clause_empty() {
    let file = file("{}", "jobs.agent <> 'x'").unwrap();
    let off = Settings {
        enabled: false,
        ..settings(None)
    };
    assert_eq!(file.claim_clause(off).unwrap().text, "");
}

#[test]
fn a_file_that_cannot_be_meant_is_refused_with_its_place_and_a_remedy() {
    let rules = |json: &str| format!("{HEAD}-- rules: {json}\njobs.id = 1");
    let own =
        |clause: &str| format!("{HEAD}-- rules: {{\"limit\": 2, \"names\": [\"a\"]}}\n{clause}");
    let most = "x".repeat(slot::ROOM + 1);
    for (text, reason) in [
        (
            "jobs.id = 1".to_owned(),
            "`-- name:` is missing: write a line such as `-- name: two-at-once`",
        ),
        (
            "\u{feff}-- name: a\n-- name: b\n".to_owned(),
            "line 2: `-- name:` is there twice: keep one of them",
        ),
        (
            format!("{HEAD}-- no clause\n\n"),
            "there is no clause: write one such as `AND jobs.agent <> 'analyst'` below the comments",
        ),
        (
            most,
            "a rule file has 65536 bytes at most: shorten it, or write the policy in another language",
        ),
        (
            rules("[]"),
            "line 4: not a JSON object, such as `{\"limit\":2}`",
        ),
        (
            rules("{"),
            "line 4: not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            rules(r#"{"repos": ["a"]}"#),
            "line 4: `repos` is the scope in every policy: give the parameter another name",
        ),
        (
            rules(r#"{"Limit": 1}"#),
            "line 4: `Limit` is no name of a parameter: write lower-case letters, digits and `_`",
        ),
        (
            rules(r#"{"limit": null}"#),
            "line 4: `limit` has no value that a clause can hold: write a whole number, a text, \
             `true`, `false`, or a list of numbers or texts",
        ),
        (
            rules(r#"{"limit": 1.5}"#),
            "line 4: `1.5` in `limit` is not a whole number of 64 bits: write a whole number, a text, `true`, `false`, or a list of numbers or texts",
        ),
        (
            rules(r#"{"ids": [1, "a"]}"#),
            "line 4: `ids` is a mixed list: write numbers only, or texts only",
        ),
        (
            rules(r#"{"ids": ["a", true]}"#),
            "line 4: `ids` is a mixed list: write numbers only, or texts only",
        ),
        (
            rules(r#"{"ids": []}"#),
            "line 4: `ids` is empty: name at least one",
        ),
        (
            rules(r#"{"agent": "é"}"#),
            "line 4: `é` in `agent` is not printable ASCII: a clause cannot hold it",
        ),
        (
            rules(r#"{"limit": 1}"#),
            "`limit` in `-- rules:` is not used by the clause: use it as `:name`, or leave it out",
        ),
        (
            own("\n  jobs.id > :limt"),
            "line 6, column 13: `:limt` has no default in `-- rules:`, which has `limit`, `names`",
        ),
        (
            format!("{HEAD}jobs.id > :limit"),
            "line 4, column 11: `:limit` has no default: write a line `-- rules: {\"limit\": …}` at \
             the top",
        ),
        (
            own("jobs.id = :limit AND jobs.agent = :names"),
            "line 5, column 35: `:names` is a list: write `IN :names`, without parentheses",
        ),
        (
            own("jobs.id IN :limit"),
            "line 5, column 9: `:limit` is not a list: write `IN (:limit)`",
        ),
        (
            own("jobs.agent IN :names AND jobs.id = :limit AND lower(jobs.repo) = 'a'"),
            "line 5, column 47: the function `lower` is not in the language: compare columns and \
             literals; write `min`, `max` and `count(*)` as `(SELECT min(alias.column) FROM ...)`",
        ),
        (
            own("jobs.agent IN :names AND jobs.agent = :limit"),
            "line 5, column 26: an integer is compared with a text: compare integers with integers \
             and text with text",
        ),
        (
            format!("{HEAD}jobs.id::text = 'a'"),
            "line 4, column 8: `::` casts a value: compare integers with integers and text with text",
        ),
    ] {
        assert_eq!(refusal(&text), reason);
    }
}

#[test]
fn rules_that_do_not_fit_the_file_are_refused() {
    let file = file(
        r#"{"limit": 2, "names": ["a"]}"#,
        "jobs.id > :limit OR jobs.agent IN :names",
    );
    let file = file.unwrap();
    for (rules, reason) in [
        (
            r#"{"limt": 1}"#,
            "`limt` is not a parameter of this rule: it has `limit`, `names`, `repos`",
        ),
        (
            r#"{"limit": "1"}"#,
            "`limit` is a text: write a whole number",
        ),
        (
            r#"{"names": "a"}"#,
            "`names` is a text: write a list of texts",
        ),
        (r#"{"names": []}"#, "`names` is empty: name at least one"),
        (
            r#"{"repos": [1]}"#,
            "`repos` is a list of whole numbers: write a list of texts",
        ),
        ("[]", "not a JSON object, such as `{\"limit\":2}`"),
    ] {
        let error = file.claim_clause(settings(Some(rules))).unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
}

#[test]
fn the_place_in_a_component_takes_a_file_and_gives_it_back() {
    let mut template: Vec<u8> = b"before".to_vec();
    template.extend(slot::empty());
    template.extend(b"behind");
    let component = slot::component(&template, "the file").unwrap();
    let slot = component[6..component.len() - 6].try_into().unwrap();
    assert_eq!(slot::file(slot), Some("the file"));
    assert_eq!(slot::find(&component), Some("the file"));
    assert_eq!(component.len(), template.len());
    assert_eq!(
        slot::component(&template, &"x".repeat(slot::ROOM + 1)),
        None
    );
    assert_eq!(slot::component(b"another component", "the file"), None);
    assert_eq!(slot::file(&slot::empty()), None);
}
