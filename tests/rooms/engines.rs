//! The tests that only SQLite can run: each is there, and its name skips no other test.

use std::process::Command;

const LIST: &str = include_str!("../support/sqlite_only.txt");

/// Every test of this binary, by its full name.
fn tests() -> Vec<String> {
    let mut list = Command::new(std::env::current_exe().unwrap());
    let list = list.args(["--list", "--format", "terse"]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    tests.map(Into::into).collect()
}

#[test]
fn each_test_for_sqlite_only_is_there_and_its_name_skips_no_other() {
    let tests = tests();
    for line in LIST.lines() {
        let (name, reason) = line.split_once("  ").expect(line);
        assert!(reason.ends_with('.') && !reason.starts_with(' '), "{line}");
        // A module's name ends in `::`. `--skip` takes any part of a name.
        let is_listed =
            |test: &&String| *test == name || name.ends_with("::") && test.starts_with(name);
        assert!(tests.iter().any(|test| is_listed(&test)), "no test: {name}");
        let others = tests.iter().filter(|test| !is_listed(test));
        let others: Vec<_> = others.filter(|test| test.contains(name)).collect();
        assert!(others.is_empty(), "`{name}` skips {others:?} as well");
    }
}
