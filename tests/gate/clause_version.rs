//! The version of the clause: what a program that splices a kept clause compares to know that there
//! is another one.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use serial_gate::policy::DEFAULT_POLICY;
use serial_gate::store::{Actor, GenerationState, Missing, NewGeneration, Seen, Store};

use crate::support::Gate;
use crate::support::engine::Program;

/// What `clause --json` says.
fn fetch(gate: &Gate) -> (String, i64) {
    let clause = gate.run(&["clause", "--json"]).succeeds().json();
    let text = clause["text"].as_str().unwrap().to_owned();
    (text, clause["version"].as_i64().expect("a version"))
}

/// What an orchestrator compares.
fn version(program: &Program) -> i64 {
    program.one("SELECT version FROM serial_gate_clause_version")
}

fn change_rules(gate: &Gate, rules: &str) {
    gate.run(&["policy", "settings", "--rules", rules, "--reason", "r"])
        .succeeds();
}

fn actor() -> Actor<'static> {
    Actor {
        now: Timestamp::now(),
        who: "tests",
        why: "it trapped",
    }
}

/// Makes the policy active once more, with other limits, and returns the generation before and the
/// new one.
fn activate(store: &mut Store) -> serial_gate::store::Generation {
    let before = store
        .generation_in(GenerationState::Active)
        .unwrap()
        .unwrap();
    let component = store.component(&before.digest).unwrap().unwrap();
    let new = NewGeneration {
        component: &component,
        signature: None,
        digest: &before.digest,
        name: "other",
        version: "1",
        settings: &before.settings,
        limits: &before.limits,
    };
    let other = store.add_candidate(new, actor()).unwrap();
    let seen = Seen {
        generation: &other,
        active: Some(&before),
    };
    store.put(GenerationState::Active, seen, actor()).unwrap();
    other
}

#[test]
fn every_change_of_the_policy_or_its_settings_gives_a_greater_number() {
    let gate = Gate::new();
    let mut store = gate.store();
    let mut seen = vec![fetch(&gate).1];
    let mut note = || seen.push(fetch(&gate).1);
    change_rules(&gate, r#"{"gated_agents":["planner"]}"#);
    note();
    gate.run(&["policy", "rollback", "--reason", "r"])
        .succeeds();
    note();
    let other = [DEFAULT_POLICY, &[0, 4, 1, b'x', b'y', b'z']].concat();
    gate.write("other.wasm", other);
    gate.run(&["policy", "swap", "other.wasm", "--reason", "r"])
        .succeeds();
    note();
    gate.run(&["policy", "settings", "--enabled", "false", "--reason", "r"])
        .succeeds();
    note();
    let failing = activate(&mut store);
    note();
    let back = store.failed_in_use(&failing, 1, Timestamp::UNIX_EPOCH, actor());
    assert!(back.unwrap().is_some(), "it is rolled back");
    note();
    assert!(
        seen.is_sorted_by(|before, after| before < after),
        "{seen:?}"
    );
}

#[test]
fn another_program_s_change_of_the_active_generation_gives_another_number() {
    let gate = Gate::new();
    let connection = gate.program();
    let mut seen = BTreeSet::from([version(&connection)]);
    for change in [
        "UPDATE serial_gate_generation SET settings = settings || ' '",
        "UPDATE serial_gate_generation SET digest = 'x' WHERE state = 'active'",
        "UPDATE serial_gate_generation SET state = 'retired'",
        "UPDATE serial_gate_generation SET state = 'active'",
        "DELETE FROM serial_gate_generation",
        "INSERT INTO serial_gate_generation (digest, name, version, settings, limits, state) VALUES ('', '', '', '', '', 'active')",
    ] {
        connection.run(change);
        assert!(seen.insert(version(&connection)), "{change}");
    }
}

#[test]
fn what_changes_no_clause_leaves_the_number_as_it_is() {
    let gate = Gate::new();
    let before = fetch(&gate);
    gate.run(&["task", "add", "alpha"]).succeeds();
    gate.run(&["freeze", "alpha", "--reason", "r"]).succeeds();
    gate.run(&["claim", "--agent", "reviewer"]).exits(3);
    gate.run(&["policy", "shadow", "built-in", "--reason", "r"])
        .succeeds();
    gate.run(&["init"]).succeeds();
    assert_eq!(fetch(&gate), before);
}

#[test]
fn a_number_does_not_come_again_when_a_backup_is_restored_and_changed() {
    let gate = Gate::new();
    let backup = gate.backup();
    change_rules(&gate, r#"{"gated_agents":["planner"]}"#);
    let lost = fetch(&gate);
    gate.restore(&backup);
    change_rules(&gate, r#"{"gated_agents":["reviewer"]}"#);
    let now = fetch(&gate);
    assert!(now.1 > lost.1, "{now:?} after {lost:?}");
}

#[test]
fn a_trigger_that_was_missing_makes_every_kept_clause_doubtful() {
    let gate = Gate::new();
    let mut host = gate.store();
    let drop_it = || {
        gate.program()
            .drop_trigger("serial_gate_generation_changed")
    };
    let first = fetch(&gate).1;
    drop_it();
    gate.run(&["init"]).succeeds();
    let second = fetch(&gate).1;
    drop_it();
    assert_eq!(host.restore_triggers().unwrap().len(), 1);
    let third = fetch(&gate).1;
    assert!(first < second && second < third, "{first} {second} {third}");
}

#[test]
fn without_a_queue_there_is_no_number() {
    let clause = Gate::folder().run(&["clause", "--json"]).succeeds().json();
    assert_eq!(clause["version"], Value::Null);
}

#[test]
fn what_this_command_was_told_changes_the_text_and_not_the_number() {
    let gate = Gate::new();
    let (text, version) = fetch(&gate);
    let told = gate
        .run(&["clause", "--json", "--repos", "alpha"])
        .succeeds()
        .json();
    assert_ne!(told["text"], text.as_str());
    assert_eq!(told["version"], version);
}

/// An orchestrator in any language: it keeps a clause, and fetches it anew when the number is
/// another one.
struct Orchestrator<'a> {
    gate: &'a Gate,
    program: Program,
    kept: (String, i64),
    fetched: usize,
}

impl Orchestrator<'_> {
    fn new(gate: &Gate) -> Orchestrator<'_> {
        Orchestrator {
            gate,
            program: gate.program(),
            kept: fetch(gate),
            fetched: 1,
        }
    }

    fn claim(&mut self) -> Option<i64> {
        loop {
            self.program.begin_alone();
            let (clause, version_of_clause) = &self.kept;
            if version(&self.program) == *version_of_clause {
                let claim = format!(
                    "UPDATE jobs SET status = 'running' WHERE id =
                        (SELECT id FROM jobs WHERE status = 'queued' {clause} ORDER BY id LIMIT 1) RETURNING id"
                );
                let claimed = self.program.maybe(claim);
                self.program.run("COMMIT");
                return claimed;
            }
            self.program.run("ROLLBACK");
            self.kept = fetch(self.gate);
            self.fetched += 1;
        }
    }
}

#[test]
fn an_orchestrator_that_keeps_the_clause_follows_a_swap_by_the_number() {
    let gate = Gate::new();
    for _ in 0..3 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let mut orchestrator = Orchestrator::new(&gate);
    assert_eq!(orchestrator.claim(), Some(1));
    assert_eq!(orchestrator.claim(), None, "task 1 comes first");
    change_rules(&gate, r#"{"gated_agents":["planner"]}"#);
    assert_eq!(orchestrator.claim(), Some(2), "analysts are free now");
    gate.run(&["policy", "rollback", "--reason", "r"])
        .succeeds();
    assert_eq!(orchestrator.claim(), None);
    assert_eq!(orchestrator.claim(), None);
    assert_eq!(orchestrator.fetched, 3);
}

#[test]
fn a_row_that_is_lost_or_odd_is_told_and_put_right_with_a_greater_number() {
    for damage in [
        "DELETE FROM serial_gate_clause_version",
        "UPDATE serial_gate_clause_version SET version = 'abc'",
        // PostgreSQL makes a whole number of another one.
        "UPDATE serial_gate_clause_version SET version = -1.5",
        "INSERT INTO serial_gate_clause_version VALUES (7)",
        "DELETE FROM serial_gate_clause_version;
         INSERT INTO serial_gate_clause_version VALUES (9223372036854775807)",
    ] {
        for mend in ["init", "doctor"] {
            let gate = Gate::new();
            let before = version(&gate.program());
            if !gate.program().takes(damage) {
                continue;
            }
            let ran = gate.run(&[mend]);
            assert!(
                ran.stdout.contains("serial_gate_clause_version"),
                "{damage} {mend}: {}",
                ran.stdout
            );
            let rows = "SELECT count(*) FROM serial_gate_clause_version";
            let rows: i64 = gate.program().one(rows);
            assert_eq!(rows, 1, "{damage} {mend}");
            assert!(version(&gate.program()) > before, "{damage} {mend}");
            let again = gate.run(&["doctor"]).succeeds().stdout;
            assert!(!again.contains("restored"), "{damage} {mend}: {again}");
        }
    }
}

#[test]
fn a_service_says_that_the_row_is_lost() {
    let gate = Gate::new();
    let mut store = gate.store();
    gate.program().run("DELETE FROM serial_gate_clause_version");
    let lost = Missing::Row("serial_gate_clause_version".into());
    assert_eq!(store.missing().unwrap(), [lost]);
}

#[test]
fn a_generation_that_is_replaced_has_another_number() {
    for replace in [
        "INSERT OR REPLACE INTO serial_gate_generation
         SELECT * FROM changed WHERE id = (SELECT id FROM serial_gate_generation WHERE state = 'active')",
        "INSERT INTO serial_gate_generation SELECT * FROM changed WHERE FALSE;
         UPDATE OR REPLACE serial_gate_generation SET id = (SELECT id FROM serial_gate_generation WHERE state = 'active')
         WHERE state != 'active'",
    ] {
        let gate = Gate::new();
        change_rules(&gate, r#"{"gated_agents":["planner"]}"#);
        let connection = gate.program();
        connection
            .run("CREATE TEMP TABLE changed AS SELECT * FROM serial_gate_generation;
                 UPDATE changed SET state = 'retired'");
        let before = version(&connection);
        connection.run(replace);
        assert!(version(&connection) > before, "{replace}");
    }
}

#[test]
fn the_text_belongs_to_the_number_while_the_settings_change() {
    let gate = Gate::new();
    let mut of_number: Vec<(i64, String)> = Vec::new();
    std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for agent in ["a", "b", "c", "d", "e"] {
                change_rules(&gate, &format!(r#"{{"gated_agents":["{agent}"]}}"#));
            }
        });
        while !changes.is_finished() {
            let (text, number) = fetch(&gate);
            of_number.push((number, text));
        }
    });
    of_number.sort();
    of_number.dedup();
    let numbers: BTreeSet<i64> = of_number.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), of_number.len(), "{of_number:?}");
}
