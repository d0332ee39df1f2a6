//! Generations: what claims go by, how that changes, and how one goes back.

use std::time::Duration;

use serde_json::json;
use serial_gate::gate::{Overrides, Rule, Source, default_settings, stored};
use serial_gate::model::Settings;
use serial_gate::policy::{Allowance, DEFAULT_POLICY};
use serial_gate::queue::{Options, Queue};
use serial_gate::rollout::{self, Place, Proposal};
use serial_gate::store::{self, GenerationState, NewGeneration, Seen};

use crate::support::Gate;
use crate::support::hostile::DECIDE_ALL;
use crate::support::hostile::{HARMLESS, Hostile, clause_at};
use crate::support::proposals::{actor, at, proposal, traps_from};
use crate::support::service::Service;

const LEASE: Duration = Duration::from_secs(60);

/// A host that has claimed the first of two tasks of a repo, and found the second held.
fn with_a_held_task(gate: &Gate) -> Queue {
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let mut host = gate.queue();
    assert!(host.claim(at(0), "w", LEASE).unwrap().is_some());
    assert_eq!(host.claim(at(0), "w", LEASE).unwrap(), None);
    host
}

/// Makes a proposal the active generation.
fn activate(gate: &Gate, proposal: &Proposal) {
    rollout::swap(&mut gate.queue(), proposal, Place::Active, actor(at(1_000))).unwrap();
}

#[test]
fn a_queue_begins_with_the_built_in_policy() {
    let gate = Gate::new();
    let shown = gate.run(&["policy", "show", "--json"]).succeeds().json();
    assert_eq!(
        (&shown["generation"], &shown["name"], &shown["state"]),
        (&1.into(), &"serial".into(), &"active".into())
    );
    gate.run(&["policy", "export", "1", "exported.wasm"])
        .succeeds();
    let exported = std::fs::read(gate.path("exported.wasm")).unwrap();
    assert_eq!(exported, DEFAULT_POLICY);
}

#[test]
fn what_init_was_told_is_what_everybody_goes_by() {
    let gate = Gate::empty();
    gate.run(&["init", "--repos", "alpha"]).succeeds();
    for repo in ["beta", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate.run(&["claim"]).succeeds();
    gate.run(&["claim"]).succeeds();
}

#[test]
fn a_command_may_be_told_otherwise_than_its_generation_says() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.run(&["claim"]).succeeds();
    gate.run(&["claim"]).exits(3);
    gate.run(&["claim", "--enabled", "false"]).succeeds();
}

#[test]
fn a_claim_and_a_freeze_record_their_generation() {
    let gate = Gate::new();
    gate.run(&[
        "policy", "settings", "--repos", "alpha", "--new", "--reason", "r",
    ])
    .succeeds();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let claimed = gate.run(&["claim", "--json"]).succeeds().json();
    assert_eq!(claimed["generation"], 2);
    gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
        .succeeds();
    let of = |table| {
        let sql = format!("SELECT gate_generation FROM {table}");
        gate.program().one::<i64>(sql)
    };
    assert_eq!((of("jobs"), of("repo_freeze")), (2, 2));
}

#[test]
fn a_policy_that_is_refused_changes_nothing_and_stays_in_the_history() {
    let gate = Gate::new();
    let holds_all = Hostile {
        decide: DECIDE_ALL,
        claim_clause: clause_at!("4096", "9"),
        module: r#"(global $verdict i32 (i32.const 1)) (data (i32.const 4096) "AND FALSE")"#,
        ..HARMLESS
    };
    gate.write("bad.wasm", holds_all.component());
    let ran = gate
        .run(&["policy", "swap", "bad.wasm", "--reason", "r"])
        .exits(1);
    assert!(
        ran.stdout
            .ends_with("generation 2 (`` ) is refused: nothing has changed\n"),
        "{}",
        ran.stdout
    );
    let mut queue = gate.queue();
    assert_eq!(queue.generation(), Some(1));
    let refused = queue.store().generation(2).unwrap();
    assert_eq!(refused.state, GenerationState::Refused);
    assert_eq!(queue.store().component(&refused.digest).unwrap(), None);
    let [newest, ..] = &queue.store().generation_events(Some(2)).unwrap()[..] else {
        panic!("no event")
    };
    assert!(newest.why.starts_with("progress: "), "{}", newest.why);
}

#[test]
fn what_is_no_policy_is_not_stored_at_all() {
    let gate = Gate::new();
    gate.write("junk.wasm", "#!/bin/sh");
    let ran = gate
        .run(&["policy", "swap", "junk.wasm", "--reason", "r"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @r"
    error: not a usable policy
      because not WebAssembly: give the `.wasm` file of a component
    ");
    assert_eq!(gate.queue().store().generations().unwrap().len(), 1);
}

#[test]
fn a_swap_that_would_change_nothing_says_so() {
    let gate = Gate::new();
    let ran = gate
        .run(&["policy", "swap", "built-in", "--reason", "r"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: generation 1 is this policy with these settings already: nothing was changed");
}

#[test]
fn a_rollback_goes_to_the_generation_before_or_to_a_chosen_one() {
    let gate = Gate::new();
    for repos in ["alpha", "beta"] {
        gate.run(&[
            "policy", "settings", "--repos", repos, "--new", "--reason", "r",
        ])
        .succeeds();
    }
    let rollback = |arguments: &[&str]| {
        let all = [&["policy", "rollback", "--reason", "r"], arguments].concat();
        gate.run(&all)
    };
    rollback(&[]).succeeds();
    assert_eq!(gate.queue().generation(), Some(2));
    assert_eq!(gate.queue().settings().repos, "alpha");
    rollback(&["1"]).succeeds();
    assert_eq!(gate.queue().generation(), Some(1));
    insta::assert_snapshot!(rollback(&["1"]).exits(1).stderr, @"error: generation 1 is the active one already");
    insta::assert_snapshot!(rollback(&["9"]).exits(1).stderr, @"error: there is no generation 9: `serial-gate policy history` lists them");
}

#[test]
fn there_is_nothing_before_the_first_generation() {
    let gate = Gate::new();
    let ran = gate.run(&["policy", "rollback", "--reason", "r"]).exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: there is no generation before the active one: `serial-gate policy history` lists them");
}

#[test]
fn a_generation_that_was_never_active_cannot_be_rolled_back_to() {
    let gate = Gate::new();
    gate.run(&[
        "policy", "shadow", "built-in", "--repos", "a", "--new", "--reason", "r",
    ])
    .succeeds();
    let ran = gate
        .run(&["policy", "rollback", "2", "--reason", "r"])
        .exits(1);
    insta::assert_snapshot!(ran.stderr, @"error: generation 2 was never active, so it cannot be rolled back to: `serial-gate policy swap` a file that is to be active");
}

#[test]
fn a_running_host_follows_a_swap_and_claims_on_meanwhile() {
    let gate = Gate::new();
    let mut host = with_a_held_task(&gate);
    gate.run(&["policy", "settings", "--enabled", "false", "--reason", "r"])
        .succeeds();
    let claimed = std::iter::repeat_with(|| host.claim(at(1), "w", LEASE).unwrap())
        .take(10_000)
        .find_map(|claimed| {
            std::thread::sleep(Duration::from_millis(1));
            claimed
        });
    assert_eq!(claimed.unwrap().generation, Some(2));
}

#[test]
fn a_host_follows_a_swap_of_its_own() {
    let gate = Gate::new();
    let mut host = with_a_held_task(&gate);
    let off = Proposal {
        settings: Settings {
            enabled: false,
            ..default_settings()
        },
        ..proposal(&gate, DEFAULT_POLICY.to_vec())
    };
    rollout::swap(&mut host, &off, Place::Active, actor(at(0))).unwrap();
    // It was compiled for its check.
    let claimed = host.claim(at(0), "w", LEASE).unwrap();
    assert_eq!(claimed.unwrap().generation, Some(2));
}

#[test]
fn a_policy_that_fails_in_use_is_rolled_back_by_itself() {
    let gate = Gate::new();
    let mut operator = gate.queue();
    let swapped = rollout::swap(
        &mut operator,
        &proposal(&gate, traps_from("100005000")),
        Place::Active,
        actor(at(1_000)),
    )
    .unwrap();
    assert!(swapped.is_accepted(), "{:?}", swapped.stages);
    let sources = [100_005_000, 100_005_001, 100_005_002].map(|second| {
        let mut host = gate.queue();
        host.claim(at(second), "w", LEASE).unwrap();
        let source = host.clause(at(second)).unwrap().source;
        (source, host.generation())
    });
    assert_eq!(
        sources,
        [
            (Source::FreezeOnly, Some(2)),
            (Source::FreezeOnly, Some(2)),
            (Source::Policy, Some(1)),
        ]
    );
    let failed = operator.store().generation(2).unwrap();
    assert_eq!(failed.state, GenerationState::Refused);
    let events = operator.store().generation_events(Some(1)).unwrap();
    assert!(
        events[0].why.starts_with(
            "generation 2 failed 3 times in use: the policy failed: `claim-clause` trapped"
        ),
        "{}",
        events[0].why
    );
}

#[test]
fn failures_that_are_long_past_do_not_count() {
    let gate = Gate::new();
    let proposal = proposal(&gate, traps_from("100005000"));
    activate(&gate, &proposal);
    for second in [100_005_000, 100_005_001, 100_006_000, 100_006_001] {
        gate.queue().claim(at(second), "w", LEASE).unwrap();
    }
    assert_eq!(gate.queue().generation(), Some(2));
}

#[test]
fn a_running_host_stays_with_the_good_generation_when_the_new_one_fails() {
    let gate = Gate::new();
    let mut host = gate.queue();
    host.clause(at(0)).unwrap();
    let proposal = proposal(&gate, traps_from("100005000"));
    activate(&gate, &proposal);
    for second in 100_005_000..100_005_010 {
        host.claim(at(second), "w", LEASE).unwrap();
        assert_eq!(host.clause(at(second)).unwrap().source, Source::Policy);
        assert_eq!(host.generation(), Some(1));
        std::thread::sleep(Duration::from_millis(100));
    }
    let failed = host.store().generation(2).unwrap();
    assert_eq!(failed.state, GenerationState::Refused);
}

#[test]
fn a_component_that_was_altered_in_the_database_is_not_used() {
    let gate = Gate::new();
    let program = gate.program();
    let altered = program.bytes(&traps_from("0"));
    program.run(format!(
        "UPDATE serial_gate_policy SET component = {altered}"
    ));
    let mut host = gate.queue();
    let clause = host.clause(at(0)).unwrap();
    assert_eq!(clause.source, Source::FreezeOnly);
    assert!(
        clause.notes[0].contains("was altered in the database"),
        "{:?}",
        clause.notes
    );
}

#[test]
fn a_queue_whose_generations_are_gone_keeps_frozen_repos_closed() {
    let gate = Gate::new();
    for repo in ["alpha", "beta"] {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate.run(&["freeze", "alpha", "--new", "--reason", "r"])
        .succeeds();
    gate.program().run("DELETE FROM serial_gate_generation");
    let mut host = gate.queue();
    assert_eq!(host.claimable(at(0)).unwrap(), [2]);
}

#[test]
fn limits_are_a_generation_s_own() {
    let gate = Gate::new();
    gate.run(&[
        "policy",
        "settings",
        "--clause-ms",
        "70",
        "--memory-mib",
        "32",
        "--reason",
        "r",
    ])
    .succeeds();
    let shown = gate.run(&["policy", "show", "--json"]).succeeds().json();
    assert_eq!(
        shown["limits"].to_string(),
        serde_json::from_str::<serde_json::Value>(&stored(&Allowance {
            clause_ms: 70,
            memory_mib: 32,
            ..Allowance::default()
        }))
        .unwrap()
        .to_string()
    );
    let too_little = gate
        .run(&["policy", "settings", "--memory-mib", "1", "--reason", "r"])
        .exits(1);
    insta::assert_snapshot!(too_little.stderr, @r"
    error: not a usable policy
      because `describe` wanted more memory than its 1 MiB
    ");
}

#[test]
fn whoever_only_looks_at_a_failing_policy_rolls_nothing_back() {
    let gate = Gate::new();
    let proposal = proposal(&gate, traps_from("100005000"));
    activate(&gate, &proposal);
    for second in 100_005_000..100_005_010 {
        gate.queue().clause(at(second)).unwrap();
    }
    assert_eq!(gate.queue().generation(), Some(2));
}

#[test]
fn a_process_with_settings_of_its_own_rolls_nobody_s_policy_back() {
    let gate = Gate::new();
    let proposal = proposal(&gate, traps_from("100005000"));
    activate(&gate, &proposal);
    let overrides = Overrides {
        repos: Some("alpha".into()),
        ..Overrides::default()
    };
    for second in 100_005_000..100_005_010 {
        let rule = Rule::Active(overrides.clone());
        let mut host = Queue::open(gate.place(), rule, Options::default()).unwrap();
        host.claim(at(second), "w", LEASE).unwrap();
    }
    assert_eq!(gate.queue().generation(), Some(2));
}

#[test]
fn a_claim_under_settings_of_its_own_records_no_generation() {
    let gate = Gate::new();
    gate.run(&["task", "add", "alpha"]).succeeds();
    let claimed = gate.run(&["claim", "--json", "--enabled", "false"]);
    assert_eq!(
        claimed.succeeds().json()["generation"],
        serde_json::Value::Null
    );
}

#[test]
fn a_swap_that_was_checked_against_another_generation_undoes_nothing() {
    let gate = Gate::new();
    let mut operator = gate.queue();
    let stale = proposal(&gate, traps_from("9000000000"));
    gate.run(&[
        "policy",
        "settings",
        "--repos",
        "alpha",
        "--new",
        "--reason",
        "meanwhile",
    ])
    .succeeds();
    let error = rollout::swap(&mut operator, &stale, Place::Active, actor(at(1_000))).unwrap_err();
    insta::assert_snapshot!(error, @"the policy or its settings changed in the meantime; nothing was written");
    assert_eq!(gate.queue().generation(), Some(2));
    let left = operator.store().generation(3).unwrap();
    assert_eq!(left.state, GenerationState::Refused);
}

#[test]
fn a_shadow_that_was_stopped_meanwhile_is_not_promoted() {
    let gate = Gate::new();
    let arguments = [
        "policy", "shadow", "built-in", "--repos", "a", "--new", "--reason", "r",
    ];
    gate.run(&arguments).succeeds();
    let mut operator = gate.queue();
    let [shadow, active] = [2, 1].map(|id| operator.store().generation(id).unwrap());
    let seen = Seen {
        generation: &shadow,
        active: Some(&active),
    };
    operator.store_mut().stop_shadow(actor(at(0))).unwrap();
    let put = operator
        .store_mut()
        .put(GenerationState::Active, seen, actor(at(0)));
    assert!(matches!(put, Err(store::Error::Meanwhile)), "{put:?}");
    assert_eq!(gate.queue().generation(), Some(1));
}

#[test]
fn a_rollback_never_returns_to_what_was_rolled_back_from() {
    let gate = Gate::new();
    for repos in ["alpha", "beta"] {
        gate.run(&[
            "policy", "settings", "--repos", repos, "--new", "--reason", "r",
        ])
        .succeeds();
    }
    for before in [2, 1] {
        gate.run(&["policy", "rollback", "--reason", "r"])
            .succeeds();
        assert_eq!(gate.queue().generation(), Some(before));
    }
    gate.run(&["policy", "rollback", "--reason", "r"]).exits(1);
}

#[test]
fn an_altered_component_is_mended_by_a_swap_of_its_file() {
    let gate = Gate::new();
    let program = gate.program();
    let nothing = program.bytes(&[0]);
    program.run(format!(
        "UPDATE serial_gate_policy SET component = {nothing}"
    ));
    gate.run(&["policy", "export", "1", "x.wasm"]).exits(1);
    gate.run(&["policy", "swap", "built-in", "--reason", "mend"])
        .succeeds();
    let mut host = gate.queue();
    assert_eq!(host.clause(at(0)).unwrap().source, Source::Policy);
}

#[test]
fn a_component_that_is_gone_leaves_its_last_good_clause() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    gate.run(&["claim"]).succeeds();
    gate.program().run("DELETE FROM serial_gate_policy");
    let mut host = gate.queue();
    assert_eq!(host.claim(at(0), "w", LEASE).unwrap(), None);
    assert_eq!(host.clause(at(0)).unwrap().source, Source::LastGood);
}

#[test]
fn limits_that_cannot_be_read_leave_the_settings_as_they_are() {
    let gate = Gate::new();
    gate.run(&["policy", "settings", "--enabled", "false", "--reason", "r"])
        .succeeds();
    gate.program()
        .run("UPDATE serial_gate_generation SET limits = '{', name = ''");
    assert!(!gate.queue().settings().enabled);
    gate.run(&["policy", "history"]).succeeds();
}

#[test]
fn a_component_that_was_active_once_is_kept_when_it_is_refused_again() {
    let gate = Gate::new();
    let mut operator = gate.queue();
    let traps = proposal(&gate, traps_from("100005000"));
    rollout::swap(&mut operator, &traps, Place::Active, actor(at(1_000))).unwrap();
    rollout::roll_back(&mut operator, Some(1), None, actor(at(2_000))).unwrap();
    let refused =
        rollout::swap(&mut operator, &traps, Place::Active, actor(at(100_006_000))).unwrap();
    assert!(!refused.is_accepted());
    let digest = operator.store().generation(2).unwrap().digest;
    assert!(operator.store().component(&digest).unwrap().is_some());
}

#[test]
fn a_limit_of_time_has_an_end() {
    let gate = Gate::new();
    let endless = u64::MAX.to_string();
    gate.run(&[
        "policy",
        "settings",
        "--decide-ms",
        &endless,
        "--reason",
        "r",
    ])
    .exits(2);
    gate.program().run(
        r#"UPDATE serial_gate_generation
           SET limits = '{"clause_ms":18446744073709551615,"decide_ms":18446744073709551615}'"#,
    );
    gate.run(&["queue"]).succeeds();
}

/// A generation beside the active one, under other settings.
fn candidate(queue: &mut Queue, repos: &str) -> serial_gate::store::Generation {
    let active = queue.store().generation(1).unwrap();
    let component = queue.store().component(&active.digest).unwrap().unwrap();
    let new = NewGeneration {
        component: &component,
        signature: None,
        digest: &active.digest,
        name: "serial",
        version: "1",
        settings: &active
            .settings
            .replace(r#""repos":"""#, &format!(r#""repos":"{repos}""#)),
        limits: &active.limits,
    };
    queue.store_mut().add_candidate(new, actor(at(0))).unwrap()
}

#[test]
fn a_candidate_that_is_another_one_by_now_is_neither_activated_nor_refused() {
    let gate = Gate::new();
    let mut operator = gate.queue();
    let seen = candidate(&mut operator, "alpha");
    let active = operator.store().generation(1).unwrap();
    // The same number with other settings, as in a restored backup.
    let restore = "UPDATE serial_gate_generation SET settings = replace(settings, 'alpha', 'beta') WHERE id = 2";
    assert_eq!(gate.program().run(restore), 1);
    let store = operator.store_mut();
    let of_both = Seen {
        generation: &seen,
        active: Some(&active),
    };
    let put = store.put(GenerationState::Active, of_both, actor(at(0)));
    assert!(matches!(put, Err(store::Error::Meanwhile)), "{put:?}");
    let refused = store.refuse_candidate(&seen, actor(at(0)));
    assert!(
        matches!(refused, Err(store::Error::Meanwhile)),
        "{refused:?}"
    );
    let kept = store.generation(2).unwrap();
    assert_eq!(kept.state, GenerationState::Candidate);
}

#[test]
fn a_candidate_is_not_activated_over_an_active_one_that_was_not_seen() {
    let gate = Gate::new();
    let mut operator = gate.queue();
    let seen = candidate(&mut operator, "alpha");
    let active = operator.store().generation(1).unwrap();
    let restore = "UPDATE serial_gate_generation SET limits = '{}' WHERE id = 1";
    gate.program().run(restore);
    let of_both = Seen {
        generation: &seen,
        active: Some(&active),
    };
    let store = operator.store_mut();
    let put = store.put(GenerationState::Active, of_both, actor(at(0)));
    assert!(matches!(put, Err(store::Error::Meanwhile)), "{put:?}");
}

#[test]
fn a_failure_is_not_counted_against_another_generation_of_its_number() {
    let gate = Gate::new();
    gate.run(&[
        "policy", "settings", "--repos", "alpha", "--new", "--reason", "r",
    ])
    .succeeds();
    let mut store = gate.queue();
    let store = store.store();
    let failed = store.generation(2).unwrap();
    let restore = "UPDATE serial_gate_generation SET settings = replace(settings, 'alpha', 'beta')";
    gate.program().run(restore);
    let back = store.failed_in_use(&failed, 1, at(0), actor(at(1)));
    assert_eq!(back.unwrap(), None);
    assert_eq!(store.failures(2).unwrap(), 0);
    // It is still one where it is the same.
    let failed = store.generation(2).unwrap();
    let back = store.failed_in_use(&failed, 1, at(0), actor(at(1)));
    assert_eq!(back.unwrap(), Some(1));
}

#[test]
fn a_running_service_goes_by_what_a_backup_has_under_the_number_that_it_knows() {
    let gate = Gate::new();
    for _ in 0..2 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let settings = |repos| {
        [
            "policy", "settings", "--repos", repos, "--new", "--reason", "r",
        ]
    };
    let backup = Gate::empty();
    backup.restore(&gate.backup());
    backup.run(&["init"]).succeeds();
    // Generation 2 gates `alpha` there, and another repo here.
    backup.run(&settings("alpha")).succeeds();
    gate.run(&settings("beta")).succeeds();
    let service = Service::on(gate);
    let claim = || service.post("/v1/claim", &json!({"worker": "one"}));
    assert_eq!(claim().is(200).json()["generation"], 2);
    service.gate.restore_in_place(&backup);
    assert_eq!(claim().is(200).json()["id"], 1);
    claim().is(204);
}

#[test]
fn a_shadow_of_a_backup_is_asked_under_its_own_settings() {
    let gate = Gate::new();
    gate.run(&[
        "policy", "shadow", "built-in", "--repos", "beta", "--new", "--reason", "r",
    ])
    .succeeds();
    for _ in 0..3 {
        gate.run(&["task", "add", "alpha"]).succeeds();
    }
    let mut host = gate.queue();
    host.claim(at(0), "w", LEASE).unwrap();
    let record = || gate.queue().store().shadow_record().unwrap().unwrap();
    assert!(!record().disagreements.is_empty());
    let restore = "UPDATE serial_gate_generation SET settings = replace(settings, 'beta', 'alpha') WHERE id = 2;
        DELETE FROM serial_gate_disagreement";
    gate.program().run(restore);
    host.claim(at(10), "w", LEASE).unwrap();
    assert_eq!(record().looks, 2);
    assert!(record().disagreements.is_empty());
}
