//! The heads of the waiting lines: since when they wait, which alerts they raise, and what is
//! stored about them.

use jiff::{SignedDuration, Timestamp};
use serial_gate::gate::Rule;
use serial_gate::model::Settings;
use serial_gate::queue::{Options, Queue};
use serial_gate::store::from_sql_time;

use super::HOUR;
use crate::support::Gate;

fn noon() -> Timestamp {
    from_sql_time("2026-01-31 12:00:00").unwrap()
}

fn after(minutes: i64) -> Timestamp {
    noon() + SignedDuration::from_mins(minutes)
}

fn execute(gate: &Gate, sql: &str) {
    gate.program().run(sql);
}

/// A queued job of an orchestrator, with this text of SQL for its `created_at`.
fn add(gate: &Gate, repo: &str, created_at: &str) {
    execute(
        gate,
        &format!(
            "INSERT INTO jobs (task_id, repo, agent, status, created_at)
             VALUES (1, '{repo}', 'analyst', 'queued', {created_at})"
        ),
    );
}

fn told(queue: &mut Queue, minutes: i64) -> usize {
    queue.look_at_heads(after(minutes), Some(HOUR)).unwrap()
}

/// Nothing can be asked of what is no component.
fn break_the_policy(gate: &Gate) {
    let broken = gate.program().bytes(&[0]);
    execute(
        gate,
        &format!("UPDATE serial_gate_policy SET component = {broken}"),
    );
}

/// The notes as text: repo, job, since.
fn notes(gate: &Gate) -> Vec<(String, i64, String)> {
    let notes = "SELECT repo, job, since FROM serial_gate_head ORDER BY repo";
    let rows = gate.program().rows(notes).into_iter();
    let text = |column: &Option<String>| column.clone().unwrap();
    rows.map(|row| (text(&row[0]), text(&row[1]).parse().unwrap(), text(&row[2])))
        .collect()
}

/// Times that no correct clock can have written by noon.
const NOT_TOLD: [&str; 10] = [
    "NULL",
    "''",
    "'soon'",
    "x'00'",
    "0",
    "-1",
    "2461072",
    "'2037-01-01 00:00:00'",
    "'2037-01-01T00:00:00Z'",
    "2114380800",
];

#[test]
fn a_head_whose_row_does_not_tell_is_told_of_when_it_was_seen_for_long() {
    for created_at in NOT_TOLD {
        let gate = Gate::new();
        add(&gate, "alpha", created_at);
        let mut queue = gate.queue();
        let all = [0, 59, 60, 61].map(|minutes| told(&mut queue, minutes));
        assert_eq!(all, [0, 0, 1, 0], "{created_at}");
        let alert = gate.store().alerts(after(61), 1).unwrap().remove(0).alert;
        let seen = "since 2026-01-31 12:00:00 UTC or longer: that is when it was first seen";
        assert_eq!(alert.why, seen, "{created_at}");
    }
}

#[test]
fn a_head_whose_row_tells_is_told_of_by_its_row_and_not_noted() {
    for created_at in [
        "'2026-01-31 10:59:00'",
        "'2026-01-31T10:59:00.000Z'",
        "'2026-01-31T12:59:00+02:00'",
        "1769857140",
        "1769857140000",
    ] {
        let gate = Gate::new();
        add(&gate, "alpha", created_at);
        assert_eq!(told(&mut gate.queue(), 0), 1, "{created_at}");
        assert_eq!(notes(&gate), [], "{created_at}");
        let alert = gate.store().alerts(noon(), 1).unwrap().remove(0).alert;
        assert_eq!(alert.why, "since 2026-01-31 10:59:00 UTC", "{created_at}");
    }
}

#[test]
fn a_young_head_in_a_zone_behind_is_not_told_of() {
    let gate = Gate::new();
    add(&gate, "alpha", "'2026-01-31T03:30:00-08:00'");
    assert_eq!(told(&mut gate.queue(), 0), 0);
}

#[test]
fn a_job_with_the_id_of_a_deleted_one_is_seen_anew() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    for (task, at) in [(1, 0), (2, 90)] {
        execute(
            &gate,
            &format!(
                "DELETE FROM jobs; INSERT INTO jobs (id, task_id, repo, agent, status, created_at) VALUES (1, {task}, 'alpha', 'analyst', 'queued', NULL)"
            ),
        );
        let all = [at, at + 59, at + 60, at + 61].map(|minutes| told(&mut queue, minutes));
        assert_eq!(all, [0, 0, 1, 0], "task {task}");
    }
}

#[test]
fn a_job_that_takes_the_id_of_another_tells_by_its_own_row() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    add(&gate, "alpha", "NULL");
    assert_eq!(told(&mut queue, 0), 0);
    execute(&gate, "UPDATE jobs SET created_at = '2026-01-31 12:50:00'");
    assert_eq!(told(&mut queue, 60), 0, "ten minutes old");
    assert_eq!(notes(&gate), []);
}

#[test]
fn a_head_that_was_added_by_a_clock_a_little_ahead_is_told_of_once() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    add(&gate, "alpha", "'2026-01-31 13:30:00'");
    let all = [0, 60, 100, 151, 300].map(|minutes| told(&mut queue, minutes));
    assert_eq!(all, [0, 1, 0, 0, 0]);
}

#[test]
fn a_head_that_was_put_back_to_the_queue_is_the_same_head() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    add(&gate, "alpha", "NULL");
    assert_eq!(told(&mut queue, 0), 0);
    execute(
        &gate,
        "UPDATE jobs SET status = 'running'; UPDATE jobs SET status = 'queued'",
    );
    assert_eq!(told(&mut queue, 60), 1);
}

#[test]
fn a_note_of_a_repo_without_a_head_goes() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    for repo in ["alpha", "beta", "gamma"] {
        add(&gate, repo, "NULL");
    }
    assert_eq!(told(&mut queue, 0), 0);
    assert_eq!(notes(&gate).len(), 3);
    execute(
        &gate,
        "UPDATE jobs SET status = 'done' WHERE repo = 'alpha'; DELETE FROM jobs WHERE repo = 'beta'",
    );
    assert_eq!(told(&mut queue, 1), 0);
    let left = [("gamma".into(), 3, "2026-01-31 12:00:00".into())];
    assert_eq!(notes(&gate), left);
}

#[test]
fn the_next_head_is_noted_when_it_is_first() {
    let gate = Gate::new();
    let mut queue = gate.queue();
    add(&gate, "alpha", "NULL");
    add(&gate, "alpha", "NULL");
    told(&mut queue, 0);
    execute(&gate, "DELETE FROM jobs WHERE id = 1");
    told(&mut queue, 30);
    assert_eq!(
        notes(&gate),
        [("alpha".into(), 2, "2026-01-31 12:30:00".into())]
    );
}

#[test]
fn a_note_of_a_clock_ahead_is_written_anew() {
    for since in ["2037-01-01 00:00:00", "soon", ""] {
        let gate = Gate::new();
        let mut queue = gate.queue();
        add(&gate, "alpha", "NULL");
        told(&mut queue, 0);
        execute(
            &gate,
            &format!("UPDATE serial_gate_head SET since = '{since}'"),
        );
        told(&mut queue, 1);
        assert_eq!(notes(&gate)[0].2, "2026-01-31 12:01:00", "{since}");
    }
}

#[test]
fn a_restored_note_is_about_the_head_that_was_restored_with_it() {
    let gate = Gate::new();
    add(&gate, "alpha", "NULL");
    told(&mut gate.queue(), 0);
    let backup = gate.backup();
    execute(&gate, "DELETE FROM jobs");
    told(&mut gate.queue(), 10);
    gate.restore(&backup);
    assert_eq!(told(&mut gate.queue(), 60), 1);
}

#[test]
fn two_who_look_at_once_write_one_note_and_one_alert() {
    let gate = Gate::new();
    for number in 0..20 {
        add(&gate, &format!("repo-{number}"), "NULL");
    }
    for (minutes, alerts) in [(0, 0), (60, 20)] {
        let told: usize = std::thread::scope(|scope| {
            let looks: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| told(&mut gate.queue(), minutes)))
                .collect();
            looks.into_iter().map(|look| look.join().unwrap()).sum()
        });
        assert_eq!(told, alerts);
    }
    assert!(
        notes(&gate)
            .iter()
            .all(|note| note.2 == "2026-01-31 12:00:00")
    );
}

#[test]
fn two_who_look_by_different_rules_do_not_disturb_each_other() {
    let gate = Gate::new();
    for agent in ["analyst", "planner"] {
        add(&gate, "alpha", "NULL");
        let last = "(SELECT max(id) FROM jobs)";
        execute(
            &gate,
            &format!("UPDATE jobs SET agent = '{agent}' WHERE id = {last}"),
        );
    }
    let settings = Settings {
        enabled: true,
        repos: String::new(),
        freeze_enabled: true,
        rules: Some(r#"{"gated_agents":["planner"]}"#.into()),
    };
    let other = Rule::built_in(settings);
    let mut other = Queue::open(gate.place(), other, Options::default()).unwrap();
    let mut queue = gate.queue();
    for minutes in [0, 20, 40] {
        let both = [told(&mut queue, minutes), told(&mut other, minutes)];
        assert_eq!(both, [0, 0], "{minutes}");
    }
    assert_eq!([told(&mut queue, 60), told(&mut other, 60)], [1, 1]);
}

#[test]
fn a_look_that_finds_nothing_new_takes_no_write_lock() {
    let gate = Gate::new();
    add(&gate, "alpha", "NULL");
    add(&gate, "beta", "'2026-01-31 10:00:00'");
    let mut queue = gate.queue();
    assert_eq!(told(&mut queue, 0), 1);
    let other = gate.program();
    other.begin_alone();
    // It would wait for the lock, and fail in the end.
    assert_eq!(told(&mut queue, 1), 0);
}

#[test]
fn without_a_limit_a_head_is_noted_and_nobody_is_told() {
    let gate = Gate::new();
    add(&gate, "alpha", "NULL");
    let mut queue = gate.queue();
    assert_eq!(queue.look_at_heads(noon(), None).unwrap(), 0);
    assert_eq!(queue.look_at_heads(after(600), None).unwrap(), 0);
    assert_eq!(notes(&gate).len(), 1);
}

#[test]
fn the_head_is_the_first_job_of_an_agent_that_the_rule_gates() {
    let settings = |enabled, rules: Option<&str>| Settings {
        enabled,
        repos: "elsewhere".into(),
        freeze_enabled: false,
        rules: rules.map(Into::into),
    };
    for (rules, heads) in [
        (None, [1, 4]),
        (Some(r#"{"gated_agents":["planner"]}"#), [2, 5]),
        (Some(r#"{"gated_agents":["planner","analyst"]}"#), [1, 4]),
    ] {
        for enabled in [true, false] {
            let gate = Gate::new();
            for repo in ["alpha", "beta"] {
                for agent in ["'analyst'", "'planner'", "NULL"] {
                    add(&gate, repo, "NULL");
                    execute(
                        &gate,
                        &format!(
                            "UPDATE jobs SET agent = {agent} WHERE id = (SELECT max(id) FROM jobs)"
                        ),
                    );
                }
            }
            let rule = Rule::built_in(settings(enabled, rules));
            let mut queue = Queue::open(gate.place(), rule, Options::default()).unwrap();
            told(&mut queue, 0);
            let noted: Vec<i64> = notes(&gate).iter().map(|note| note.1).collect();
            assert_eq!(noted, heads, "{rules:?}, switched on: {enabled}");
        }
    }
}

#[test]
fn a_policy_that_cannot_be_asked_takes_no_line_out_of_sight() {
    let gate = Gate::new();
    add(&gate, "alpha", "'2026-01-31 10:00:00'");
    break_the_policy(&gate);
    assert_eq!(told(&mut gate.queue(), 0), 1);
}

#[test]
fn a_policy_that_cannot_be_asked_any_more_has_the_lines_of_its_last_good_clause() {
    let planner = ["--rules", r#"{"gated_agents":["planner"]}"#];
    for switches in [
        &[][..],
        &["--enabled", "false"],
        &["--freeze-enabled", "false"],
    ] {
        let gate = Gate::new();
        let set = |settings: &[&str]| {
            let settings = [&["policy", "settings", "--reason", "r"], settings].concat();
            gate.run(&settings).succeeds();
        };
        set(&planner);
        add(&gate, "alpha", "'2026-01-31 10:00:00'");
        execute(&gate, "UPDATE jobs SET agent = 'planner'");
        // A claim keeps the clause.
        gate.run(&["claim", "--agent", "reviewer"]).exits(3);
        if !switches.is_empty() {
            set(switches);
        }
        break_the_policy(&gate);
        assert_eq!(told(&mut gate.queue(), 0), 1, "{switches:?}");
    }
}
