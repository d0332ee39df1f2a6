//! The numbers of freezes: they never come again, whatever becomes of the rows, and no other
//! program notices them.

use serde_json::Value;

use crate::support::Gate;
use crate::support::engine::Program;
use crate::support::redacted::without_times;

/// A queue in an orchestrator's database, whose ids come again after a delete.
fn adopted() -> Gate {
    let gate = Gate::empty();
    let table = "CREATE TABLE repo_freeze (id INTEGER PRIMARY KEY, repo TEXT, reason TEXT, \
        cleared_at TEXT)";
    gate.program().run(table);
    gate.run(&["init"]).succeeds();
    gate
}

fn freeze(gate: &Gate, reason: &str) -> i64 {
    let verb = [
        "freeze", "alpha", "--new", "--reason", reason, "--who", "ops", "--json",
    ];
    gate.run(&verb).succeeds().json()["freeze_id"]
        .as_i64()
        .unwrap()
}

fn unfreeze(gate: &Gate, seen: i64) -> crate::support::Ran {
    gate.run(&["unfreeze", "alpha", "--seen", &seen.to_string()])
}

fn repo(gate: &Gate) -> Value {
    gate.run(&["repo", "alpha", "--json"]).succeeds().json()
}

/// The numbers of all rows, in the order of their ids.
fn numbers(program: &Program) -> Vec<i64> {
    program.all("SELECT gate_number FROM repo_freeze ORDER BY id")
}

#[test]
fn a_freeze_that_has_the_id_of_a_deleted_one_is_not_cleared_for_it() {
    let gate = adopted();
    let first = freeze(&gate, "first");
    gate.program().run("DELETE FROM repo_freeze");
    freeze(&gate, "second");
    let ran = unfreeze(&gate, first).exits(1);
    insta::assert_snapshot!(without_times(&ran.stderr), @"error: `alpha` is not held by \
        freeze (number) but by freeze (number), and nothing was cleared: look at its reason with \
        `serial-gate repo alpha`, and give `--seen (number)`");
    assert_eq!(repo(&gate)["freeze"]["reason"], "second");
}

#[test]
fn a_restored_backup_gives_no_number_again() {
    let gate = adopted();
    let backup = gate.backup();
    let lost = freeze(&gate, "lost");
    gate.restore(&backup);
    freeze(&gate, "after the restore");
    unfreeze(&gate, lost).exits(1);
    assert_eq!(repo(&gate)["frozen"], true);
}

#[test]
fn the_numbers_go_on_where_the_clock_went_back() {
    let gate = Gate::new();
    let ahead = 7_000_000_000_000_i64;
    gate.program().last_freeze_was(ahead);
    assert_eq!(freeze(&gate, "first"), ahead + 1);
    gate.program().run("DELETE FROM repo_freeze");
    assert_eq!(freeze(&gate, "second"), ahead + 2);
}

#[test]
fn a_freeze_is_named_by_its_number_everywhere() {
    let gate = Gate::new();
    let verb = [
        "deploy-verdict",
        "beta",
        "--verdict",
        "degraded",
        "--who",
        "ci",
        "--json",
    ];
    let of_beta = gate.run(&verb).succeeds().json()["freeze_id"]
        .as_i64()
        .unwrap();
    let number = freeze(&gate, "errors at 7 %");
    assert!(number > of_beta && number < 1 << 53);
    let program = gate.program();
    assert_eq!(numbers(&program), [of_beta, number]);
    assert_eq!(repo(&gate)["freeze"]["id"], number);
    assert!(
        gate.run(&["repo", "alpha"])
            .succeeds()
            .stdout
            .contains(&format!("(freeze {number})"))
    );
    let audit = gate
        .run(&["audit", "--limit", "1", "--json"])
        .succeeds()
        .json();
    assert_eq!(audit["subject"], format!("freeze {number}"));
    let alert = gate
        .run(&["alerts", "--json"])
        .succeeds()
        .json_lines()
        .remove(0);
    assert_eq!(alert["subject"], number);
    let of_deploy: i64 = program.one("SELECT \"freeze\" FROM serial_gate_deploy");
    assert_eq!(of_deploy, of_beta);
}

#[test]
fn a_freeze_of_another_program_has_a_number_too() {
    let gate = Gate::new();
    let program = gate.program();
    program.run("INSERT INTO repo_freeze (repo) VALUES ('alpha'), ('alpha'), ('beta')");
    let numbers = numbers(&program);
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert_eq!(repo(&gate)["freeze"]["id"], numbers[1]);
    unfreeze(&gate, numbers[0]).exits(1);
    unfreeze(&gate, numbers[1]).succeeds();
}

#[test]
fn another_program_that_adds_a_freeze_notices_no_number() {
    let gate = Gate::new();
    let program = gate.program();
    program.run("INSERT INTO repo_freeze (id, repo) VALUES (6, 'alpha')");
    let returned = "INSERT INTO repo_freeze (repo) VALUES ('alpha') RETURNING id || repo";
    assert_eq!(program.one::<String>(returned), "7alpha");
    if let Program::Sqlite(sqlite) = &program {
        assert_eq!(sqlite.last_insert_rowid(), 7);
        assert_eq!(sqlite.changes(), 1);
    }
}

#[test]
fn a_row_that_replaces_another_has_a_new_number() {
    let gate = Gate::new();
    let program = gate.program();
    let mut given = Vec::new();
    for verb in ["INSERT", "REPLACE", "INSERT OR REPLACE", "REPLACE"] {
        program.run(format!(
            "{verb} INTO repo_freeze (id, repo) VALUES (1, 'alpha')"
        ));
        given.extend(numbers(&program));
    }
    assert_eq!(given.len(), 4);
    assert!(given.is_sorted_by(|one, next| one < next), "{given:?}");
}

/// An orchestrator may keep one row for each repo.
#[test]
fn a_cleared_row_that_is_made_a_freeze_again_is_another_freeze() {
    let gate = Gate::new();
    let first = freeze(&gate, "first");
    freeze(&gate, "second");
    gate.run(&["unfreeze", "alpha"]).succeeds();
    let program = gate.program();
    let again = |reason| {
        program.run(format!(
            "UPDATE repo_freeze SET cleared_at = NULL WHERE reason = '{reason}'"
        ));
    };
    again("second");
    let second = repo(&gate)["freeze"]["id"].as_i64().unwrap();
    again("first");
    unfreeze(&gate, first).exits(1);
    unfreeze(&gate, second).exits(1);
    // The page and `repo` show the number that has to be given.
    let shown = repo(&gate)["freeze"]["id"].as_i64().unwrap();
    unfreeze(&gate, shown).succeeds();
}

#[test]
fn a_freeze_that_is_not_there_is_no_reason_to_clear_an_earlier_one() {
    let gate = Gate::new();
    freeze(&gate, "first");
    let second = freeze(&gate, "second");
    let program = gate.program();
    program.run("DELETE FROM repo_freeze WHERE reason = 'second'");
    let ran = unfreeze(&gate, second).exits(1);
    insta::assert_snapshot!(without_times(&ran.stderr), @"error: `alpha` is not held by freeze \
        (number) but by freeze (number), and nothing was cleared: look at its reason with \
        `serial-gate repo alpha`, and give `--seen (number)`");
    assert_eq!(repo(&gate)["freeze"]["reason"], "first");
}

#[test]
fn a_freeze_of_a_version_without_numbers_is_known_by_its_id() {
    let gate = Gate::new();
    freeze(&gate, "old");
    gate.program().run(
        "DROP TRIGGER serial_gate_repo_freeze_numbered;
             DROP TRIGGER serial_gate_repo_freeze_renumbered;
             DROP TABLE serial_gate_freeze_number;
             ALTER TABLE repo_freeze DROP COLUMN gate_number",
    );
    gate.run(&["init"]).succeeds();
    assert_eq!(repo(&gate)["freeze"]["id"], 1);
    unfreeze(&gate, 2).exits(1);
    unfreeze(&gate, 1).succeeds();
    freeze(&gate, "new");
    unfreeze(&gate, 2).exits(1);
}

#[test]
fn who_made_a_freeze_is_not_who_made_the_deleted_one_of_its_id() {
    let gate = adopted();
    freeze(&gate, "ours");
    let by = |gate: &Gate| {
        let mut store = gate.store();
        let freeze = store.active_freeze(Some("alpha")).unwrap().unwrap();
        store.frozen_by("alpha", &freeze).unwrap()
    };
    assert_eq!(by(&gate).as_deref(), Some("ops"));
    gate.program().run(
        "UPDATE serial_gate_audit SET subject = 'freeze 1';
             DELETE FROM repo_freeze;
             INSERT INTO repo_freeze (repo, frozen_at) VALUES ('alpha', '2001-01-01 00:00:00');
             UPDATE repo_freeze SET gate_number = NULL",
    );
    assert_eq!(by(&gate), None);
}

#[test]
fn nonsense_in_the_column_of_the_numbers_stops_no_freeze() {
    let gate = Gate::new();
    let program = gate.program();
    for nonsense in ["'x'", "9223372036854775807", "-1", "1.5", "x'00'"] {
        freeze(&gate, "one");
        if !program.takes(format!("UPDATE repo_freeze SET gate_number = {nonsense}")) {
            continue;
        }
        freeze(&gate, "two");
        gate.run(&["unfreeze", "alpha"]).succeeds();
    }
}

#[test]
fn a_freeze_from_the_future_is_said_to_be_one() {
    let gate = Gate::new();
    gate.program().run(
        "INSERT INTO repo_freeze (repo, reason, frozen_at) VALUES ('alpha', 'r', '2999-01-01 \
             00:00:00')",
    );
    for verb in [&["queue"][..], &["repo", "alpha"]] {
        let said = gate.run(verb).succeeds().stdout;
        assert!(
            said.contains("2999-01-01 00:00:00 UTC, which is ahead of this clock"),
            "{said}"
        );
    }
}

#[test]
fn a_time_that_was_never_set_is_no_time() {
    for time in [
        "'0001-01-01T00:00:00Z'",
        "'1970-01-01 00:00:00'",
        "638741862000000000",
        "791555400",
    ] {
        let gate = Gate::new();
        gate.program().run(format!(
            "INSERT INTO repo_freeze (repo, reason, frozen_at) VALUES ('alpha', 'r', {time})"
        ));
        let said = gate.run(&["queue"]).succeeds().stdout;
        assert!(said.contains("which is not a time"), "{time}: {said}");
    }
}

#[test]
fn the_queue_shows_the_number_that_an_unfreeze_takes_and_calls_a_row_a_row() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let number = freeze(&gate, "bad deploy");
    let queue = gate.run(&["queue", "--json"]).succeeds().json();
    let alpha = &queue["per_repo"]["alpha"];
    assert_eq!(alpha["freeze_id"], number);
    assert_eq!(
        alpha["waiting"][0]["verdict"]["hold"],
        serde_json::json!({ "earlier_task": null, "freeze_row": 1, "rule": null })
    );
    for verb in [&["queue"][..], &["explain", "1"]] {
        let said = gate.run(verb).stdout;
        assert!(
            said.contains(&format!("bad deploy (freeze {number})")),
            "{said}"
        );
    }
    let ran = unfreeze(&gate, 1).exits(1);
    insta::assert_snapshot!(without_times(&ran.stderr), @"error: `alpha` is not held by freeze 1 \
        but by freeze (number), and nothing was cleared: look at its reason with `serial-gate repo \
        alpha`, and give `--seen (number)`");
    unfreeze(&gate, number).succeeds();
}

#[test]
fn a_proposed_command_names_the_repo_as_a_shell_takes_it() {
    let gate = Gate::new();
    for (repo, shown) in [("my repo", "'my repo'"), ("-x", "-- -x")] {
        gate.run(&["freeze", "--new", "--reason", "r", "--", repo])
            .succeeds();
        let ran = gate.run(&["unfreeze", "--seen", "1", "--", repo]).exits(1);
        let command = format!("`serial-gate repo {shown}`");
        assert!(ran.stderr.contains(&command), "{}", ran.stderr);
    }
}
