//! `policy new`: from an empty folder to a queue's active policy, with the real cargo.

use std::path::Path;
use std::process::Command;

use crate::support::components::NEW_POLICY_TARGET;
use crate::support::components::build_component::cargo;
use crate::support::{Gate, Ran};

pub const FOLDER: &str = "review-first";
const COMPONENT: &str = "review_first.wasm";

/// A run of cargo in the folder of the new policy. It takes the crates that this workspace was
/// built of, so nothing is downloaded, and compiles them once for every run of the tests.
fn cargo_in(gate: &Gate, arguments: &[&str]) -> Ran {
    let mut cargo: Command = cargo().unwrap();
    cargo.args(arguments).args(["--offline", "--target-dir"]);
    cargo.arg(NEW_POLICY_TARGET).current_dir(gate.path(FOLDER));
    cargo.output().unwrap().into()
}

/// A queue, and below it a new policy that is built.
fn built() -> Gate {
    let gate = Gate::new();
    gate.run(&["policy", "new", FOLDER]).succeeds();
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    std::fs::copy(lock, gate.path(FOLDER).join("Cargo.lock")).unwrap();
    cargo_in(&gate, &["build", "--release", "--target", "wasm32-wasip2"]).succeeds();
    let component = Path::new(NEW_POLICY_TARGET)
        .join("wasm32-wasip2/release")
        .join(COMPONENT);
    std::fs::copy(component, gate.path(COMPONENT)).unwrap();
    gate
}

/// The component of the new policy.
pub fn component_in_rust() -> Vec<u8> {
    std::fs::read(built().path(COMPONENT)).unwrap()
}

fn refused(arguments: &[&str]) -> String {
    Gate::empty().run(arguments).exits(1).stderr
}

#[test]
fn it_says_what_comes_next() {
    let gate = Gate::empty();
    let ran = gate.run(&["policy", "new", "mine/review-first"]).succeeds();
    insta::assert_snapshot!(ran.stdout, @r"
    `review-first` is ready: its rule is in `mine/review-first/src/lib.rs`
      build it with: cargo build --release --target wasm32-wasip2 --manifest-path mine/review-first/Cargo.toml
      check it with: serial-gate policy check mine/review-first/target/wasm32-wasip2/release/review_first.wasm
      make it active with: serial-gate policy swap mine/review-first/target/wasm32-wasip2/release/review_first.wasm --reason TEXT
    ");
}

#[test]
fn in_another_language_its_readme_has_the_steps() {
    let gate = Gate::empty();
    let ran = gate.run(&["policy", "new", "mine/review-first", "--language", "python"]);
    insta::assert_snapshot!(ran.succeeds().stdout, @r"
    `review-first` is ready: its rule is in `mine/review-first/policy.py`
      build it with: see `mine/review-first/README.md`
      check it with: serial-gate policy check mine/review-first/review-first.wasm
      make it active with: serial-gate policy swap mine/review-first/review-first.wasm --reason TEXT
    ");
    let ran = gate.run(&[
        "policy",
        "new",
        "other",
        "--language",
        "typescript",
        "--json",
    ]);
    let said = ran.succeeds().json();
    for file in said["files"].as_array().unwrap() {
        let text = std::fs::read_to_string(gate.path("other").join(file.as_str().unwrap()));
        let text = text.unwrap();
        assert!(
            !text.contains("{name}") && !text.contains("{file}"),
            "{file}"
        );
    }
    assert_eq!(said["component"], "other/other.wasm");
    let ran = gate.run(&["policy", "new", "third", "--language", "c"]);
    insta::assert_snapshot!(ran.succeeds().stdout, @r"
    `third` is ready: its rule is in `third/rule.c`
      build it with: sh third/build.sh
      check it with: serial-gate policy check third/third.wasm
      make it active with: serial-gate policy swap third/third.wasm --reason TEXT
    ");
}

#[test]
fn its_contract_is_the_host_s() {
    let gate = Gate::empty();
    gate.run(&["policy", "new", FOLDER]).succeeds();
    let contract = std::fs::read_to_string(gate.path(FOLDER).join("wit/serial-gate.wit"));
    assert_eq!(contract.unwrap(), include_str!("../../wit/serial-gate.wit"));
}

#[test]
fn a_policy_may_be_made_in_the_empty_folder_that_one_stands_in() {
    let gate = Gate::empty();
    std::fs::create_dir(gate.path(FOLDER)).unwrap();
    let mut command = gate.command(&["policy", "new", ".", "--json"]);
    let ran: Ran = command
        .current_dir(gate.path(FOLDER))
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.succeeds().json()["policy"], FOLDER);
}

#[test]
fn a_folder_that_holds_something_stays_as_it_is() {
    let gate = Gate::empty();
    std::fs::create_dir(gate.path(FOLDER)).unwrap();
    gate.write("review-first/notes", "mine");
    let ran = gate.run(&["policy", "new", FOLDER]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: `review-first` is not empty, and nothing is overwritten: name a new folder");
    assert_eq!(std::fs::read_dir(gate.path(FOLDER)).unwrap().count(), 1);
}

#[test]
fn a_file_is_not_taken_for_a_folder() {
    let gate = Gate::empty();
    gate.write(FOLDER, "mine");
    let ran = gate.run(&["policy", "new", FOLDER]).exits(1);
    insta::assert_snapshot!(ran.stderr, @r"
    error: cannot read `review-first`: name a folder
      because not a directory
    ");
}

#[test]
fn a_name_that_no_policy_can_have_is_refused_with_one_that_it_can() {
    let stderr = refused(&["policy", "new", "mine/Review_First"]);
    insta::assert_snapshot!(stderr, @"error: `Review_First` is not a name for a policy: begin with a lower-case letter, and write lower-case words and digits with `-` between them, such as `review-first`");
}

#[test]
fn only_words_of_lower_case_letters_and_digits_make_a_name() {
    for name in ["-a", "a-", "a--b", "1st", "größe", "a b", "..", "/", "a.b"] {
        let stderr = refused(&["policy", "new", "--", name]);
        assert!(
            stderr.contains("is not a name for a policy"),
            "{name}: {stderr}"
        );
    }
}

/// One test, because each step needs the one before it: the build takes longer than all the others.
#[test]
fn the_new_policy_is_built_tested_checked_used_and_taken_back() {
    let gate = built();
    // The profile of the build, so that its crates are compiled once only.
    cargo_in(&gate, &["test", "--release"]).succeeds();
    gate.run(&["policy", "check", COMPONENT]).succeeds();
    let cases = ["conform", "review-first/cases.jsonl", "--policy", COMPONENT];
    insta::assert_snapshot!(gate.run(&cases).succeeds().stdout, @"5 passed, 0 failed");

    for _ in 0..3 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let claim = ["claim", "--worker", "w-1"];
    gate.run(&claim).succeeds();
    gate.run(&claim).exits(3);
    let diff = gate.run(&["policy", "diff", COMPONENT]).succeeds();
    insta::assert_snapshot!(diff.stdout, @r"
    the verdict of 2 queued jobs would change
    JOB  REPO   AGENT    NOW                       THEN
    2    alpha  analyst  held: task 1 comes first  may be claimed
    3    alpha  analyst  held: task 1 comes first  may be claimed
    ");
    gate.run(&["policy", "swap", COMPONENT, "--reason", "reviews first"])
        .succeeds();
    gate.run(&claim).succeeds();
    gate.run(&["task", "stage", "2", "review"]).succeeds();
    gate.run(&claim).exits(3);
    gate.run(&["task", "stage", "2", "testing"]).succeeds();
    gate.run(&claim).succeeds();

    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["policy", "rollback", "--reason", "one at a time"])
        .succeeds();
    gate.run(&claim).exits(3);
}

#[test]
fn a_rule_in_one_file_needs_no_compiler() {
    let gate = Gate::new();
    let ran = gate.run(&["policy", "new", "mine/review-first", "--clause-only"]);
    insta::assert_snapshot!(ran.succeeds().stdout, @r"
    `review-first` is ready: its rule is in `mine/review-first/rule.sql`
      check it with: serial-gate policy check mine/review-first/rule.sql
      make it active with: serial-gate policy swap mine/review-first/rule.sql --reason TEXT
    ");
    let rule = "mine/review-first/rule.sql";
    let cases = "mine/review-first/cases.jsonl";
    let ran = gate.run(&["conform", cases, "--policy", rule]).succeeds();
    assert_eq!(ran.stdout, "5 passed, 0 failed\n");
    gate.run(&["policy", "swap", rule, "--reason", "reviews first"])
        .succeeds();
    gate.run(&["task", "add", "alpha", "--stage", "review"])
        .succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["claim", "--worker", "w"]).succeeds();
    let explained = gate.run(&["explain", "2"]).exits(3).stdout;
    assert!(explained.contains("task 1"), "{explained}");
    let swap = [
        "policy",
        "swap",
        rule,
        "--rules",
        r#"{"stage":"testing"}"#,
        "--reason",
        "later",
    ];
    gate.run(&swap).succeeds();
    gate.run(&["claim", "--worker", "w"]).succeeds();
}

#[test]
fn a_rule_that_cannot_run_is_refused_at_its_place() {
    let gate = Gate::new();
    let head = "-- name: a\n-- version: 1\n-- summary: b\n";
    std::fs::write(
        gate.path("rule.sql"),
        format!("{head}\nlower(jobs.repo) = 'a'\n"),
    )
    .unwrap();
    let ran = gate.run(&["policy", "swap", "rule.sql", "--reason", "a test"]);
    insta::assert_snapshot!(ran.exits(1).stderr, @r"
    error: `rule.sql` is refused
      because line 5, column 1: the function `lower` is not in the language: compare columns and literals; write `min`, `max` and `count(*)` as `(SELECT min(alias.column) FROM ...)`
    ");
    std::fs::write(gate.path("rule.sql"), b"\xff").unwrap();
    let ran = gate.run(&["policy", "check", "rule.sql"]);
    insta::assert_snapshot!(ran.exits(1).stderr, @"error: `rule.sql` is not text: save it as UTF-8");
    let history = gate.run(&["policy", "history"]).succeeds().stdout;
    assert_eq!(history.lines().count(), 2, "{history}");
}
