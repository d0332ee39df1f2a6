//! What some tests need of the machine: programs, most of them named by a variable of the
//! environment that `.ci/run` sets.
//!
//! Without one such a test passes, and what was skipped is said on the standard error. With `CI`
//! set it fails.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::sync::Mutex;

/// The value of a variable; none, which is said, if it is not set.
#[track_caller]
pub fn required(variable: &str, skipped: &str) -> Option<OsString> {
    let found = std::env::var_os(variable).filter(|value| !value.is_empty());
    if found.is_none() {
        missing(&format!("`{variable}` is not set"), skipped);
    }
    found
}

/// What CI has to have is not there.
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

/// Says once in a run what is skipped.
pub fn say(why: &str, skipped: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(why.to_owned()) {
        // Not by `eprintln!`, whose text the tests' runner shows for a failed test only.
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
