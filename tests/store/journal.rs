//! The file's way into WAL mode: many first `init`s at once, and copies that have lost the mode.

use std::process::Child;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::{Gate, Ran};

fn ended(process: Child) -> Ran {
    process.wait_with_output().unwrap().into()
}

fn mode(gate: &Gate) -> String {
    gate.sqlite()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap()
}

/// A queue with a job, in a file that has lost its mode.
fn copied() -> Gate {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.sqlite()
        .execute("VACUUM INTO ?1", [gate.path("copy.db").to_str().unwrap()])
        .unwrap();
    std::fs::rename(gate.path("copy.db"), gate.database()).unwrap();
    assert_eq!(mode(&gate), "delete");
    gate
}

#[test]
fn many_processes_may_prepare_a_new_file_at_once() {
    for round in 0..6 {
        let gate = Gate::empty();
        let all: Vec<Child> = (0..16).map(|_| gate.spawn(&["init"])).collect();
        for process in all {
            let ran = ended(process);
            assert_eq!(ran.code, Some(0), "round {round}: {}", ran.stderr);
        }
        let history = gate.run(&["policy", "history", "--json"]).succeeds();
        assert_eq!(history.json_lines().len(), 1, "one of them made the policy");
    }
}

#[test]
fn many_processes_may_prepare_another_program_s_file_at_once() {
    let gate = Gate::empty();
    gate.sqlite()
        .execute_batch("CREATE TABLE notes (text)")
        .unwrap();
    let all: Vec<Child> = (0..16).map(|_| gate.spawn(&["init"])).collect();
    for process in all {
        let ran = ended(process);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
}

#[test]
fn a_verb_beside_the_first_init_finds_a_queue_or_is_told_to_prepare_one() {
    for round in 0..6 {
        let gate = Gate::empty();
        let mut inits = Vec::new();
        let mut others = Vec::new();
        for _ in 0..4 {
            inits.push(gate.spawn(&["init"]));
            others.push(gate.spawn(&["claim"]));
            others.push(gate.spawn(&["queue"]));
        }
        for process in inits {
            let ran = ended(process);
            assert_eq!(ran.code, Some(0), "round {round}: {}", ran.stderr);
        }
        for process in others {
            let ran = ended(process);
            let is_told = ran.stderr.contains("is not prepared for the serial gate")
                || ran.stderr.contains("there is no database");
            assert!(
                matches!(ran.code, Some(0 | 3)) || is_told,
                "round {round}: {}",
                ran.stderr
            );
        }
    }
}

#[test]
fn an_empty_file_is_not_prepared() {
    let gate = Gate::empty();
    gate.write("serial-gate.db", "");
    let ran = gate.run(&["claim"]).exits(1);
    assert!(ran.stderr.contains("is not prepared"), "{}", ran.stderr);
}

#[test]
fn a_copy_without_wal_mode_is_brought_back_by_any_verb_which_says_so() {
    for verb in [
        &["claim"][..],
        &["task", "add", "alpha"],
        &["explain", "1"],
        &["repo", "alpha"],
        &["work", "--agent", "analyst", "--max", "1", "--", "true"],
    ] {
        let gate = copied();
        let ran = gate.run(verb).succeeds();
        assert!(
            ran.stderr.contains("was in journal mode `delete`"),
            "{verb:?}: {}",
            ran.stderr
        );
        assert_eq!(mode(&gate), "wal", "{verb:?}");
    }
}

#[test]
fn init_names_the_mode_among_its_changes() {
    let text = copied().run(&["init", "-v"]).succeeds();
    insta::assert_snapshot!(text.stdout, @r#"
    `serial-gate.db` is ready: 1 addition made
      journal wal
    1 task: `analysis` 1; 1 job: `queued` 1; queued for: `analyst` 1
    "#);
    let gate = copied();
    let told = gate.run(&["init", "--json"]).succeeds().json();
    assert_eq!(told["changes"], json!([{"journal_mode": "wal"}]));
    assert_eq!(mode(&gate), "wal");
}

#[test]
fn a_copy_that_is_being_read_is_waited_for() {
    let gate = copied();
    let reader = gate.sqlite();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM jobs")
        .unwrap();
    let claiming = gate.spawn(&["claim", "--json"]);
    thread::sleep(Duration::from_millis(300));
    reader.execute_batch("COMMIT").unwrap();
    let ran = ended(claiming).succeeds();
    assert_eq!(ran.json()["id"], 1);
    assert_eq!(mode(&gate), "wal");
}

#[test]
fn a_copy_that_cannot_be_brought_back_names_the_remedy() {
    let gate = copied();
    // The log of the database cannot be written there.
    std::fs::create_dir(gate.path("serial-gate.db-wal")).unwrap();
    let ran = gate.run(&["claim"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @r"
    error: cannot open `serial-gate.db`: does its folder exist, and may you write there?
      because unable to open database file
      because Error code 14: unable to open database file
    ");
}
