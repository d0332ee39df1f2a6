//! Programs that some tests need. `.ci/run` sets an environment variable for most of them.
//!
//! If a program is missing, its tests pass and print to standard error what they skipped. With `CI`
//! set they fail.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::sync::Mutex;

/// The value of a variable. If it is not set, prints what is skipped.
#[track_caller]
pub fn required(variable: &str, skipped: &str) -> Option<OsString> {
    let found = std::env::var_os(variable).filter(|value| !value.is_empty());
    if found.is_none() {
        missing(&format!("`{variable}` is not set"), skipped);
    }
    found
}

/// Reports a missing program. With `CI` set, fails.
#[track_caller]
pub fn missing(why: &str, skipped: &str) {
    not_in_ci(why, skipped, std::env::var_os("CI").as_deref());
    say(why, skipped);
}

#[track_caller]
fn not_in_ci(why: &str, skipped: &str, ci: Option<&OsStr>) {
    let is_ci = ci.is_some_and(|ci| !ci.is_empty() && ci != "false");
    assert!(!is_ci, "`CI` is set, and {why}: {skipped}");
}

/// Prints once in a run what is skipped.
pub fn say(why: &str, skipped: &str) {
    static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if PRINTED.lock().unwrap().insert(why.to_owned()) {
        // The test runner shows the output of `eprintln!` only for a failed test.
        let line = format!("skipped: {why}: {skipped}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

#[test]
#[should_panic(expected = "`CI` is set, and `THIS` is not set: nothing is tested")]
fn a_run_of_ci_that_has_lost_a_program_fails() {
    not_in_ci(
        "`THIS` is not set",
        "nothing is tested",
        Some("true".as_ref()),
    );
}

#[test]
fn elsewhere_the_tests_of_a_lost_program_pass() {
    for ci in [None, Some(""), Some("false")] {
        not_in_ci("`THIS` is not set", "nothing is tested", ci.map(OsStr::new));
    }
}
